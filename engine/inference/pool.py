"""Worker processes for many streams, replaced when they fail.

::

    Seat ──► worker 1 ── streams a, c        crew thread, every 50 ms:
    Seat ──► worker 2 ── stream b              a heartbeat that stands still -> give up
    ...      spare    ── started, idle         one that is gone -> spare takes over, start another

A stream sits at one worker, because its codec's state lives there, and moves to another when that
one is gone: then it starts anew.  The spare makes moving quick: a new interpreter takes a third of
a second, a spare none.  Workers that keep dying are started again later and later, and a stream
whose frames keep killing them has to wait as well.
"""

import contextlib
import itertools
import os
import threading
import time
import weakref
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Self, final

import psutil

from auralink.engine.inference.backoff import MOST_S, Backoff
from auralink.engine.inference.hosts import DEADLINE_S, Seat
from auralink.engine.inference.messages import DESK, Done, Job
from auralink.engine.inference.seat import WorkerSeat
from auralink.engine.inference.services import Make
from auralink.engine.inference.tools import LiveTools, Probe, Survey, Swap, no_tools
from auralink.engine.inference.worker import START_S, Worker, WorkerLost
from auralink.engine.inference.worker_process import Setup
from auralink.engine.telemetry.timeline import NO_TIMELINE, Timeline
from auralink.models.errors import ModelError, SwapRefused
from auralink.models.live import LiveStatistics
from auralink.models.manifest import Entry

_GLANCE_S: Final = 0.05
_DRAIN_S: Final = 0.2  # for the calls of other streams, after one has hung
_WEIGH_S: Final = 1.0  # how often memory is looked at
_SWAP_S: Final = 20.0


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
class WorkerPool:
    """Thread-safe.  Close it, or let go of it: both end its processes.

    Args:
        timeline: takes a span for every call, on a row for each worker.
    """

    def __init__(
        self, settings: PoolSettings | None = None, *, timeline: Timeline = NO_TIMELINE
    ) -> None:
        self._timeline = timeline
        self._settings = settings or PoolSettings()
        self._crew = _Crew(self._settings)
        self._desk = threading.Lock()  # one question at a time to the workers' desks
        self._asked = itertools.count(1)
        self._live = 0  # number of the swap that serves
        self._end = weakref.finalize(self, self._crew.end)

    def seat(
        self,
        make: Make,
        *,
        doing: str,
        deadline_s: float = DEADLINE_S,
        start_s: float = START_S,
    ) -> Seat:
        """See `Host.seat`."""
        return WorkerSeat(
            self,
            make,
            doing=doing,
            deadline_s=deadline_s,
            start_s=start_s,
            backoff=Backoff(most_s=self._settings.most_backoff_s),
            timeline=self._timeline,
        )

    @property
    def workers(self) -> int:
        """How many streams sit at, spares not counted."""
        return self._settings.workers

    def take(self) -> Worker:
        """See `Places`."""
        return self._crew.take()

    def give_back(self, worker: Worker) -> None:
        self._crew.give_back(worker)

    def number(self) -> int:
        return self._crew.number()

    def wait_started(self, limit_s: float = START_S) -> bool:
        """Start all workers and spares, and wait for them; False if they are not in time."""
        return self._crew.wait_started(limit_s)

    def pids(self) -> list[int]:
        """Of the workers that can be asked, those with most streams first."""
        workers = sorted(self._crew.usable(), key=lambda worker: -worker.seats)
        return [worker.pid for worker in workers]

    def statistics(self) -> PoolStatistics:
        return self._crew.statistics()

    @property
    def entry(self) -> Entry | None:
        """The model that workers serve."""
        return self._crew.entry

    def swap(self, entry: Entry) -> None:
        """Let all workers serve another model; frames go on meanwhile.

        The first worker checks it (hash, ports, golden vectors) before the others are asked.  One
        swap at a time; of those that wait, the one asked for last wins.

        Raises:
            ModelError: it is not good, as the worker said it; all serve what they did.
            SwapRefused: a swap that was asked for later is live already.
            WorkerLost: no worker could be asked.
        """
        number = next(self._asked)
        with self._desk:
            before = self._crew.entry
            if before is None:
                raise SwapRefused("this pool was opened without a model")
            if number < self._live:
                raise SwapRefused(
                    f"{entry.label} {entry.version}: a swap that was asked for later is live"
                )
            asked: list[Worker] = []
            try:
                self._ask_all(entry, asked)
                if not asked:
                    raise WorkerLost("no worker to ask")
            except ModelError:
                self._ask_all(before, [], only=asked)
                raise
            self._live = number
            self._crew.entry = entry
            self._ask_all(entry, asked)  # those that started in the meantime

    def probe(self) -> int:
        """Run the golden vectors on a worker.

        Returns:
            Microseconds that a frame took.

        Raises:
            AuraLinkError: they do not match, or the worker was lost.
        """
        with self._desk:
            worker = self._crew.take()
            try:
                spent_us = _ask_desk(worker, Probe(), "probing")
            finally:
                self._crew.give_back(worker)
        assert isinstance(spent_us, int)
        return spent_us

    def models(self) -> list[LiveStatistics]:
        """What each worker serves, and what it still keeps of what it served before."""
        found = []
        with self._desk:
            for worker in self._crew.usable():
                with contextlib.suppress(WorkerLost):
                    statistics = _ask_desk(worker, Survey(), "telling of its model")
                    assert isinstance(statistics, LiveStatistics)
                    found.append(statistics)
        return found

    def close(self) -> None:
        """End all workers; safe to call twice."""
        self._end()

    def _ask_all(
        self, entry: Entry, asked: list[Worker], only: Sequence[Worker] | None = None
    ) -> None:
        """Swap at all that are not in `asked`, which then has them."""
        for worker in self._crew.usable() if only is None else only:
            if worker in asked:
                continue
            # A worker that is lost now is replaced by one that starts with what serves then.
            with contextlib.suppress(WorkerLost):
                _ask_desk(worker, Swap(entry), "swapping its model")
                asked.append(worker)


