"""How much to send by what gets lost, where some loss is the link's own and no congestion.  Pure.

::

    loss grows ──► send less for a moment ──┬─ fewer get lost: it was congestion, stay there
                   (a trial)                └─ as many get lost: the link loses them anyway;
                                               go back, and count from that loss on

Below 2 % more, above 10 % less, in between as before is draft-ietf-rmcat-gcc-02, section 6.  Radio
links lose a tenth and more at any rate; by that rule a call over one starves.  The idea of telling
both kinds apart is that of libwebrtc's second loss-based estimator, the trial is ours: of what a
congested link of capacity C loses, ``1 - C / rate``, a known part must vanish when the rate is cut.

Limits: where greedy flows of others fill the queue at any rate of ours, their loss is taken for the
link's own.  The delay that such a queue causes still counts, see `delay_estimate`.
"""

from collections import deque
from dataclasses import dataclass
from statistics import fmean
from typing import Final, final

_CALM: Final = 0.02
_HEAVY: Final = 0.10
_GROW: Final = 1.05
_GROW_EVERY_US: Final = 500_000
_LEAST_CUT: Final = 0.15  # less could not be told from chance with a thin stream's packets
_LATEST: Final = 4  # reports, a second
_MEMORY: Final = 8
_ON_ITS_WAY: Final = 2  # reports after a cut that still speak of before
_MOST_OWN: Final = 0.4  # who loses more is congested, or no link for a call
_AGAIN_US: Final = 10_000_000  # what was concluded is put to the test again
# Of the difference, per report: a loss that lasts without being heavy is the link's own, too, and
# what is no longer lost is forgotten.
_FOLLOW: Final = 0.05


@dataclass(frozen=True, slots=True)
class _Trial:
    before_bps: float
    loss: float
    congested: float  # what would still get lost if all of it was congestion


@final
class LossLimit:
    """
    Args:
        most_bps, least_bps: never beyond these.
    """

    def __init__(self, *, most_bps: float, least_bps: float) -> None:
        self.rate_bps = most_bps
        self.own = 0.0  # what the link loses at any rate, 0..1
        self._most_bps = most_bps
        self._least_bps = least_bps
        self._recent: deque[float] = deque(maxlen=_MEMORY)
        self._trial: _Trial | None = None
        self._skip = 0
        self._grown_us = self._tried_us = 0

    def hear(self, now_us: int, loss: float, sending_bps: float) -> None:
        """
        Args:
            loss: share of packets since the report before.
            sending_bps: allowed right now, by whatever limit.
        """
        if self._skip:
            self._skip -= 1
            return
        self._recent.append(loss)
        if self._trial is not None:
            if len(self._recent) == _MEMORY:
                self._conclude(self._trial)
            return
        mean = fmean(list(self._recent)[-_LATEST:])
        excess = (mean - self.own) / (1 - self.own)
        doubtful = mean > _HEAVY and now_us - self._tried_us >= _AGAIN_US
        if (excess > _HEAVY or doubtful) and len(self._recent) >= _LATEST:
            self._tried_us = now_us
            self._begin(mean, sending_bps)
            return
        self.own = min(self.own + _FOLLOW * (mean - self.own), _MOST_OWN)
        if excess < _CALM and now_us - self._grown_us >= _GROW_EVERY_US:
            self._grown_us = now_us
            self.rate_bps = min(self.rate_bps * _GROW, self._most_bps)

    def _begin(self, loss: float, sending_bps: float) -> None:
        kept = 1 - max(_LEAST_CUT, 0.5 * loss)
        congested = max(0.0, 1 - (1 - loss) / kept)
        self._trial = _Trial(sending_bps, loss, congested)
        self.rate_bps = max(sending_bps * kept, self._least_bps)
        self._recent.clear()
        self._skip = _ON_ITS_WAY

    def _conclude(self, trial: _Trial) -> None:
        self._trial = None
        mean = fmean(self._recent)
        if mean > (trial.loss + trial.congested) / 2:
            self.own = min(max(self.own, mean), _MOST_OWN)
            self.rate_bps = max(self.rate_bps, trial.before_bps)
        else:
            self.own = min(self.own, mean)
