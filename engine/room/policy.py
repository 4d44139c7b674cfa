"""What a bot does when a connection ends: a table, and a curve of pauses.  Pure.

A client program stops when the server says so; a bot whose job is still wanted comes back, except
where somebody ended it on purpose or it would fight another copy of itself.
"""

import enum
from typing import Final

from livekit.protocol import models, rtc

from auralink.engine.room.errors import Duplicate, RoomEnded, RoomError


class Next(enum.Enum):
    """What to do after a connection ended."""

    RESUME = "resume"  # a new socket, the same participant, media untouched
    REJOIN = "rejoin"  # everything anew
    END = "end"


_Reason = models.DisconnectReason
_ON_PURPOSE: Final = {
    _Reason.CLIENT_INITIATED: "this participant left",
    _Reason.PARTICIPANT_REMOVED: "this participant was removed from the room",
    _Reason.ROOM_DELETED: "the room was deleted",
    _Reason.ROOM_CLOSED: "the room was closed",
    _Reason.USER_REJECTED: "the invitation was rejected",
}

_FIRST_S: Final = 0.3
_CAP_S: Final = 7.0
_TRIES_TO_SLOW: Final = 10  # as the official SDKs, which then give up; a wanted job goes on
_SLOW_S: Final = (7.0, 15.0)


def after_leave(leave: rtc.LeaveRequest) -> tuple[Next, RoomError | None]:
    """What a ``leave`` message means; the error says why if it is the end."""
    if leave.reason == _Reason.DUPLICATE_IDENTITY:
        return Next.END, Duplicate(
            "another participant with this identity joined: give each bot an identity of its own"
        )
    if leave.reason in _ON_PURPOSE:
        return Next.END, RoomEnded(_ON_PURPOSE[leave.reason])
    if leave.action == rtc.LeaveRequest.Action.RESUME:
        return Next.RESUME, None
    return Next.REJOIN, None


def pause_s(attempt: int, random: float) -> float:
    """Seconds before try number ``attempt`` (0 is the first) of an outage.

    Args:
        random: 0..1; spreads the return of many bots after a server restart.
    """
    if attempt == 0:
        return 0.0
    if attempt > _TRIES_TO_SLOW:
        low, high = _SLOW_S
        return low + (high - low) * random
    nominal = min(_CAP_S, _FIRST_S * 2.0 ** (attempt - 1))
    return float(nominal * random)
