"""What samples of a link say about it: bandwidth now and soon, stability, a class.  Pure.

*Available* is the median of the samples, each weighted by 2^(-age / 5 s): up to half of the weight
may be outliers without effect.

*Predicted*, for the next five seconds, is meant to be kept, not to be met on average: the harmonic
mean of the last five samples, divided by one plus the largest relative error that this very
predictor made over the last five (robust MPC: Yin, Jindal, Sekar, Sinopoli, "A Control-Theoretic
Approach for Dynamic Adaptive Video Streaming over HTTP", SIGCOMM 2015; the harmonic mean: Jiang,
Sekar, Zhang, CoNEXT 2012, because one burst moves it little).  A link that falls steadily is
followed down: the median of all pairwise slopes (Theil 1950, Sen 1968), if it is negative and
beyond doubt (Kendall's tau below -0.5), is carried on for half of the five seconds.

*Stability* is a product of three factors, each 0..1, in which 1 is perfect:

* bandwidth: 1 / (1 + s / m), with m the median and s = 1.4826 times the median absolute deviation,
  the standard deviation for a normal distribution (Rousseeuw, Croux 1993);
* delay: 1 / (1 + v / m), with v the mean step between successive round trips (the jitter of
  RFC 3550, 6.4.1, unsmoothed) and m their median;
* loss: 1 up to 2 %, falling straight to 0 at 10 %, between which Google's congestion control holds
  its rate and above which it backs off (draft-ietf-rmcat-gcc-02, section 6).

Every figure is a function of the multiset of samples inside the window; their order does not count.
"""

import enum
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from auralink.engine.rpc.stubs import aic_compression_pb2 as pb

HALF_LIFE_S: Final = 5.0
HORIZON_S: Final = 5.0
RECENT: Final = 5  # samples
_MOST_SLOPES: Final = 50  # samples that slopes are taken over: 1,225 pairs
_SURE_TAU: Final = -0.5
_MAD_TO_SIGMA: Final = 1.4826
_LOSS_FINE: Final = 2.0  # percent
_LOSS_BAD: Final = 10.0
_THIN_KBPS: Final = 1_000.0
_SHAKY: Final = 0.5


class Class(enum.Enum):
    """By available bandwidth, with the bounds of the contract."""

    UNKNOWN = pb.NETWORK_UNKNOWN
    EXCELLENT = pb.NETWORK_EXCELLENT
    GOOD = pb.NETWORK_GOOD
    FAIR = pb.NETWORK_FAIR
    POOR = pb.NETWORK_POOR


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    at_us: int
    bandwidth_kbps: float
    rtt_ms: float
    loss_percent: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Analysis:
    available_kbps: float
    predicted_kbps: float
    stability: float
    quality: Class
    samples: int  # inside the window

    @property
    def aggressive(self) -> bool:
        """Save bits before anything else."""
        known = self.quality is not Class.UNKNOWN
        return known and (self.predicted_kbps < _THIN_KBPS or self.stability < _SHAKY)


NOTHING: Final = Analysis(
    available_kbps=0.0, predicted_kbps=0.0, stability=0.0, quality=Class.UNKNOWN, samples=0
)


def analyse(samples: Sequence[Sample], *, window_s: float) -> Analysis:
    """
    Args:
        samples: of one link, in any order.
        window_s: how far before the newest sample one still counts.
    """
    if not samples:
        return NOTHING
    newest_us = max(sample.at_us for sample in samples)
    inside = sorted(
        (sample for sample in samples if newest_us - sample.at_us <= window_s * 1e6),
        key=lambda s: (s.at_us, s.bandwidth_kbps, s.rtt_ms, s.loss_percent),
    )
    available = _weighted_median(inside, newest_us)
    return Analysis(
        available_kbps=available,
        predicted_kbps=_predict(inside),
        stability=_stability(inside),
        quality=classify(available),
        samples=len(inside),
    )


