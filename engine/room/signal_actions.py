"""What a signal session wants done, and what it tells: plain values."""

from dataclasses import dataclass, field
from typing import TypeAlias

from livekit.protocol import rtc

from auralink.engine.room.errors import RoomError


@dataclass(frozen=True, slots=True)
class Open:
    """Open a socket; it replaces the one before."""

    token: str = field(repr=False)
    resume_sid: str | None


@dataclass(frozen=True, slots=True)
class Close:
    """Close the socket, if there is one."""


@dataclass(frozen=True, slots=True)
class Send:
    request: rtc.SignalRequest


@dataclass(frozen=True, slots=True)
class Joined:
    """In the room as a new participant: build everything."""

    response: rtc.JoinResponse


@dataclass(frozen=True, slots=True)
class Resumed:
    """Back as the same participant: send ``sync_state`` before any offer."""

    response: rtc.ReconnectResponse


@dataclass(frozen=True, slots=True)
class Lost:
    """The participant is gone; `Joined` follows when it is back."""

    reason: str


@dataclass(frozen=True, slots=True)
class Message:
    """Anything else the server said."""

    kind: str
    response: rtc.SignalResponse


@dataclass(frozen=True, slots=True)
class Ended:
    error: RoomError | None  # None: it was asked to stop


Action: TypeAlias = Open | Close | Send | Joined | Resumed | Lost | Message | Ended