def default_workers() -> int:
    """One core is left for everything else."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return max(1, (cores or 1) - 1)


def _ask_desk(worker: Worker, order: object, doing: str) -> object:
    job = Job(seat=DESK, order=order, ticket=None, room=None)
    answer = worker.call(DESK, job, _SWAP_S, doing)
    assert isinstance(answer, Done)
    return answer.value


@final
class _Crew:
    """The processes and the thread that looks after them; knows nothing of the `WorkerPool`."""

    def __init__(self, settings: PoolSettings) -> None:
        self.entry = settings.entry
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
        self._weighed_at = 0.0
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
                    f"no worker: {self._lost} died, the last one: {self._last_cause}; "
                    f"the next starts in {wait_s:.1f} s"
                )
            found.seats += 1
            return found

    def give_back(self, worker: Worker) -> None:
        with self._changed:
            worker.seats -= 1

    def wait_started(self, limit_s: float) -> bool:
        until = time.monotonic() + limit_s
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
            weigh = now - self._weighed_at >= _WEIGH_S
            if weigh:
                self._weighed_at = now
            for worker in workers:
                worker.check(now, self._settings.worker_bytes if weigh else 0)
            for worker in gone:
                if worker.drained(now, _DRAIN_S):
                    worker.kill()
                    with self._changed:
                        self._gone.remove(worker)
            with self._changed:
                if self._settings.spares and not self._ended:
                    self._fill()

    def _fill(self) -> None:
        """Under the lock: start what is missing, one while workers keep dying."""
        while len(self._workers) < self.wanted and not self._backoff.wait_s(time.monotonic()):
            tools = LiveTools(self.entry) if self.entry else no_tools
            self._workers.append(Worker(Setup(tools), self._when_lost))
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
