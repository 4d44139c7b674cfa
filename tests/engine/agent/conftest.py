from ..room.conftest import livekit, loopback, own_server, room

__all__ = ["livekit", "loopback", "own_server", "room"]
