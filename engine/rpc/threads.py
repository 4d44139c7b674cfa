"""Blocking calls on a few threads, with one wake-up of the event loop for many results.

An executor of the standard library passes each result through two futures and wakes the loop for
each; here results gather in a deque while a wake-up is on its way.  Used from one loop at a time.
"""

import asyncio
import queue
import threading
import time
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Final, TypeVar, final

T = TypeVar("T")

CLOSING_S: Final = 10.0  # more than a worker that hangs is given before it is killed


@dataclass(frozen=True, slots=True)
class _Call:
    work: Callable[[], Any]
    future: asyncio.Future[Any]
    loop: asyncio.AbstractEventLoop


@dataclass(frozen=True, slots=True)
class _Result:
    future: asyncio.Future[Any]
    value: Any
    error: BaseException | None


@final
class Threads:
    """A `Run` with at most so many threads, which are started when they are needed."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._threads: list[threading.Thread] = []
        self._running = 0  # calls without an answer; the loop's business
        self._calls: queue.SimpleQueue[_Call | None] = queue.SimpleQueue()
        self._results: deque[_Result] = deque()
        self._waking = False
        self._closed = False

    def __call__(self, work: Callable[[], T], /) -> Awaitable[T]:
        """
        Raises:
            RuntimeError: closed.
        """
        if self._closed:
            raise RuntimeError("the threads have ended")
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()
        self._running += 1
        if self._running > len(self._threads) < self._most:
            name = f"rpc_{len(self._threads)}"
            thread = threading.Thread(target=self._serve, name=name, daemon=True)
            self._threads.append(thread)
            thread.start()
        self._calls.put(_Call(work, future, loop))
        return future

    def close(self, limit_s: float = CLOSING_S) -> None:
        """Wait for all calls, for so long in all; one that hangs is left behind.  Blocks."""
        self._closed = True
        until_s = time.monotonic() + limit_s
        for _ in self._threads:
            self._calls.put(None)
        for thread in self._threads:
            thread.join(max(0.0, until_s - time.monotonic()))

    def _serve(self) -> None:
        while (call := self._calls.get()) is not None:
            try:
                result = _Result(call.future, call.work(), None)
            except BaseException as error:  # whatever it is belongs to whoever waits
                result = _Result(call.future, None, error)
            self._results.append(result)
            # Read after the append: whoever cleared the flag before looks at the deque after.
            if not self._waking:
                self._waking = True
                try:
                    call.loop.call_soon_threadsafe(self._deliver)
                except RuntimeError:  # the loop has ended, and with it whoever waited
                    self._waking = False

    def _deliver(self) -> None:
        self._waking = False
        while self._results:
            result = self._results.popleft()
            self._running -= 1
            if result.future.done():
                continue  # nobody waits any more
            if result.error is None:
                result.future.set_result(result.value)
            else:
                result.future.set_exception(result.error)
