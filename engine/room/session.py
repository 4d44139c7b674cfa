"""The signal protocol as a state machine: what arrives and what time it is in, actions out.  Pure.

::

            open             first message            closed, silent, leave(RESUME)
    WAITING ───► CONNECTING ───► JOINED ─────────────────────────► RESUMING ──► JOINED
       ▲             │              │ media failed, leave(RECONNECT)   │ refused
       └─────────────┴──────────────┴──────────────────────────────────┘    ENDED: told to stop,
        pause grows with each try                                           or trying is no use

Times are seconds of any clock that does not go back.  Source: livekit client protocol 17 as served
by livekit-server 1.13 (``pkg/service``, ``pkg/rtc``) and as its Rust SDK drives it.
"""

import enum
from collections import deque
from dataclasses import dataclass, field
from typing import Final, final

from livekit.protocol import rtc

from auralink.engine.room.errors import ConnectionFailed, ProtocolError, RoomError
from auralink.engine.room.policy import Next, after_leave, pause_s
from auralink.engine.room.signal_actions import (
    Action,
    Close,
    Ended,
    Joined,
    Lost,
    Message,
    Open,
    Resumed,
    Send,
)

FIRST_MESSAGE_S: Final = 5.0
_PING_EVERY_S: Final = 5.0  # unless the server names another
_PING_LIMIT_S: Final = 15.0
# A connection that lasted so long has ended the outage before it.
_STEADY_S: Final = 5.0
_QUICK_RESUMES: Final = 3  # within that time; then a new join, with a pause
_QUEUE: Final = 256  # requests held while the socket is being replaced
# What is only of use on the socket and at the time it was made for.
_NOT_QUEUED: Final = {"offer", "answer", "trickle", "ping", "ping_req", "sync_state"}


class State(enum.Enum):
    WAITING = "waiting"
    CONNECTING = "connecting"
    JOINED = "joined"
    RESUMING = "resuming"
    ENDED = "ended"


@dataclass(slots=True)
class Counts:
    connects: int = 0
    resumes: int = 0
    unknown: dict[str, int] = field(default_factory=dict)  # message kinds not known here
    refused_requests: int = 0  # made while there was no socket and no room in the queue


