"""Looks at the engine once a second and writes rows once an interval.

All reading happens on the event loop, between its other tasks, so that nobody else's state is read
in the middle of a change; each reading is a few counts.  What is slow (memory of processes, a
certificate on disk) is read in a thread.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final, Protocol, final

from auralink.engine.inference.breaker import BreakerStatistics
from auralink.engine.inference.outcome import Fate, FrameOutcome
from auralink.engine.relay.job_values import JobSnapshot, JobState
from auralink.engine.stores.records import IntervalRow, RecordsStatus, Row
from auralink.engine.tasks import spawn
from auralink.engine.telemetry.alerting import Alerting
from auralink.engine.telemetry.deltas import JobDeltas
from auralink.engine.telemetry.frame_sums import FrameSums
from auralink.engine.telemetry.intervals import JobIntervals
from auralink.engine.telemetry.metrics import Metrics
from auralink.engine.telemetry.readings import (
    InferenceReading,
    JobsReading,
    ModelsReading,
    ProcessReading,
    Readings,
    RecordsReading,
    WorkersReading,
)

log = logging.getLogger(__name__)
LOOK_S: Final = 1.0
_SLOW_LOOK_S: Final = 15.0  # at what is read in a thread


class Jobs(Protocol):
    """What `engine.relay.jobs` tells."""

    @property
    def load(self) -> float: ...

    def list(self) -> list[JobSnapshot]: ...


class Records(Protocol):
    def write(self, *rows: Row) -> None: ...

    def status(self) -> RecordsStatus: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class InferenceCounts:
    """What an inference engine tells, since its start."""

    waiting: int
    open: int
    outcomes: Mapping[FrameOutcome, int]
    breakers: Mapping[str, BreakerStatistics]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sources:
    """Where to look; ``None``: this engine has no such part, or it is not there now.

    Attributes:
        process: blocks; called in a thread.
    """

    jobs: Callable[[], Jobs | None] = lambda: None
    records: Callable[[], Records | None] = lambda: None
    redis: Callable[[], BreakerStatistics | None] = lambda: None
    inference: Callable[[], InferenceCounts | None] = lambda: None
    workers: Callable[[], WorkersReading | None] = lambda: None
    models: Callable[[], ModelsReading | None] = lambda: None
    process: Callable[[], ProcessReading] = ProcessReading
    wall: Callable[[], float] = field(kw_only=True)


@final
class Sampler:
    """`look` once a second, `end_interval` as often as rows are wanted."""

    def __init__(
        self,
        metrics: Metrics,
        sources: Sources,
        *,
        engine_id: str,
        frames: FrameSums,
        alerting: Alerting,
    ) -> None:
        self._metrics = metrics
        self._sources = sources
        self._frames = frames
        self._alerting = alerting
        self._deltas = JobDeltas()
        self._intervals = JobIntervals(engine_id)
        self._outcomes: Mapping[FrameOutcome, int] = {}
        self._away_since: dict[tuple[str, str], float] = {}
        self._process = ProcessReading()
        self._began = sources.wall()

    def look(self) -> None:
        jobs = self._sources.jobs()
        listed = jobs.list() if jobs is not None else []
        delta = self._deltas.take(listed)
        for stream in delta.streams:
            self._metrics.stream(stream)
        self._metrics.jobs(restarts=delta.restarts, losses=delta.losses)
        self._intervals.add(delta.streams)
        inference = self._sources.inference()
        if inference is not None:
            self._count(inference.outcomes)
        records = self._sources.records()
        now = self._sources.wall()
        self._metrics.show(
            Readings(
                at=now,
                jobs=None if jobs is None else self._jobs(listed, jobs.load, now),
                inference=None if inference is None else _inference(inference),
                workers=self._sources.workers(),
                models=self._sources.models(),
                records=None if records is None else _records(records.status()),
                redis=self._sources.redis(),
                process=self._process,
            )
        )

    def end_interval(self) -> None:
        """Write the rows of the interval that ends, and the alerts that they raise."""
        now = self._sources.wall()
        began, self._began = self._began, now
        jobs = self._sources.jobs()
        rows = self._intervals.end(jobs.list() if jobs is not None else [], now, now - began)
        rows += self._frames.end(_utc(began), _utc(now))
        alerts = self._alerting.judge(row for row in rows if isinstance(row, IntervalRow))
        records = self._sources.records()
        if records is not None:
            records.write(*rows, *alerts)

    async def look_at_process(self) -> None:
        self._process = await asyncio.to_thread(self._sources.process)

    def _jobs(self, listed: Sequence[JobSnapshot], load: float, now: float) -> JobsReading:
        states = dict.fromkeys((state.value for state in JobState), 0)
        streams: dict[tuple[str, str], int] = {}
        rungs: dict[str, int] = {}
        sessions = 0
        away: dict[tuple[str, str], float] = {}
        for job in listed:
            states[job.state.value] += 1
            if job.state.over or job.status is None:
                continue
            for room in job.status["rooms"]:
                sessions += room["connected"]
                if job.state is JobState.RUNNING and not room["connected"]:
                    key = (str(job.id), str(room["identity"]))
                    away[key] = self._away_since.get(key, now)
            for direction in ("up", "down"):
                for stream in job.status.get(direction, {}).get("streams", ()):
                    name = (direction, stream.get("kind", "unknown"))
                    streams[name] = streams.get(name, 0) + 1
                    if rung := stream.get("rung"):
                        rungs[rung] = rungs.get(rung, 0) + 1
        self._away_since = away
        return JobsReading(
            by_state=states,
            sessions=sessions,
            streams=streams,
            load=load,
            rungs=rungs,
            away_s=max((now - since for since in away.values()), default=0.0),
        )

    def _count(self, outcomes: Mapping[FrameOutcome, int]) -> None:
        for outcome, count in outcomes.items():
            new = count - self._outcomes.get(outcome, 0)
            if new > 0:
                self._metrics.inference(
                    outcome=outcome.fate.value,
                    kind="any",
                    fallback=outcome.reason if outcome.fate is Fate.FELL_BACK else "",
                    count=new,
                )
        self._outcomes = dict(outcomes)


@asynccontextmanager
async def sampling(
    sampler: Sampler,
    *,
    interval_s: float,
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
) -> AsyncIterator[Sampler]:
    """Sample until the block ends; what the last interval had is written then."""
    tasks = [
        spawn(work, name, lambda error: None)
        for work, name in (
            (_every(sampler.look, LOOK_S, sleep), "looking"),
            (_every(sampler.end_interval, interval_s, sleep, first=False), "ending intervals"),
            (_slowly(sampler, sleep), "looking at the process"),
        )
    ]
    try:
        yield sampler
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        sampler.look()
        sampler.end_interval()


async def _every(
    work: Callable[[], None],
    seconds: float,
    sleep: Callable[[float], Awaitable[None]],
    *,
    first: bool = True,
) -> None:
    if not first:
        await sleep(seconds)
    while True:
        try:
            work()
        except Exception:  # one bad look must not end all others
            log.exception("telemetry")
        await sleep(seconds)


async def _slowly(sampler: Sampler, sleep: Callable[[float], Awaitable[None]]) -> None:
    while True:
        try:
            await sampler.look_at_process()
        except OSError as error:
            log.warning("telemetry: %s", error)
        await sleep(_SLOW_LOOK_S)


def _inference(counts: InferenceCounts) -> InferenceReading:
    return InferenceReading(
        queue_depth=counts.waiting,
        in_flight=counts.open,
        outcomes={outcome.value: count for outcome, count in counts.outcomes.items()},
        breakers=counts.breakers,
    )


def _records(status: RecordsStatus) -> RecordsReading:
    return RecordsReading(
        connected=status.connected,
        buffered=status.buffered,
        written=status.written,
        dropped=status.dropped,
    )


def _utc(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
