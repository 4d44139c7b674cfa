"""Which implementation a bot joins its room with."""

from typing import Final, Literal, TypeAlias

from auralink.codecs.errors import UnsupportedError
from auralink.engine.room.livekit_room import LiveKitRoom
from auralink.engine.room.transport import RoomListener, RoomTransport

Backend: TypeAlias = Literal["aiortc", "sdk"]
BACKENDS: Final[tuple[Backend, ...]] = ("aiortc", "sdk")


def open_room(
    backend: Backend, server: str, token: str, listener: RoomListener, *, version: str
) -> RoomTransport:
    """
    Args:
        backend: our own client, or LiveKit's SDK.
        version: of this engine, shown to the server.

    Raises:
        InputError: no such address.
        UnsupportedError: the SDK is not installed.
    """
    if backend == "aiortc":
        return LiveKitRoom(server, token, listener, version=version)
    try:
        from auralink.engine.room.sdk_room import SdkRoom
    except ImportError:
        error = UnsupportedError("LiveKit's SDK is not installed")
        error.add_note("pip install 'auralink-aic[livekit]', or leave --backend out")
        raise error from None
    return SdkRoom(server, token, listener)