def classify(kbps: float) -> Class:
    if kbps > 10_000:
        return Class.EXCELLENT
    if kbps >= 5_000:
        return Class.GOOD
    return Class.FAIR if kbps >= 1_000 else Class.POOR


def recommend(analysis: Analysis) -> str:
    """For people."""
    if analysis.quality is Class.UNKNOWN:
        return "no samples: nothing is known of this link"
    keep = round(analysis.predicted_kbps * 0.9)
    words = [f"plan with {keep} kbit/s for the next {HORIZON_S:.0f} s"]
    if analysis.predicted_kbps < _THIN_KBPS:
        words.append("the link is thin: mode aggressive")
    elif analysis.stability < _SHAKY:
        words.append("the link is unsteady: mode aggressive")
    elif analysis.quality is Class.EXCELLENT:
        words.append("bits are plentiful: mode conservative or off")
    else:
        words.append("mode adaptive")
    if analysis.samples < RECENT:
        words.append(f"from {analysis.samples} samples only")
    return "; ".join(words)


def _weighted_median(samples: Sequence[Sample], newest_us: int) -> float:
    weighted = sorted(
        (sample.bandwidth_kbps, 0.5 ** ((newest_us - sample.at_us) / 1e6 / HALF_LIFE_S))
        for sample in samples
    )
    half = sum(weight for _, weight in weighted) / 2
    for value, weight in weighted:
        half -= weight
        if half <= 0:
            return value
    return weighted[-1][0]


def _predict(samples: Sequence[Sample]) -> float:
    values = [sample.bandwidth_kbps for sample in samples]
    mean = _harmonic(values[-RECENT:])
    errors = [
        abs(_harmonic(values[max(0, at - RECENT) : at]) - values[at]) / values[at]
        for at in range(max(1, len(values) - RECENT), len(values))
        if values[at] > 0
    ]
    if any(value <= 0 for value in values[-RECENT:]):
        return 0.0
    cautious = mean / (1 + max(errors, default=0.0))
    fallen = cautious + _falling(samples) * HORIZON_S / 2
    return max(0.0, fallen)


def _falling(samples: Sequence[Sample]) -> float:
    """Slope in kbit/s per second where the link falls beyond doubt, else 0."""
    recent = samples[-_MOST_SLOPES:]
    slopes = [
        (b.bandwidth_kbps - a.bandwidth_kbps) / ((b.at_us - a.at_us) / 1e6)
        for index, a in enumerate(recent)
        for b in recent[index + 1 :]
        if b.at_us > a.at_us
    ]
    if len(recent) < RECENT or not slopes:
        return 0.0
    tau = sum((slope > 0) - (slope < 0) for slope in slopes) / len(slopes)
    return min(0.0, statistics.median(slopes)) if tau < _SURE_TAU else 0.0


def _stability(samples: Sequence[Sample]) -> float:
    bandwidths = [sample.bandwidth_kbps for sample in samples]
    median = statistics.median(bandwidths)
    spread = _MAD_TO_SIGMA * statistics.median(abs(value - median) for value in bandwidths)
    round_trips = [sample.rtt_ms for sample in samples]
    steps = [abs(b - a) for a, b in pairwise(round_trips)]
    step = statistics.fmean(steps) if steps else 0.0
    loss = statistics.fmean(sample.loss_percent for sample in samples)
    steady = _ratio(spread, median) * _ratio(step, statistics.median(round_trips))
    lossless = (_LOSS_BAD - loss) / (_LOSS_BAD - _LOSS_FINE)
    return steady * min(1.0, max(0.0, lossless))


def _ratio(spread: float, middle: float) -> float:
    """``1 / (1 + spread / middle)``, also where the middle is 0."""
    return middle / (middle + spread) if spread else 1.0


def _harmonic(values: Sequence[float]) -> float:
    if not values or min(values) <= 0:
        return 0.0
    return len(values) / sum(1 / value for value in values)
