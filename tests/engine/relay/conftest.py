from ..room.conftest import livekit, loopback, room

__all__ = ["livekit", "loopback", "room"]
