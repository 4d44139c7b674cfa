"""The engine's view of the worker pool."""

import asyncio
import os
from collections.abc import AsyncIterator, Iterator

import pytest

from auralink.engine.inference.backend import (
    Backend,
    BackendError,
    Media,
    Ran,
    RefusedOutput,
    Request,
)
from auralink.engine.inference.pool import PoolSettings, WorkerPool
from auralink.engine.inference.pool_backend import PoolBackend, Task
from auralink.engine.inference.services import Made, RestoreOrder
from auralink.models.store import Store

from .doubles import Odd
from .test_remote import noise

pytestmark = [
    pytest.mark.skipif(os.name != "posix", reason="speaks of signals"),
    pytest.mark.usefixtures("leaves_nothing_behind"),
]
MODEL = "restore-s"


@pytest.fixture(scope="module")
def pool(leaves_nothing_behind: None) -> Iterator[WorkerPool]:
    pool = WorkerPool(
        PoolSettings(
            workers=1, spares=1, most_backoff_s=0, entry=Store.bundled().find(MODEL, "int8")
        )
    )
    assert pool.wait_started()
    yield pool
    pool.close()


@pytest.fixture
async def backend(pool: WorkerPool) -> AsyncIterator[PoolBackend]:
    backend = PoolBackend(pool, {"odd": Odd})
    yield backend
    await backend.close()


def request(stream: str, model: str, payload: Task, deadline_us: int = 10_000_000) -> Request[Task]:
    return Request(
        stream=stream,
        media=Media.VIDEO,
        model=model,
        size=(64, 48),
        captured_us=0,
        deadline_us=deadline_us,
        payload=payload,
    )


async def odd(backend: PoolBackend, stream: str, order: object) -> object:
    return (await backend.run(request(stream, "odd", Task(None, order)))).result.value


async def test_it_is_a_backend(backend: PoolBackend) -> None:
    as_backend: Backend[Task, Made] = backend

    assert as_backend.workers == 1
    assert as_backend.serves(MODEL)
    assert not as_backend.serves("other")
    assert await as_backend.probe(MODEL) > 0


async def test_restores_frames_of_several_streams(backend: PoolBackend) -> None:
    order = RestoreOrder(quantizer=190, scale=0.5, reference=True)
    (frame,) = noise(1, (64, 48))
    task = Task(frame, order)

    ran: list[Ran[Made]] = await asyncio.gather(
        *(backend.run(request(name, MODEL, task)) for name in "abc")
    )

    assert all(one.run_us > 0 for one in ran)
    assert all(one.result.frame is not None for one in ran)


async def test_a_stream_keeps_its_state_until_it_is_forgotten(backend: PoolBackend) -> None:
    assert [await odd(backend, "a", 0) for _ in range(2)] == [1, 2]
    assert await odd(backend, "b", 0) == 1

    await backend.forget("a")

    assert [await odd(backend, name, 0) for name in "ab"] == [1, 2]


async def test_crashes_and_exceptions_are_backend_errors(backend: PoolBackend) -> None:
    with pytest.raises(BackendError, match="SIGSEGV"):
        await odd(backend, "a", "crash")
    with pytest.raises(BackendError, match="oops"):
        await odd(backend, "a", "fail")
    assert await odd(backend, "a", 0) == 1


async def test_what_the_guard_refuses_says_so(backend: PoolBackend) -> None:
    with pytest.raises(RefusedOutput, match="not a number"):
        await odd(backend, "a", "refuse")


async def test_a_stream_whose_call_hangs_moves_on_and_nobody_waits(backend: PoolBackend) -> None:
    assert await odd(backend, "a", 0) == 1
    assert await odd(backend, "b", 0) == 1

    with pytest.raises(BackendError, match="odd still runs after 66 ms: the stream moves on"):
        await backend.run(request("a", "odd", Task(None, "hang"), deadline_us=33_000))

    assert await odd(backend, "a", 0) == 1  # a new service, at another worker
    assert await odd(backend, "b", 0) == 2  # undisturbed so far


async def test_models_that_are_not_there_are_errors(backend: PoolBackend) -> None:
    with pytest.raises(BackendError, match="no model 'other'"):
        await backend.run(request("a", "other", Task(None, 0)))
    with pytest.raises(BackendError, match="no model 'other'"):
        await backend.probe("other")


async def test_a_stream_that_has_not_run_for_a_while_gives_its_seat_up(
    pool: WorkerPool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("auralink.engine.inference.pool_backend._IDLE_S", 0.0)
    backend = PoolBackend(pool, {"odd": Odd})
    assert [await odd(backend, "a", 0) for _ in range(2)] == [1, 2]
    assert await odd(backend, "b", 0) == 1

    await backend.close()  # when what was given up is gone

    assert pool.statistics().seats == 0
    again = PoolBackend(pool, {"odd": Odd})
    assert await odd(again, "a", 0) == 1
    await again.close()
