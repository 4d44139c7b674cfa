"""What faults of inference are injected into: the engine, real workers, streams at a frame rate."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias, final

from auralink.bench.fault.acting import Actor
from auralink.codecs.errors import InputError
from auralink.engine.inference.backend import Media, Ran, Request
from auralink.engine.inference.breaker_config import BreakerConfig
from auralink.engine.inference.engine import Answered, InferenceEngine
from auralink.engine.inference.outcome import FrameOutcome
from auralink.engine.inference.pool import PoolSettings, WorkerPool
from auralink.engine.inference.pool_backend import PoolBackend, Task
from auralink.engine.inference.services import Made, Make
from auralink.models.store import Store

ACTOR: Final = "actor"
RESTORE: Final = "restore-s"
PERIOD_S: Final = 1 / 30
DEADLINE_S: Final = 0.033

Engine: TypeAlias = InferenceEngine[Task, Made]
# What a stream sends as its n-th frame.
Orders: TypeAlias = Callable[[int], Task]


@dataclass(frozen=True, slots=True)
class Sent:
    """One frame and its answer."""

    at_s: float  # sent
    deadline_s: float  # from then
    answered: Answered[Made]

    @property
    def coded(self) -> bool:
        return self.answered.outcome is FrameOutcome.CODED

    @property
    def late_ms(self) -> float:
        """After its deadline; negative if it was in time."""
        return self.answered.total_us / 1e3 - self.deadline_s * 1e3


@dataclass(slots=True)
class Stream:
    """A stream at work; `sent` has its answered frames in order."""

    name: str
    orders: Orders
    model: str
    sent: list[Sent] = field(default_factory=list)
    asked: int = 0

    def lost(self, outcome: FrameOutcome, since_s: float) -> int:
        """Frames of that outcome since then."""
        return sum(one.answered.outcome is outcome for one in self.sent if one.at_s >= since_s)


@final
class Counting:
    """A backend that counts how often it is probed."""

    def __init__(self, backend: PoolBackend) -> None:
        self._backend = backend
        self.probes = 0

    @property
    def workers(self) -> int:
        return self._backend.workers

    def serves(self, model: str) -> bool:
        return self._backend.serves(model)

    async def run(self, request: Request[Task]) -> Ran[Made]:
        return await self._backend.run(request)

    async def probe(self, model: str) -> int:
        self.probes += 1
        return await self._backend.probe(model)


@dataclass(frozen=True, slots=True)
class Rig:
    """Workers that all trials of a fault share; each trial has an engine of its own."""

    pool: WorkerPool
    models: Mapping[str, Make]

    def run(self, trial: Callable[["Bed"], Any], *, breaker: BreakerConfig | None = None) -> Any:
        """Run an asynchronous trial with a fresh engine."""
        if not self.pool.wait_started():
            raise InputError("the workers do not start: this machine is overloaded")
        return asyncio.run(self._run(trial, breaker))

    async def _run(self, trial: Callable[["Bed"], Any], breaker: BreakerConfig | None) -> Any:
        backend = PoolBackend(self.pool, self.models)
        counting = Counting(backend)
        async with InferenceEngine(counting, breaker=breaker) as engine:
            result = await trial(Bed(engine, self.pool, counting))
        if engine.statistics().open:
            raise AssertionError(f"{engine.statistics().open} frames got no answer")
        await backend.close()
        return result


@dataclass(frozen=True, slots=True)
class Bed:
    """An engine with streams on it."""

    engine: Engine
    pool: WorkerPool
    backend: Counting

    @contextlib.asynccontextmanager
    async def streams(
        self, orders: Sequence[Orders], model: str = ACTOR, deadline_s: float = DEADLINE_S
    ) -> AsyncIterator[list[Stream]]:
        """Streams that send a frame every 33 ms until the end of the block, spread in time."""
        streams = [Stream(f"s{at}", one, model) for at, one in enumerate(orders)]
        async with asyncio.TaskGroup() as group:
            tasks = [
                group.create_task(self._send(stream, at / len(streams), deadline_s))
                for at, stream in enumerate(streams)
            ]
            try:
                yield streams
            finally:
                for task in tasks:
                    task.cancel()

    async def _send(self, stream: Stream, phase: float, deadline_s: float) -> None:
        due_s = time.monotonic() + phase * PERIOD_S
        waiting: set[asyncio.Task[None]] = set()
        try:
            while True:
                await asyncio.sleep(max(0.0, due_s - time.monotonic()))
                due_s += PERIOD_S
                task = stream.orders(stream.asked)
                stream.asked += 1
                future = self.engine.submit(request(stream.name, task, stream.model, deadline_s))
                noted = asyncio.create_task(_note(stream, deadline_s, future))
                waiting.add(noted)
                noted.add_done_callback(waiting.discard)
        finally:
            await asyncio.gather(*waiting)


async def until(condition: Callable[[], bool], limit_s: float) -> float | None:
    """Seconds until it holds; None if it does not."""
    started = time.monotonic()
    while not condition():
        if time.monotonic() - started > limit_s:
            return None
        await asyncio.sleep(0.005)
    return time.monotonic() - started


def request(stream: str, task: Task, model: str, deadline_s: float) -> Request[Task]:
    now_us = time.monotonic_ns() // 1_000
    return Request(
        stream=stream,
        media=Media.VIDEO,
        model=model,
        size=(320, 180),
        captured_us=now_us,
        deadline_us=now_us + round(deadline_s * 1e6),
        payload=task,
    )


@contextlib.contextmanager
def rig(workers: int = 1) -> Iterator[Rig]:
    """Workers with the bundled network and an actor."""
    entry = Store.bundled().find(RESTORE)
    settings = PoolSettings(workers=workers, spares=1, entry=entry, most_backoff_s=0.2)
    pool = WorkerPool(settings)
    try:
        yield Rig(pool, {ACTOR: Actor})
    finally:
        pool.close()


async def _note(
    stream: Stream, deadline_s: float, future: "asyncio.Future[Answered[Made]]"
) -> None:
    at_s = time.monotonic()
    stream.sent.append(Sent(at_s, deadline_s, await future))
