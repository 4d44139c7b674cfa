"""The agent worker protocol as a state machine: what arrives and what time it is in, actions out.

::

             open              register answered            silent, closed, told to go away
    WAITING ──────► CONNECTING ─────────────────► REGISTERED ───────────────────────► WAITING
       ▲                │ refused, silent                         ENDED: told to stop, or
       └────────────────┘ pause grows with each try               refused before it ever worked

Jobs go on whatever happens to the connection.  Pure: times are seconds of any clock that does not
go back.  Source: livekit/protocol ``livekit_agent.proto``, server 1.13 ``pkg/agent``.
"""

import enum
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, final

from livekit.protocol import agent

from auralink.engine.agent.actions import (
    Action,
    Assigned,
    Capacity,
    Close,
    Ended,
    Lost,
    Open,
    Registered,
    Send,
    Terminated,
)
from auralink.engine.room.errors import ConnectionFailed, RoomError
from auralink.engine.room.policy import pause_s

FIRST_MESSAGE_S: Final = 10.0  # the server gives as long for the registration
STATUS_S: Final = 2.5
PING_S: Final = 5.0
_SILENCE_S: Final = 3 * PING_S
_STEADY_S: Final = 5.0  # a registration that lasted so long ends the outage before it
_ASSIGN_S: Final = 10.0  # from yes to the assignment; then the place is free again
_UNSENT: Final = 256  # job results that wait for a connection
# Of the processors: a node that is nearly full takes nothing new until it has some room again.
FULL_AT: Final = 0.75
FREE_AT: Final = 0.65


class State(enum.Enum):
    WAITING = "waiting"
    CONNECTING = "connecting"
    REGISTERED = "registered"
    ENDED = "ended"


@dataclass(slots=True)
class Counts:
    registrations: int = 0
    accepted: int = 0
    refused: int = 0
    unclaimed: int = 0  # accepted, but given to nobody in time


