"""The engine over real workers that are killed."""

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator

import pytest

from auralink.codecs.frame import Frame
from auralink.engine.inference.backend import Media, Request
from auralink.engine.inference.breaker import State
from auralink.engine.inference.engine import InferenceEngine
from auralink.engine.inference.outcome import FrameOutcome
from auralink.engine.inference.pool import PoolSettings, WorkerPool
from auralink.engine.inference.pool_backend import PoolBackend, Task
from auralink.engine.inference.services import Made, RestoreOrder
from auralink.models.store import Store

from .test_remote import noise

pytestmark = [
    pytest.mark.skipif(os.name != "posix", reason="speaks of signals"),
    pytest.mark.usefixtures("leaves_nothing_behind"),
]
MODEL = "restore-s"
ORDER = RestoreOrder(quantizer=190, scale=0.5, reference=True)
STREAMS = 3


@pytest.fixture
async def pool() -> AsyncIterator[WorkerPool]:
    pool = WorkerPool(PoolSettings(workers=1, spares=1, entry=Store.bundled().find(MODEL, "int8")))
    assert await asyncio.to_thread(pool.wait_started)
    yield pool
    await asyncio.to_thread(pool.close)


def request(stream: str, frame: Frame) -> Request[Task]:
    at_us = time.monotonic_ns() // 1_000
    return Request(
        stream=stream,
        media=Media.VIDEO,
        model=MODEL,
        size=frame.size,
        captured_us=at_us,
        deadline_us=at_us + 2_000_000,  # a loaded machine must not look like a fault
        payload=Task(frame, ORDER),
    )


async def test_a_killed_worker_loses_a_frame_of_each_stream_at_most(pool: WorkerPool) -> None:
    backend = PoolBackend(pool)
    frames = noise(30, (64, 48))
    killed: list[int] = []
    outcomes: list[list[FrameOutcome]] = [[] for _ in range(STREAMS)]

    async def talk(engine: InferenceEngine[Task, Made], number: int) -> None:
        seen = outcomes[number]
        while seen.count(FrameOutcome.CODED) < len(frames):
            coded = seen.count(FrameOutcome.CODED)
            if coded == 10 and not killed:
                killed.append(pool.pids()[0])  # most streams sit there
                os.kill(killed[0], signal.SIGKILL)
            answered = await engine.submit(request(f"{number}", frames[coded]))
            seen.append(answered.outcome)
            await asyncio.sleep(0.01)  # the pace of a stream

    async with InferenceEngine(backend) as engine, asyncio.TaskGroup() as group:
        for number in range(STREAMS):
            group.create_task(talk(engine, number))
    told = engine.statistics()
    await backend.close()

    # While a worker starts or its successor takes over, frames are refused at once, and not lost.
    lost = (FrameOutcome.INVALID, FrameOutcome.LATE)
    assert [sum(outcome in lost for outcome in seen) <= 1 for seen in outcomes] == [True] * STREAMS
    assert killed[0] not in pool.pids()
    assert told.open == 0
    assert told.breakers[MODEL].state is State.CLOSED


async def test_without_any_worker_frames_fall_back_and_the_model_returns_by_its_golden_vector(
    pool: WorkerPool,
) -> None:
    backend = PoolBackend(pool)
    (frame,) = noise(1, (64, 48))
    transitions: list[State] = []
    closed = asyncio.Event()
    async with InferenceEngine(backend) as engine:
        engine.force(MODEL, "open")  # as if it had failed too often
        refused = await engine.submit(request("s", frame))
        engine.force(MODEL, None)
        waiting = await engine.submit(request("s", frame))
        while not closed.is_set():
            answered = await engine.submit(request("s", frame))
            transitions.append(engine.statistics().breakers[MODEL].state)
            if answered.outcome is FrameOutcome.CODED:
                closed.set()
            await asyncio.sleep(0.05)  # a stream's next frame
    await backend.close()

    assert {refused.outcome, waiting.outcome} == {FrameOutcome.BREAKER}
    assert transitions[-1] is State.CLOSED
