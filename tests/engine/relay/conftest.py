from ..room.conftest import far_server, livekit, loopback, room, this_address

__all__ = ["far_server", "livekit", "loopback", "room", "this_address"]
