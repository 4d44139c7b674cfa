"""One stream on the loop: answers in time, nothing lost, nothing more than it can do."""

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest

from auralink.engine.rpc.coding import QUEUE, InFlight, Stream
from auralink.engine.rpc.framing import split
from auralink.engine.rpc.requests import Job, read_job
from auralink.engine.rpc.threads import Threads

from .frames import Failing, Gated, Instant, tiny

LONG_S = 30.0


def job(number: int) -> Job:
    return read_job(tiny(number), "default")


def soon() -> float:
    return time.monotonic() + 0.02


def later() -> float:
    return time.monotonic() + LONG_S


@pytest.fixture
async def threads() -> AsyncIterator[Threads]:
    pool = Threads(4)
    yield pool
    pool.close()


def stream_of(encoder: Any, threads: Threads, most: int = 64) -> Stream:
    return Stream(encoder, threads, InFlight(most), lambda job, unit: None)


def numbers_in(data: bytes) -> list[int]:
    return [int.from_bytes(packet[:4]) for packet in split(data)]


async def test_a_frame_that_is_late_falls_back_and_its_unit_goes_with_the_next(
    threads: Threads,
) -> None:
    encoder = Gated()
    stream = stream_of(encoder, threads)

    first = await stream.code(job(1), until_s=soon())
    encoder.gate.release(2)
    second = await stream.code(job(2), until_s=later())

    assert first.unit is None
    assert first.reason.startswith("late")
    assert second.unit is not None
    assert numbers_in(second.late + second.unit.data) == [1, 2]
    assert encoder.keys == [False, False]  # nothing was lost, so nothing starts anew
    await stream.close()


async def test_no_frame_waits_longer_than_it_may(threads: Threads) -> None:
    encoder = Gated()
    stream = stream_of(encoder, threads)
    running = asyncio.create_task(stream.code(job(1), until_s=later()))
    await asyncio.to_thread(encoder.begun.acquire)

    waited = await stream.code(job(2), until_s=soon())

    assert waited.reason.startswith("late: the frame before")
    encoder.gate.release()
    assert (await running).unit is not None
    assert encoder.numbers == [1]
    await stream.close()


async def test_more_frames_than_the_queue_holds_fall_back_at_once(threads: Threads) -> None:
    encoder = Gated()
    stream = stream_of(encoder, threads)
    held = [
        asyncio.create_task(stream.code(job(number), until_s=later()))
        for number in range(1, QUEUE + 1)
    ]
    await asyncio.to_thread(encoder.begun.acquire)

    refused = await stream.code(job(9), until_s=later())

    assert refused.reason.startswith("busy")
    encoder.gate.release(QUEUE)
    assert [answer.unit is not None for answer in await asyncio.gather(*held)] == [True] * QUEUE
    await stream.close()


async def test_an_overloaded_server_falls_back_at_once(threads: Threads) -> None:
    encoder = Gated()
    load = InFlight(1)
    busy = Stream(encoder, threads, load, lambda job, unit: None)
    other = Stream(Instant(), threads, load, lambda job, unit: None)
    running = asyncio.create_task(busy.code(job(1), until_s=later()))
    await asyncio.to_thread(encoder.begun.acquire)

    refused = await other.code(job(1), until_s=later())

    assert refused.reason.startswith("overloaded")
    encoder.gate.release()
    await running
    assert (await other.code(job(2), until_s=later())).unit is not None
    assert load.count == 0
    await busy.close()
    await other.close()


async def test_a_cancelled_call_loses_no_unit_and_no_place(threads: Threads) -> None:
    encoder = Gated()
    load = InFlight(8)
    stream = Stream(encoder, threads, load, lambda job, unit: None)
    given_up = asyncio.create_task(stream.code(job(1), until_s=later()))
    await asyncio.to_thread(encoder.begun.acquire)
    waiting = asyncio.create_task(stream.code(job(2), until_s=later()))
    await asyncio.sleep(0)

    waiting.cancel()
    given_up.cancel()
    await asyncio.wait({given_up, waiting})
    encoder.gate.release(2)
    answer = await stream.code(job(3), until_s=later())

    assert answer.unit is not None
    assert numbers_in(answer.late + answer.unit.data) == [1, 3]
    assert load.count == 0
    assert not stream.busy
    await stream.close()


async def test_after_a_failure_the_next_unit_stands_alone(threads: Threads) -> None:
    encoder = Failing()
    stream = stream_of(encoder, threads)

    first = await stream.code(job(1), until_s=later())
    await stream.code(job(2), until_s=later())

    assert first.reason == "failed: the library refused"
    assert encoder.keys == [False, True]
    await stream.close()


async def test_a_stalled_encoder_holds_up_one_stream_only(threads: Threads) -> None:
    stalled = Gated()
    one, other = stream_of(stalled, threads), stream_of(Instant(), threads)

    late = await one.code(job(1), until_s=soon())
    answers = [await other.code(job(number), until_s=later()) for number in range(1, 20)]

    assert late.unit is None
    assert all(answer.unit is not None for answer in answers)
    stalled.gate.release()
    await one.close()
    await other.close()
    assert stalled.closed


async def test_late_units_are_bounded_and_then_given_up_for_a_key(threads: Threads) -> None:
    encoder = Gated()
    coded = asyncio.Event()
    stream = Stream(encoder, threads, InFlight(8), lambda job, unit: coded.set())
    for number in range(1, 11):
        coded.clear()
        assert (await stream.code(job(number), until_s=soon())).unit is None
        encoder.gate.release()
        await coded.wait()

    encoder.gate.release()
    answer = await stream.code(job(11), until_s=later())

    assert answer.unit is not None
    assert any(encoder.keys)
    first = encoder.numbers[encoder.keys.index(True)]
    assert numbers_in(answer.late + answer.unit.data) == list(range(first, 12))
    await stream.close()


async def test_a_closed_stream_codes_nothing(threads: Threads) -> None:
    stream = stream_of(Instant(), threads)
    await stream.close()

    assert (await stream.code(job(1), until_s=later())).reason == "the stream was closed"


async def test_a_frame_that_waits_does_not_reach_a_closed_encoder(threads: Threads) -> None:
    encoder = Gated()
    load = InFlight(8)
    stream = Stream(encoder, threads, load, lambda job, unit: None)
    running = asyncio.create_task(stream.code(job(1), until_s=later()))
    await asyncio.to_thread(encoder.begun.acquire)
    waiting = asyncio.create_task(stream.code(job(2), until_s=later()))
    await asyncio.sleep(0)

    closing = asyncio.create_task(stream.close())
    await asyncio.sleep(0)
    encoder.gate.release()
    await closing

    assert (await running).unit is not None
    assert (await waiting).reason == "the stream was closed"
    assert encoder.numbers == [1]
    assert load.count == 0


async def test_a_bug_in_an_encoder_is_heard_of_and_ends_no_stream(
    threads: Threads, caplog: pytest.LogCaptureFixture
) -> None:
    class Buggy(Instant):
        def encode(self, job: Job, *, key: bool) -> Any:
            if job.number == 1:
                raise ZeroDivisionError
            return super().encode(job, key=key)

    encoder = Buggy()
    stream = stream_of(encoder, threads)

    with pytest.raises(ZeroDivisionError):
        await stream.code(job(1), until_s=later())
    answer = await stream.code(job(2), until_s=later())

    assert answer.unit is not None
    assert answer.unit.key
    assert "coding a frame failed" in caplog.text
    await stream.close()