@final
class WorkerSession:
    """One worker's registration, across all its sockets.

    Call the method for what happened; do the actions in order; call `tick` at `next_at`, and at
    once when the number of jobs changed.

    Args:
        identity: of the participant that a job will be.
    """

    def __init__(
        self, register: agent.RegisterWorkerRequest, identity: Callable[[agent.Job], str]
    ) -> None:
        self.state = State.WAITING
        self.counts = Counts()
        self.next_at: float | None = None
        self._register = register
        self._identity = identity
        self._tries = 0
        self._heard_at = 0.0
        self._registered_at = 0.0
        self._ping_at = 0.0
        self._status_at = 0.0
        self._told: tuple[int, int, bool] | None = None  # status, jobs, draining
        self._busy = False
        self._reserved: dict[str, float] = {}  # accepted jobs, until when they may be assigned
        self._unsent: dict[str, agent.UpdateJobStatus] = {}

    def start(self, now: float) -> list[Action]:
        return self._open(now)

    def stop(self) -> list[Action]:
        """Sign off for good."""
        if self.state is State.ENDED:
            return []
        return self._end(None)

    def job(self, update: agent.UpdateJobStatus) -> list[Action]:
        """Something changed about a job; the server is told, later if need be."""
        if self.state is State.REGISTERED:
            return [Send(agent.WorkerMessage(update_job=update))]
        if len(self._unsent) < _UNSENT:
            self._unsent[update.job_id] = update
        return []

    def opened(self, now: float) -> list[Action]:
        """The socket is there."""
        if self.state is not State.CONNECTING:
            return []
        self._heard_at = now
        return [Send(agent.WorkerMessage(register=self._register))]

    def refused(self, now: float, error: RoomError, random: float) -> list[Action]:
        """There is no socket."""
        if self.state is not State.CONNECTING:
            return []
        if not error.retry and not self.counts.registrations:
            return self._end(error)
        return self._lose(now, str(error), random)

    def closed(self, now: float, random: float) -> list[Action]:
        """The socket ended, whoever closed it."""
        if self.state in (State.CONNECTING, State.REGISTERED):
            return self._lose(now, "the server closed the connection", random)
        return []

    def tick(self, now: float, capacity: Capacity, random: float) -> list[Action]:
        """Time passed, or the number of jobs changed."""
        match self.state:
            case State.WAITING if self.next_at is not None and now >= self.next_at:
                return self._open(now)
            case State.CONNECTING if self.next_at is not None and now >= self.next_at:
                silent = ConnectionFailed(f"no registration within {FIRST_MESSAGE_S:g} s")
                return self._lose(now, str(silent), random)
            case State.REGISTERED:
                return self._keep_alive(now, capacity, random)
            case _:
                return []

    def message(
        self, now: float, message: agent.ServerMessage, capacity: Capacity, random: float
    ) -> list[Action]:
        """The socket brought a message."""
        self._heard_at = now
        kind = message.WhichOneof("message")
        if self.state is State.CONNECTING and kind == "register":
            return self._be_registered(now, message.register, capacity)
        if self.state is not State.REGISTERED:
            return []
        match kind:
            case "availability":
                return self._answer(now, message.availability.job, capacity)
            case "assignment":
                self._reserved.pop(message.assignment.job.id, None)
                return [Assigned(message.assignment)]
            case "termination":
                return [Terminated(message.termination.job_id)]
            case "go_away":
                return self._lose(now, "the server asked to connect elsewhere", random)
            case _:
                return []  # pong, and what newer servers say

    # -- parts ---------------------------------------------------------------------------------

    def _be_registered(
        self, now: float, answer: agent.RegisterWorkerResponse, capacity: Capacity
    ) -> list[Action]:
        again = self.counts.registrations > 0
        self.counts.registrations += 1
        self.state = State.REGISTERED
        self._registered_at = now
        self._ping_at = now + PING_S
        self._told = None
        self._reserved.clear()  # of a connection that is gone
        actions: list[Action] = [Registered(answer.worker_id, answer.server_info.version)]
        if again and capacity.jobs:
            # Servers that can move jobs need it; the open-source one lets them run on.
            running = agent.MigrateJobRequest(job_ids=capacity.jobs)
            actions.append(Send(agent.WorkerMessage(migrate_job=running)))
        unsent, self._unsent = self._unsent, {}
        actions += [Send(agent.WorkerMessage(update_job=update)) for update in unsent.values()]
        return actions + self._report(now, capacity)

    def _keep_alive(self, now: float, capacity: Capacity, random: float) -> list[Action]:
        if now - self._heard_at >= _SILENCE_S:
            return self._lose(now, f"the server was silent for {_SILENCE_S:g} s", random)
        if now - self._registered_at >= _STEADY_S:
            self._tries = 0
        actions: list[Action] = []
        if now >= self._ping_at:
            self._ping_at = now + PING_S
            ping = agent.WorkerPing(timestamp=round(now * 1000))
            actions.append(Send(agent.WorkerMessage(ping=ping)))
        for job_id in [one for one, until in self._reserved.items() if now >= until]:
            del self._reserved[job_id]
            self.counts.unclaimed += 1
        return actions + self._report(now, capacity)

    def _report(self, now: float, capacity: Capacity) -> list[Action]:
        """Load and status, when they are due or changed."""
        actions: list[Action] = []
        full = self._full(capacity)
        status = agent.WorkerStatus.WS_FULL if full else agent.WorkerStatus.WS_AVAILABLE
        known = (status, capacity.taken, capacity.draining)
        if known != self._told or now >= self._status_at:
            self._told, self._status_at = known, now + STATUS_S
            update = agent.UpdateWorkerStatus(
                status=status,
                load=1.0 if capacity.draining else capacity.load,
                job_count=capacity.taken,
                draining=capacity.draining,
            )
            actions = [Send(agent.WorkerMessage(update_worker=update))]
        self.next_at = min(self._ping_at, self._status_at, self._heard_at + _SILENCE_S)
        return actions

    def _full(self, capacity: Capacity) -> bool:
        self._busy = capacity.cpu >= (FREE_AT if self._busy else FULL_AT)
        taken = capacity.taken + len(self._reserved)
        return self._busy or capacity.draining or taken >= capacity.slots

    def _answer(self, now: float, job: agent.Job, capacity: Capacity) -> list[Action]:
        """At once: a worker that thinks for ten seconds is passed over."""
        known = job.id in capacity.jobs or job.id in self._reserved
        answer = agent.AvailabilityResponse(job_id=job.id, available=False)
        if known or self._full(capacity):
            self.counts.refused += 1
        else:
            self.counts.accepted += 1
            self._reserved[job.id] = now + _ASSIGN_S
            answer.available = True
            answer.participant_identity = answer.participant_name = self._identity(job)
        return [Send(agent.WorkerMessage(availability=answer)), *self._report(now, capacity)]

    # -- changes of state ----------------------------------------------------------------------

    def _open(self, now: float) -> list[Action]:
        self.state = State.CONNECTING
        self._heard_at = now
        self.next_at = now + FIRST_MESSAGE_S
        return [Close(), Open()]

    def _lose(self, now: float, reason: str, random: float) -> list[Action]:
        self.state = State.WAITING
        self.next_at = now + pause_s(self._tries, random)
        self._tries += 1
        return [Close(), Lost(reason)]

    def _end(self, error: RoomError | None) -> list[Action]:
        self.state = State.ENDED
        self.next_at = None
        return [Close(), Ended(error)]
