"""What a look at the engine found: frozen values, taken on the event loop, shown anywhere.

A part that this engine does not have is ``None``, and its metrics are not exported: 0 would be a
claim.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from auralink.engine.inference.breaker import BreakerStatistics, State


@dataclass(frozen=True, slots=True, kw_only=True)
class JobsReading:
    """
    Attributes:
        by_state: jobs.
        sessions: rooms that are connected.
        streams: by direction (``up``, ``down``) and kind.
        rungs: streams by rung of the fallback ladder.
        away_s: longest time that a running job has been out of a room.
    """

    by_state: Mapping[str, int]
    sessions: int
    streams: Mapping[tuple[str, str], int]
    load: float
    rungs: Mapping[str, int]
    away_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class InferenceReading:
    queue_depth: int
    in_flight: int
    outcomes: Mapping[str, int]  # since the start
    breakers: Mapping[str, BreakerStatistics]


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkersReading:
    ready: int
    wanted: int
    lost: int  # since the start


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelsReading:
    ready: int  # networks in use


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordsReading:
    connected: bool
    buffered: int
    written: int
    dropped: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessReading:
    """
    Attributes:
        certificates: end of each by API, Unix time.
    """

    memory_bytes: int | None = None
    gpu_percent: float | None = None
    certificates: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Readings:
    at: float  # Unix time
    jobs: JobsReading | None = None
    inference: InferenceReading | None = None
    workers: WorkersReading | None = None
    models: ModelsReading | None = None
    records: RecordsReading | None = None
    redis: BreakerStatistics | None = None
    process: ProcessReading = field(default_factory=ProcessReading)

    def breakers(self) -> Mapping[str, BreakerStatistics]:
        found = dict(self.inference.breakers) if self.inference is not None else {}
        if self.redis is not None:
            found["redis"] = self.redis
        return found


def breaker_level(state: State) -> int:
    """0 closed, 1 half open, 2 open."""
    match state:
        case State.CLOSED | State.FORCED_CLOSED:
            return 0
        case State.HALF_OPEN:
            return 1
        case State.OPEN | State.FORCED_OPEN:
            return 2