@final
class SignalSession:
    """One participant's signalling, across all its sockets.

    Call the method for what happened; do the actions in order; call `tick` at `next_at`.
    """

    def __init__(self, token: str) -> None:
        self.state = State.WAITING
        self.resumable = True  # False: every loss means a new participant
        self.counts = Counts()
        self.next_at: float | None = None
        self.rtt_ms = 0
        self._token = token
        self._sid = ""
        self._tries = 0
        self._quick = 0  # resumes since the last steady time
        self._joined_at = 0.0
        self._heard_at = 0.0
        self._ping_at = 0.0
        self._ping_every_s = _PING_EVERY_S
        self._ping_limit_s = _PING_LIMIT_S
        self._queue: deque[rtc.SignalRequest] = deque()

    def start(self, now: float) -> list[Action]:
        return self._open(now, resume=False)

    def stop(self) -> list[Action]:
        """Leave the room for good."""
        if self.state is State.ENDED:
            return []
        actions: list[Action] = []
        if self.state is State.JOINED:
            leave = rtc.LeaveRequest(action=rtc.LeaveRequest.Action.DISCONNECT)
            actions.append(Send(rtc.SignalRequest(leave=leave)))
        return actions + self._end(None)

    def request(self, request: rtc.SignalRequest) -> list[Action]:
        """Send something, now or when the socket is back."""
        if self.state is State.JOINED:
            return [Send(request)]
        kind = request.WhichOneof("message")
        if self.state is State.RESUMING and kind not in _NOT_QUEUED and len(self._queue) < _QUEUE:
            self._queue.append(request)
        else:
            self.counts.refused_requests += 1
        return []

    def refused(self, now: float, error: RoomError, random: float) -> list[Action]:
        """The socket could not be opened."""
        if self.state not in (State.CONNECTING, State.RESUMING):
            return []
        return self._failed(now, error, random)

    def closed(self, now: float, random: float) -> list[Action]:
        """The socket ended, whoever closed it."""
        if self.state is State.JOINED:
            return self._resume(now, "the server closes every connection soon", random)
        if self.state in (State.CONNECTING, State.RESUMING):
            return self._failed(now, ConnectionFailed("the server closed the connection"), random)
        return []

    def media_failed(self, now: float, error: RoomError, random: float) -> list[Action]:
        """The peer connection is beyond repair."""
        if self.state not in (State.JOINED, State.RESUMING):
            return []
        return self._rejoin(now, str(error), random)

    def tick(self, now: float, random: float) -> list[Action]:
        """Time passed."""
        if self.next_at is None or now < self.next_at:
            return []
        match self.state:
            case State.WAITING:
                return self._open(now, resume=False)
            case State.CONNECTING | State.RESUMING:
                silent = ConnectionFailed(f"no first message within {FIRST_MESSAGE_S:g} s")
                return self._failed(now, silent, random)
            case State.JOINED:
                return self._keep_alive(now, random)
            case State.ENDED:
                return []

    def message(self, now: float, response: rtc.SignalResponse, random: float) -> list[Action]:
        """The socket brought a message."""
        self._heard_at = now
        kind = response.WhichOneof("message")
        if kind is None:
            self.counts.unknown["?"] = self.counts.unknown.get("?", 0) + 1
            return []
        if kind == "leave":
            return self._leave(now, response.leave, random)
        match self.state:
            case State.CONNECTING:
                return self._first(now, kind, response, random)
            case State.RESUMING:
                return self._first_resumed(now, kind, response, random)
            case State.JOINED:
                return self._joined(now, kind, response)
            case _:
                return []

    # -- parts of `message` --------------------------------------------------------------------

    def _first(
        self, now: float, kind: str, response: rtc.SignalResponse, random: float
    ) -> list[Action]:
        if kind != "join":
            odd = ProtocolError(f"the first message was {kind!r}, not 'join'")
            return self._failed(now, odd, random)
        join = response.join
        self._sid = join.participant.sid
        self._ping_every_s = join.ping_interval or _PING_EVERY_S
        self._ping_limit_s = join.ping_timeout or _PING_LIMIT_S
        self._be_joined(now)
        return [Joined(join)]

    def _first_resumed(
        self, now: float, kind: str, response: rtc.SignalResponse, random: float
    ) -> list[Action]:
        if kind != "reconnect":
            return self._rejoin(now, f"resuming was answered with {kind!r}", random)
        self.counts.resumes += 1
        self._be_joined(now)
        queued = [Send(request) for request in self._queue]
        self._queue.clear()
        return [Resumed(response.reconnect), *queued]

    def _joined(self, now: float, kind: str, response: rtc.SignalResponse) -> list[Action]:
        if kind == "refresh_token":
            self._token = response.refresh_token
            return []
        if kind == "pong_resp":
            self.rtt_ms = max(0, round(now * 1000) - response.pong_resp.last_ping_timestamp)
            return []
        if kind == "room_moved":
            self._token = response.room_moved.token
            self._sid = response.room_moved.participant.sid
        return [Message(kind, response)]

    def _leave(self, now: float, leave: rtc.LeaveRequest, random: float) -> list[Action]:
        if self.state is State.ENDED:
            return []
        then, error = after_leave(leave)
        if then is Next.END:
            return self._end(error)
        if then is Next.RESUME and self.state is State.JOINED:
            return self._resume(now, "the server asks to resume again and again", random)
        return self._rejoin(now, "the server asked to reconnect", random)

    # -- changes of state ----------------------------------------------------------------------

    def _be_joined(self, now: float) -> None:
        self.state = State.JOINED
        self._joined_at = now
        self._ping_at = now + self._ping_every_s
        self.next_at = self._ping_at

    def _keep_alive(self, now: float, random: float) -> list[Action]:
        if now - self._joined_at >= _STEADY_S:
            self._tries = self._quick = 0
        if now - self._heard_at >= self._ping_limit_s:
            return self._resume(now, "the server falls silent again and again", random)
        actions: list[Action] = []
        if now >= self._ping_at:
            self._ping_at = now + self._ping_every_s
            stamp = round(now * 1000)
            ping = rtc.Ping(timestamp=stamp, rtt=self.rtt_ms)
            actions = [
                Send(rtc.SignalRequest(ping_req=ping)),
                Send(rtc.SignalRequest(ping=stamp)),  # both, as the official SDKs do
            ]
        self.next_at = min(self._ping_at, self._heard_at + self._ping_limit_s)
        return actions

    def _open(self, now: float, *, resume: bool) -> list[Action]:
        self.state = State.RESUMING if resume else State.CONNECTING
        self.counts.connects += not resume
        self._heard_at = now
        self.next_at = now + FIRST_MESSAGE_S
        return [Close(), Open(self._token, self._sid if resume else None)]

    def _resume(self, now: float, reason: str, random: float) -> list[Action]:
        """At once, but not for ever: a server that takes us back and drops us gets a rest."""
        if now - self._joined_at >= _STEADY_S:
            self._tries = self._quick = 0
        self._quick += 1
        if not self.resumable:
            return self._rejoin(now, "the signal connection was lost", random)
        if self._quick > _QUICK_RESUMES:
            self._tries = max(1, self._tries)
            return self._rejoin(now, reason, random)
        return self._open(now, resume=True)

    def _failed(self, now: float, error: RoomError, random: float) -> list[Action]:
        if not error.retry:
            return self._end(error)
        return self._rejoin(now, str(error), random)

    def _rejoin(self, now: float, reason: str, random: float) -> list[Action]:
        was_in = self.state in (State.JOINED, State.RESUMING)
        if self.state is State.JOINED and now - self._joined_at >= _STEADY_S:
            self._tries = self._quick = 0
        self.state = State.WAITING
        self._queue.clear()
        self.next_at = now + pause_s(self._tries, random)
        self._tries += 1
        return [Close(), *([Lost(reason)] if was_in else [])]

    def _end(self, error: RoomError | None) -> list[Action]:
        self.state = State.ENDED
        self.next_at = None
        self._queue.clear()
        return [Close(), Ended(error)]
