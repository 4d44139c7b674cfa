"""Bjontegaard delta: mean difference in rate between two codecs at equal quality.

Each rate-quality curve is interpolated as log(rate) over quality by a piecewise cubic Hermite
polynomial that keeps monotone data monotone (PCHIP), and the difference is averaged, by exact
integration, over the range of quality that both reach.

Sources:
    Bjontegaard, "Calculation of average PSNR differences between RD-curves", VCEG-M33, 2001; PCHIP
    in place of one cubic as in JCTVC-L1100.  Fritsch, Butland, "A method for constructing local
    monotone piecewise cubic interpolants", 1984, for the slopes.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

Values = npt.NDArray[np.float64]

# A similarity of 1 - 1e-6 and above counts as 60 dB: what lossless coding reaches.
_SMALLEST_LOSS: Final = 1e-6
# Qualities nearer than this are one quality: between them the curve would be mere noise.
_LEAST_GAIN: Final = 1e-6


class RatePoint(NamedTuple):
    """One measurement: bits per second (any unit), and quality on a scale that rises."""

    rate: float
    quality: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Delta:
    """How many more (less: negative) bits the tested codec needs.

    ``low`` and ``high`` bound the qualities compared; ``share`` is how much of the anchor's own
    range that is.  A small share says little.
    """

    percent: float
    low: float
    high: float
    share: float


def decibels(similarity: float) -> float:
    """Map SSIM or MS-SSIM to a scale on which equal steps look equal: -10 log10(1 - s)."""
    return -10 * math.log10(max(1 - similarity, _SMALLEST_LOSS))


def bd_rate(anchor: Iterable[RatePoint], test: Iterable[RatePoint]) -> Delta | None:
    """Compare two curves; None when they share no range of quality, or have under two points."""
    curves = [monotone(anchor), monotone(test)]
    if any(len(curve) < 2 for curve in curves):
        return None
    low = max(curve[0].quality for curve in curves)
    high = min(curve[-1].quality for curve in curves)
    if high - low < _LEAST_GAIN:
        return None
    areas = [
        _area([p.quality for p in c], [math.log(p.rate) for p in c], low, high) for c in curves
    ]
    percent = 100 * math.expm1((areas[1] - areas[0]) / (high - low))
    reach = curves[0][-1].quality - curves[0][0].quality
    return Delta(percent=percent, low=low, high=high, share=(high - low) / reach)


def monotone(points: Iterable[RatePoint]) -> list[RatePoint]:
    """In order of rate, without the points that cost more than another and are no better."""
    kept: list[RatePoint] = []
    for point in sorted(points):
        if not kept or point.quality > kept[-1].quality + _LEAST_GAIN:
            kept.append(point)
    return kept


def rate_at(points: Iterable[RatePoint], quality: float) -> float | None:
    """Rate that a codec needs for a quality; None outside of what was measured."""
    curve = monotone(points)
    if len(curve) < 2 or not curve[0].quality <= quality <= curve[-1].quality:
        return None
    qualities, rates = [p.quality for p in curve], [math.log(p.rate) for p in curve]
    return math.exp(_pchip(qualities, rates, np.array([quality]))[0])


def _area(x: Sequence[float], y: Sequence[float], low: float, high: float) -> float:
    """Integral of the interpolant.  Simpson's rule is exact on each cubic piece."""
    knots = np.array([low, *(value for value in x if low < value < high), high])
    middles = (knots[1:] + knots[:-1]) / 2
    ends, centres = _pchip(x, y, knots), _pchip(x, y, middles)
    return float(np.sum(np.diff(knots) * (ends[:-1] + 4 * centres + ends[1:]) / 6))


def _pchip(x_knots: Sequence[float], y_knots: Sequence[float], at: Values) -> Values:
    x, y = np.asarray(x_knots, float), np.asarray(y_knots, float)
    step = np.diff(x)
    rise = np.diff(y) / step
    slope = _slopes(step, rise)
    piece = np.clip(np.searchsorted(x, at, side="right") - 1, 0, len(step) - 1)
    t = (at - x[piece]) / step[piece]
    value: Values = (
        y[piece] * (1 + 2 * t) * (1 - t) ** 2
        + slope[piece] * step[piece] * t * (1 - t) ** 2
        + y[piece + 1] * t**2 * (3 - 2 * t)
        + slope[piece + 1] * step[piece] * t**2 * (t - 1)
    )
    return value


def _slopes(step: Values, rise: Values) -> Values:
    """Weighted harmonic means of the neighbouring rises; zero at an extremum."""
    if len(step) == 1:
        return np.repeat(rise, 2)
    slope = np.zeros(len(step) + 1)
    before, after = 2 * step[1:] + step[:-1], step[1:] + 2 * step[:-1]
    same = rise[1:] * rise[:-1] > 0
    weights = (before + after)[same]
    slope[1:-1][same] = weights / (before[same] / rise[:-1][same] + after[same] / rise[1:][same])
    slope[0] = _end_slope(step[0], step[1], rise[0], rise[1])
    slope[-1] = _end_slope(step[-1], step[-2], rise[-1], rise[-2])
    return slope


def _end_slope(step: float, next_step: float, rise: float, next_rise: float) -> float:
    """Three-point slope at an end, bent so that the piece stays monotone."""
    slope = ((2 * step + next_step) * rise - step * next_rise) / (step + next_step)
    if slope * rise <= 0:
        return 0.0
    if rise * next_rise <= 0 and abs(slope) > 3 * abs(rise):
        return 3 * rise
    return slope
