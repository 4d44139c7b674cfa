"""Blocking calls beside the loop, and decoders that are closed after their last call."""

import asyncio
import threading

import pytest

from auralink.engine.rpc.decoders import Decoded
from auralink.engine.rpc.decoding import Decoding
from auralink.engine.rpc.threads import Threads


async def test_results_and_errors_come_back_to_who_asked() -> None:
    threads = Threads(3)

    def odd(number: int) -> int:
        if number % 2 == 0:
            raise ValueError(number)
        return number

    asked = [threads(lambda number=number: odd(number)) for number in range(200)]
    answers = await asyncio.gather(*asked, return_exceptions=True)

    for number, answer in enumerate(answers):
        if number % 2:
            assert answer == number
        else:
            assert isinstance(answer, ValueError)
            assert answer.args == (number,)
    threads.close()


async def test_no_more_threads_than_calls_or_than_allowed() -> None:
    threads = Threads(3)
    before = threading.active_count()
    for _ in range(5):
        await threads(lambda: None)
    one_by_one = threading.active_count() - before
    gate = threading.Semaphore(0)

    waiting = [asyncio.ensure_future(threads(gate.acquire)) for _ in range(10)]
    await asyncio.sleep(0)

    assert one_by_one == 1
    assert threading.active_count() - before == 3
    gate.release(10)
    assert await asyncio.gather(*waiting) == [True] * 10
    threads.close()
    assert threading.active_count() == before


async def test_the_loop_runs_while_a_call_blocks() -> None:
    threads = Threads(1)
    gate = threading.Event()
    blocked = asyncio.ensure_future(threads(gate.wait))

    await asyncio.sleep(0.01)

    assert not blocked.done()
    gate.set()
    assert await blocked
    threads.close()


async def test_a_call_that_nobody_waits_for_harms_nothing() -> None:
    threads = Threads(1)
    gate = threading.Event()
    given_up = asyncio.ensure_future(threads(gate.wait))
    await asyncio.sleep(0)

    given_up.cancel()
    gate.set()

    assert await threads(lambda: 7) == 7
    threads.close()


async def test_a_call_that_hangs_does_not_hold_up_the_end() -> None:
    threads = Threads(1)
    gate = threading.Event()
    hung = asyncio.ensure_future(threads(gate.wait))
    await asyncio.sleep(0)

    threads.close(limit_s=0.01)

    assert not hung.done()
    gate.set()
    assert await hung


async def test_nothing_is_taken_after_the_end() -> None:
    threads = Threads(1)
    threads.close()

    with pytest.raises(RuntimeError, match="ended"):
        threads(lambda: None)


class Watched:
    """A decoder that notices if it is closed while it decodes."""

    def __init__(self) -> None:
        self.gate = threading.Semaphore(0)
        self.begun = threading.Semaphore(0)
        self.busy = False
        self.closed_while_busy: bool | None = None

    def decode(self, data: bytes) -> Decoded:
        self.busy = True
        self.begun.release()
        self.gate.acquire()
        self.busy = False
        return Decoded()

    def close(self) -> None:
        self.closed_while_busy = self.busy


async def test_a_decoder_is_closed_after_the_call_that_its_caller_gave_up() -> None:
    threads = Threads(4)
    decoder = Watched()
    decoding = Decoding(lambda: decoder, threads)
    asking = asyncio.create_task(decoding.decode(b""))
    await asyncio.to_thread(decoder.begun.acquire)

    asking.cancel()
    closing = asyncio.create_task(decoding.close())
    await asyncio.wait({asking})
    decoder.gate.release()
    await closing

    assert decoder.closed_while_busy is False
    threads.close()


async def test_a_decoder_that_was_never_asked_is_never_opened() -> None:
    threads = Threads(1)
    opened: list[Watched] = []

    def opening() -> Watched:
        opened.append(Watched())
        return opened[-1]

    await Decoding(opening, threads).close()

    assert not opened
    threads.close()
