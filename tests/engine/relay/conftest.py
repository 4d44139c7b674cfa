from ..room.conftest import far_server, livekit, loopback, own_server, room, this_address

__all__ = ["far_server", "livekit", "loopback", "own_server", "room", "this_address"]
