"""What a worker session is told of its node, and what it wants done: plain values."""

from dataclasses import dataclass
from typing import TypeAlias

from livekit.protocol import agent

from auralink.engine.room.errors import RoomError


@dataclass(frozen=True, slots=True, kw_only=True)
class Capacity:
    """How things are on this node.

    Attributes:
        slots, taken: jobs that may run and that do, from whatever source.
        load: 0..1, for the dispatcher.
        cpu: share of the processors that is busy.
        jobs: ids of those that this server assigned.
    """

    slots: int
    taken: int
    load: float
    cpu: float
    draining: bool
    jobs: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Open:
    """Open a socket; it replaces the one before."""


@dataclass(frozen=True, slots=True)
class Close:
    """Close the socket, if there is one."""


@dataclass(frozen=True, slots=True)
class Send:
    message: agent.WorkerMessage


@dataclass(frozen=True, slots=True)
class Registered:
    worker_id: str
    server_version: str


@dataclass(frozen=True, slots=True)
class Lost:
    reason: str


@dataclass(frozen=True, slots=True)
class Assigned:
    """Start this job."""

    assignment: agent.JobAssignment


@dataclass(frozen=True, slots=True)
class Terminated:
    """Stop this job."""

    job_id: str


@dataclass(frozen=True, slots=True)
class Ended:
    error: RoomError | None  # None: it was asked to stop


Action: TypeAlias = Open | Close | Send | Registered | Lost | Assigned | Terminated | Ended
