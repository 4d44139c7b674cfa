"""Stops runs of ONNX Runtime that take too long, from one thread for all of them.

ONNX Runtime looks at ``RunOptions.terminate`` between two nodes of a graph, so a run ends within
one node of its limit; a single node that hangs cannot be ended but with its process.
"""

import heapq
import itertools
import threading
import time
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from typing import final

import onnxruntime as ort


@final
class Deadlines:
    """Its thread starts with the first limit and ends with the object."""

    def __init__(self) -> None:
        self._watch = _Watch()
        weakref.finalize(self, self._watch.stop)

    @contextmanager
    def within(self, limit_s: float | None) -> Iterator[ort.RunOptions]:
        """Options for one run, which is told to end after so many seconds; None: never."""
        options = ort.RunOptions()
        if limit_s is None:
            yield options
            return
        entry = self._watch.add(options, time.monotonic() + limit_s)
        try:
            yield options
        finally:
            self._watch.drop(entry)


class _Watch:
    """The thread's side; knows nothing of the `Deadlines` that owns it."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._numbers = itertools.count()
        self._heap: list[tuple[float, int]] = []  # when, and which
        self._running: dict[int, ort.RunOptions] = {}
        self._stopped = False
        self._thread: threading.Thread | None = None

    def add(self, options: ort.RunOptions, at: float) -> int:
        with self._changed:
            number = next(self._numbers)
            self._running[number] = options
            heapq.heappush(self._heap, (at, number))
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="deadlines", daemon=True)
                self._thread.start()
            elif self._heap[0][1] == number:  # earlier than what the thread waits for
                self._changed.notify()
        return number

    def drop(self, number: int) -> None:
        """The run has ended.  Its place in the heap goes when its time comes."""
        with self._changed:
            del self._running[number]

    def stop(self) -> None:
        with self._changed:
            self._stopped = True
            self._changed.notify()

    def _run(self) -> None:
        with self._changed:
            while not self._stopped:
                now = time.monotonic()
                while self._heap and self._heap[0][0] <= now:
                    _, number = heapq.heappop(self._heap)
                    if number in self._running:
                        self._running[number].terminate = True
                self._changed.wait(self._heap[0][0] - now if self._heap else None)
