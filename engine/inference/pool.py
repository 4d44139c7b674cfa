"""Worker processes for many streams, replaced when they fail.

::

    Seat ──► worker 1 ── streams a, c
    Seat ──► worker 2 ── stream b
    ...      spare    ── started, idle: takes over from one that is gone

A stream sits at one worker, because its codec's state lives there, and moves to another when that
one is gone: then it starts anew.  The spare makes moving quick: a new interpreter takes a third of
a second, a spare none.  Workers that keep dying are started again later and later, and a stream
whose frames keep killing them has to wait as well.
"""

import atexit
import contextlib
import itertools
import os
import threading
import weakref
from collections.abc import Sequence
from typing import Final, final

from auralink.codecs.errors import AuraLinkError
from auralink.engine.inference.backoff import Backoff
from auralink.engine.inference.crew import Crew, PoolSettings, PoolStatistics
from auralink.engine.inference.hosts import DEADLINE_S, Seat
from auralink.engine.inference.messages import DESK, Done, Job
from auralink.engine.inference.seat import WorkerSeat
from auralink.engine.inference.services import Make
from auralink.engine.inference.tools import Probe, Survey, Swap, Warm
from auralink.engine.inference.worker import START_S, Worker, WorkerLost
from auralink.engine.timeline import NO_TIMELINE, Timeline
from auralink.models.errors import ModelError, SwapRefused
from auralink.models.live import LiveStatistics
from auralink.models.manifest import Entry
from auralink.models.runtime import MAX_SIZES

__all__ = ["PoolSettings", "PoolStatistics", "WorkerPool", "default_workers"]

_SWAP_S: Final = 20.0


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
        self._crew = Crew(self._settings)
        self._desk = threading.Lock()  # one question at a time to the workers' desks
        self._asked = itertools.count(1)
        self._live = 0  # number of the swap that serves
        self._end = weakref.finalize(self, self._crew.end)
        # Before multiprocessing's own exit, which sends a signal that workers do not obey.
        atexit.register(self._end)

    def seat(
        self,
        make: Make,
        *,
        doing: str,
        deadline_s: float = DEADLINE_S,
        busy_s: float = 0.0,
        start_s: float = START_S,
    ) -> Seat:
        """See `Host.seat`."""
        return WorkerSeat(
            self,
            make,
            doing=doing,
            deadline_s=deadline_s,
            busy_s=busy_s,
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

    def warm_up(self, width: int, height: int) -> None:
        """Let all workers, spares too, and those that come be ready for pictures of that size."""
        size = width, height
        with self._desk:
            known = [one for one in self._crew.sizes if one != size]
            self._crew.sizes = (*known, size)[-MAX_SIZES:]
            for worker in self._crew.usable():
                with contextlib.suppress(AuraLinkError):  # it is lost, and its successor told
                    _ask_desk(worker, Warm(width, height), "making ready for a size")

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
        atexit.unregister(self._end)
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
    job = Job(order=order, ticket=None, room=None)
    answer = worker.call(DESK, job, _SWAP_S, doing)
    assert isinstance(answer, Done)
    return answer.value
