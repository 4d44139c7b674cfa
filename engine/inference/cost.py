"""How long a model takes, learned while it runs: mean, deviation, and an estimate to promise by.

Mean and variance are exponentially weighted, updated as T. Finch has it ("Incremental calculation
of weighted mean and variance", 2009, section 9).  The promise is mean plus two deviations, the idea
of the retransmission timer of RFC 6298: a mean alone would be too short for half of the frames.

One frame that hit a stalled machine must not make the estimate useless for seconds, so a sample
counts at most twice the present estimate: a model that truly became ten times slower is known as
such after a handful of frames, and a single hiccup is forgotten as quickly.
"""

import math
from collections import OrderedDict
from dataclasses import dataclass
from typing import Final, TypeAlias, final

Key: TypeAlias = tuple[str, tuple[int, int]]

_WEIGHT: Final = 0.1  # of one frame: nine tenths of a change are known after 22 frames
_DEVIATIONS: Final = 2.0
_CLIP: Final = 2.0  # times the estimate
_KEYS: Final = 128  # sizes come from streams: the ones used last are remembered
_FIRST_DEVIATION: Final = 0.25  # of the first sample; nothing is known of the spread yet


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """Microseconds of one frame on one worker.

    Attributes:
        upper_us: what to count with where a promise depends on it.
    """

    mean_us: float
    upper_us: float


@final
class CostModel:
    """
    Args:
        unknown_us: of a model that has not run yet, at any size.
    """

    def __init__(self, *, unknown_us: int = 5_000) -> None:
        self._unknown = Cost(mean_us=unknown_us, upper_us=unknown_us)
        self._known: OrderedDict[Key, _Moments] = OrderedDict()

    def __len__(self) -> int:
        return len(self._known)

    def observe(self, model: str, size: tuple[int, int], run_us: int) -> None:
        """A frame ran."""
        key = model, size
        moments = self._known.get(key)
        if moments is None:
            self._known[key] = _Moments(float(run_us))
            if len(self._known) > _KEYS:
                self._known.popitem(last=False)
            return
        self._known.move_to_end(key)
        moments.enter(float(run_us))

    def of(self, model: str, size: tuple[int, int]) -> Cost:
        """Of a size that never ran: in proportion, from the nearest one that did."""
        moments = self._known.get((model, size))
        if moments is not None:
            return moments.cost
        known = [(other, costs) for (name, other), costs in self._known.items() if name == model]
        if not known:
            return self._unknown
        nearest, moments = min(known, key=lambda one: abs(math.log(_area(one[0]) / _area(size))))
        factor = _area(size) / _area(nearest)
        cost = moments.cost
        return Cost(mean_us=cost.mean_us * factor, upper_us=cost.upper_us * factor)


class _Moments:
    __slots__ = ("_mean", "_variance", "cost")

    def __init__(self, first: float) -> None:
        self._mean = first
        self._variance = (_FIRST_DEVIATION * first) ** 2
        self.cost = self._estimate()

    def enter(self, sample: float) -> None:
        difference = min(sample, _CLIP * self.cost.upper_us) - self._mean
        step = _WEIGHT * difference
        self._mean += step
        self._variance = (1 - _WEIGHT) * (self._variance + difference * step)
        self.cost = self._estimate()

    def _estimate(self) -> Cost:
        deviation = math.sqrt(self._variance)
        return Cost(mean_us=self._mean, upper_us=self._mean + _DEVIATIONS * deviation)


def _area(size: tuple[int, int]) -> int:
    return max(1, size[0] * size[1])
