"""What is with the workers, and when one of them will be free: an estimate, never a promise.

::

    lane 0   [ runs, began 3 ms ago, takes 8 ] [ waits, takes 2 ]      free in 7 ms
    lane 1   [ runs, began 40 ms ago, takes 8 ]                        overdue: counted out

A lane stands for a worker.  Who really runs what is the backend's choice; as both take the worker
that is free first, the difference does not matter.

The second job is handed over when the first is nearly done and not before: early enough that the
worker need not wait for it, late enough that a better one may still come.

A worker that takes far longer than its model ever did is overdue and counted out until it answers:
frames are refused at once instead of waiting behind one that may never come back.
"""

import math
from dataclasses import dataclass, field
from typing import Final, final

PER_WORKER: Final = 2  # one that runs, one that waits so that the worker need not
_HANDOVER_US: Final = 2_000  # twice the way to a worker on a busy event loop
_OVERDUE: Final = 2.0  # times the expected time,
_OVERDUE_US: Final = 5_000  # and never less than this on top: threads are not scheduled at once
_NEARLY_DONE: Final = 0.1  # of the mean is left of a job that runs longer than it


@dataclass(slots=True)
class _Job:
    number: int
    mean_us: float
    upper_us: float


@dataclass(slots=True)
class _Lane:
    jobs: list[_Job] = field(default_factory=list)
    since_us: int = 0  # the first one runs

    def left_us(self, now_us: int) -> float:
        """Until it is free."""
        if not self.jobs:
            return 0.0
        first = self.jobs[0]
        left = first.mean_us - (now_us - self.since_us)
        return max(left, _NEARLY_DONE * first.mean_us) + sum(job.mean_us for job in self.jobs[1:])

    def overdue(self, now_us: int) -> bool:
        if not self.jobs:
            return False
        return now_us - self.since_us > _OVERDUE * self.jobs[0].upper_us + _OVERDUE_US

    def takes(self, now_us: int) -> bool:
        """Whether it can be given a job now."""
        if not self.jobs:
            return True
        if len(self.jobs) >= PER_WORKER or self.overdue(now_us):
            return False
        return self.left_us(now_us) <= _HANDOVER_US


@final
class Lanes:
    def __init__(self, workers: int) -> None:
        if workers < 1:
            raise ValueError(f"{workers} workers run nothing")
        self._lanes = [_Lane() for _ in range(workers)]
        self._where: dict[int, _Lane] = {}

    def __len__(self) -> int:
        """Jobs with the workers."""
        return len(self._where)

    def free_in(self, now_us: int) -> list[float]:
        """Microseconds until each worker is free, soonest first; those overdue are left out."""
        return sorted(lane.left_us(now_us) for lane in self._lanes if not lane.overdue(now_us))

    def open_in(self, now_us: int) -> float | None:
        """Until the worker that `put` would take is free; None: none takes another job."""
        lane = self._best(now_us)
        return None if lane is None else lane.left_us(now_us)

    def next_us(self, now_us: int) -> int | None:
        """When another worker will take a job, if nothing comes back before; None: unknown."""
        soon = [
            now_us + max(0.0, lane.left_us(now_us) - _HANDOVER_US)
            for lane in self._lanes
            if len(lane.jobs) < PER_WORKER and not lane.overdue(now_us)
        ]
        return math.ceil(min(soon)) if soon else None

    def put(self, number: int, *, mean_us: float, upper_us: float, now_us: int) -> None:
        """Give a job to the worker that is free first.  `open_in` must not be None."""
        lane = self._best(now_us)
        assert lane is not None
        if not lane.jobs:
            lane.since_us = now_us
        lane.jobs.append(_Job(number, mean_us, upper_us))
        self._where[number] = lane

    def running_us(self, number: int, now_us: int) -> int:
        """How long a job has been running; 0 while it waits at its worker."""
        lane = self._where.get(number)
        if lane is None or lane.jobs[0].number != number:
            return 0
        return now_us - lane.since_us

    def remove(self, number: int, now_us: int) -> None:
        """The backend gave it back."""
        lane = self._where.pop(number)
        was_first = lane.jobs[0].number == number
        lane.jobs = [job for job in lane.jobs if job.number != number]
        if was_first:
            lane.since_us = now_us

    def _best(self, now_us: int) -> _Lane | None:
        usable = (lane for lane in self._lanes if lane.takes(now_us))
        return min(usable, key=lambda lane: lane.left_us(now_us), default=None)
