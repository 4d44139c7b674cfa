"""Whether a frame can meet its deadline, decided when it comes: a refusal at once leaves its caller
time to do without the model.

::

    worker that is free first, after the work ahead was given out
        + own cost (upper) + way there and back  <=  deadline

Work ahead counts by its mean, the frame itself by its upper estimate: errors of many means cancel.

Sound goes before pictures, but what a worker has begun it ends.  So while sound flows, a picture
must leave one worker that is free again before the blocks of sound that come meanwhile would be too
late; on a single worker, a model slower than that does not run at all.  If blocks of cost c come at
random and fill a share r of the workers, then of those that come while a worker is taken for w, the
unluckiest waits for ``w + (k^2 / 4) c r / (1 - r)``, counting k deviations of their number: the
maximum over t of ``w - t + r t + k c sqrt(r t / c)``.

An estimate that became too high (the machine was busy for a while) refuses everything, and then
nothing is measured that could bring it down.  Therefore a model that has not run for a while gets
one frame through, whatever is predicted, and another one at once if that was quick.
"""

import heapq
import math
from dataclasses import dataclass
from typing import Final, final

from auralink.engine.inference.backend import Media, Request
from auralink.engine.inference.cost import Cost
from auralink.engine.inference.fair_queue import Entry, FairQueue
from auralink.engine.inference.lanes import Lanes

# An estimate that is wrong costs a quarter of a second of plain pictures, or five where the try may
# cost a block of sound.
_TRY_US: Final = 250_000
_TRY_BESIDE_AUDIO_US: Final = 5_000_000
_AUDIO_FLOWS_US: Final = 500_000  # since its last block: 25 of them
_AUDIO_MEMORY_US: Final = 200_000  # over which its load is averaged
_PIECES: Final = 256
_BURST: Final = 4.0  # k^2 / 4 with four deviations: one block in tens of thousands


@dataclass(frozen=True, slots=True, kw_only=True)
class Queues:
    """One per class, in the order in which they are served."""

    audio: FairQueue
    video: FairQueue

    def of(self, media: Media) -> FairQueue:
        return self.audio if media is Media.AUDIO else self.video


@final
class Admission:
    """
    Args:
        overhead_us: from here to a worker and back, beyond the model's own time.
    """

    def __init__(self, queues: Queues, lanes: Lanes, *, overhead_us: int) -> None:
        self._queues = queues
        self._lanes = lanes
        self._overhead_us = overhead_us
        self._audio_us: int | None = None  # last block of sound
        self._slack_us = 0.0  # that it leaves to whatever runs before it
        self._block_us = 0.0  # cost of one
        self._load = 0.0  # processors that it takes
        self._ran_us: dict[str, int] = {}  # by model, last start; not there: may be tried
        self._trying: set[str] = set()

    def admits(
        self,
        request: Request[object],
        entry: Entry,
        cost: Cost,
        now_us: int,
        *,
        replaces: float,
    ) -> bool:
        """
        Args:
            replaces: cost of an older frame of the stream that goes if this one is admitted.
        """
        if request.media is Media.AUDIO:
            self._note_audio(request, cost, now_us)
        free_in = self._lanes.free_in(now_us)
        if not free_in:
            return False
        ahead_us = max(0.0, self._queues.of(request.media).ahead_us(entry) - replaces)
        if request.media is Media.VIDEO:
            ahead_us += self._queues.audio.work_us
        start_us = _start(free_in, ahead_us, cost.mean_us)
        finish_us = now_us + start_us + cost.upper_us + self._overhead_us
        return finish_us <= request.deadline_us and self.leaves_room(request, cost, now_us)

    def tries(self, request: Request[object], now_us: int) -> bool:
        """Whether a frame that is predicted to be late runs all the same."""
        beside = request.media is Media.VIDEO and self._audio_flows(now_us)
        wait_us = _TRY_BESIDE_AUDIO_US if beside else _TRY_US
        ran_us = self._ran_us.get(request.model)
        waited = ran_us is None or now_us - ran_us >= wait_us
        return waited and bool(self._lanes.free_in(now_us))

    def can_still(self, deadline_us: int, cost: Cost, now_us: int) -> bool:
        """Whether a frame that starts on the next free worker is likely to be in time."""
        free_us = self._lanes.open_in(now_us) or 0.0
        return now_us + free_us + cost.mean_us + self._overhead_us <= deadline_us

    def leaves_room(self, request: Request[object], cost: Cost, now_us: int) -> bool:
        """Whether sound finds a worker in time while this frame runs."""
        if request.media is Media.AUDIO or not self._audio_flows(now_us):
            return True
        free_in = self._lanes.free_in(now_us)
        if not free_in:
            return False
        taken_us = min([free_in[0] + cost.mean_us, *free_in[1:]])
        share = self._load / len(free_in)
        if share >= 1:
            return False
        return taken_us + _BURST * self._block_us * share / (1 - share) <= self._slack_us

    def started(self, request: Request[object], now_us: int, *, tried: bool) -> None:
        self._ran_us[request.model] = now_us
        if tried:
            self._trying.add(request.model)

    def ran(self, request: Request[object], run_us: int, now_us: int) -> None:
        """How long it really took."""
        if request.model not in self._trying:
            return
        self._trying.discard(request.model)
        span_us = request.deadline_us - request.captured_us
        most_us = self._slack_us if self._audio_flows(now_us) else span_us - self._overhead_us
        if run_us <= most_us:
            self._ran_us.pop(request.model, None)

    def _note_audio(self, request: Request[object], cost: Cost, now_us: int) -> None:
        if self._audio_us is not None:
            self._load *= math.exp(-max(0, now_us - self._audio_us) / _AUDIO_MEMORY_US)
        self._load += cost.mean_us / _AUDIO_MEMORY_US
        self._audio_us = now_us
        self._block_us = cost.mean_us
        span_us = request.deadline_us - request.captured_us
        self._slack_us = max(0.0, span_us - cost.upper_us - self._overhead_us)

    def _audio_flows(self, now_us: int) -> bool:
        return self._audio_us is not None and now_us - self._audio_us < _AUDIO_FLOWS_US


def _start(free_in: list[float], ahead_us: float, piece_us: float) -> float:
    """When the worker that is free first begins with what comes after the work ahead.

    Each piece of that work goes to the worker that is free first (list scheduling); pieces count as
    large as the frame in question, which most of them are.
    """
    if len(free_in) == 1:
        return free_in[0] + ahead_us
    pieces = min(math.ceil(ahead_us / max(piece_us, 1.0)), _PIECES)
    for _ in range(pieces):  # a sorted list is a heap
        heapq.heapreplace(free_in, free_in[0] + ahead_us / pieces)
    return free_in[0]
