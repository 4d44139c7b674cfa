"""The worker processes of a pool, and the thread that looks after them.

::

    every 50 ms:  a heartbeat that stands still, too much memory  ->  give the worker up
                  one given up and done with its calls            ->  kill it
                  one missing                                     ->  start another, unless they
                                                                      keep dying
"""

import contextlib
import itertools
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Self, final

import psutil

from auralink.engine.inference.backoff import MOST_S, Backoff
from auralink.engine.inference.messages import DESK
from auralink.engine.inference.tools import LiveTools, no_tools
from auralink.engine.inference.worker import Worker, WorkerLost
from auralink.engine.inference.worker_process import Setup
from auralink.models.manifest import Entry

_GLANCE_S: Final = 0.05
_DRAIN_S: Final = 0.2  # for the calls of other streams, after one has hung
_EXAMINE_S: Final = 1.0  # how often the system is asked about workers


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolSettings:
    """
    Attributes:
        workers: processes that streams sit at; `default_workers` knows how many.
        spares: started and idle, to take over at once.
        seats: streams at a time; one more is refused.
        worker_bytes: a worker that holds more memory is replaced; 0: no bound.
        most_backoff_s: longest pause before a worker that keeps dying is started again.
        entry: the model of the workers' networks; None: none.
    """

    workers: int = 1
    spares: int = 1
    seats: int = 256
    worker_bytes: int = 0
    most_backoff_s: float = MOST_S
    entry: Entry | None = None

    @classmethod
    def for_machine(cls, *, workers: int, entry: Entry | None) -> Self:
        """All workers together may hold half of the memory."""
        most = psutil.virtual_memory().total // (2 * workers)
        return cls(workers=workers, worker_bytes=most, entry=entry)


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolStatistics:
    workers: int  # that can be asked, spares included
    wanted: int
    seats: int
    busy: int  # calls that run
    started: int  # processes, since the beginning
    lost: int  # that were not ended on purpose
    last_cause: str  # why the last one was lost
    model: str  # label and version that new workers start with


@final
class Crew:
    """The processes and the thread that looks after them.

    It knows nothing of the `WorkerPool`, so that one that is forgotten can be collected and end it.
    """

    def __init__(self, settings: PoolSettings) -> None:
        self.entry = settings.entry
        self.sizes: tuple[tuple[int, int], ...] = ()  # of pictures in use, the newest last
        self._settings = settings
        self._changed = threading.Condition(threading.RLock())
        self._workers: list[Worker] = []
        self._gone: list[Worker] = []  # given up, and perhaps not dead yet
        self._numbers = itertools.count(DESK + 1)
        self._backoff = Backoff(most_s=settings.most_backoff_s)
        self._started = 0
        self._lost = 0
        self._last_cause = ""
        self._ended = False
        self._examined_at = 0.0
        self._thread = threading.Thread(target=self._look_after, name="worker pool", daemon=True)
        self._thread.start()

    @property
    def wanted(self) -> int:
        return self._settings.workers + self._settings.spares

    def number(self) -> int:
        return next(self._numbers)

    def usable(self) -> list[Worker]:
        with self._changed:
            return [worker for worker in self._workers if worker.usable]

    def take(self) -> Worker:
        with self._changed:
            if self._ended:
                raise WorkerLost("the worker pool is closed: open a new one")
            seated = sum(worker.seats for worker in self._workers)
            if seated >= self._settings.seats:
                raise WorkerLost(f"all {seated} seats of the worker pool are taken")
            self._fill()
            found = placed(self.usable(), self._settings.workers)
            if found is None:
                wait_s = self._backoff.wait_s(time.monotonic())
                raise WorkerLost(
                    f"no worker: {self._lost} were lost, last: {self._last_cause}; "
                    f"the next starts in {wait_s:.1f} s"
                )
            found.seats += 1
            return found

    def give_back(self, worker: Worker) -> None:
        with self._changed:
            worker.seats -= 1

    def wait_started(self, limit_s: float) -> bool:
        until = time.monotonic() + limit_s
        with self._changed:
            self._fill()  # without spares nothing starts before it is asked for
        while time.monotonic() < until:
            up = [worker for worker in self.usable() if worker.started]
            if len(up) >= self.wanted:
                return True
            with self._changed:
                self._changed.wait(_GLANCE_S)
        return False

    def statistics(self) -> PoolStatistics:
        with self._changed:
            usable = self.usable()
            entry = self.entry
            return PoolStatistics(
                workers=len(usable),
                wanted=self.wanted,
                seats=sum(worker.seats for worker in usable),
                busy=sum(worker.busy for worker in usable),
                started=self._started,
                lost=self._lost,
                last_cause=self._last_cause,
                model=f"{entry.label} {entry.version}" if entry else "",
            )

    def end(self) -> None:
        with self._changed:
            self._ended = True
            workers, self._workers = self._workers, []
            gone, self._gone = self._gone, []
            self._changed.notify_all()
        for worker in workers:
            worker.end()
        for worker in gone:
            worker.kill()
        if self._thread is not threading.current_thread():
            self._thread.join()

    def _look_after(self) -> None:
        while True:
            with self._changed:
                self._changed.wait(_GLANCE_S)
                if self._ended:
                    return
                workers, gone = list(self._workers), list(self._gone)
            now = time.monotonic()
            due = now - self._examined_at >= _EXAMINE_S
            if due:
                self._examined_at = now
            for worker in workers:
                worker.check(now)
                if due:
                    worker.examine(self._settings.worker_bytes)
            for worker in gone:
                if worker.drained(now, _DRAIN_S):
                    worker.kill()
                    with self._changed, contextlib.suppress(ValueError):  # all have ended meanwhile
                        self._gone.remove(worker)
            with self._changed:
                if self._settings.spares and not self._ended:
                    self._fill()

    def _fill(self) -> None:
        """Under the lock: start what is missing, unless workers keep dying."""
        while len(self._workers) < self.wanted and not self._backoff.wait_s(time.monotonic()):
            tools = LiveTools(self.entry, self.sizes) if self.entry else no_tools
            try:
                worker = Worker(Setup(tools), self._when_lost)
            except OSError as exc:  # no memory, no process ids, no file descriptors
                self._last_cause = f"worker could not be started: {exc}"
                self._backoff.died(time.monotonic())
                return
            self._workers.append(worker)
            self._started += 1
            self._changed.notify_all()

    def _when_lost(self, worker: Worker) -> None:
        with self._changed:
            if worker not in self._workers:  # ended on purpose
                return
            self._workers.remove(worker)
            self._gone.append(worker)
            self._lost += 1
            self._last_cause = worker.cause
            self._backoff.died(time.monotonic())
            self._changed.notify_all()


def placed(workers: Sequence[Worker], most: int) -> Worker | None:
    """The worker for one more stream: the one with the fewest, but at most so many are in use.

    One that is not up yet, or has a call that takes suspiciously long, is the last resort.
    """
    good = [worker for worker in workers if worker.started and not worker.doubts]
    ready = good or list(workers)
    seated = [worker for worker in ready if worker.seats]
    among = seated if len(seated) >= most else ready
    return min(among, key=lambda worker: worker.seats, default=None)
