"""Rate control of the learned codec: target bit/s in, quality on the wire out.

``ln(bits) = level[kind] + slope[kind] * quality + exponent * ln(activity)``: the level of a kind,
key or delta, follows the content.  A delta's budget is its time's share of the target, less what
the debt asks back within `_HORIZON_S`.  A key may take several budgets, the first of a stream more;
the frames after it repay that.

A key is best much finer than the frames after it, which copy what they can from it; its limit is
what keeps the first picture of a live call small.
"""

import math
from dataclasses import dataclass
from typing import Final, final

import numpy as np

from auralink.codecs.frame import Frame, Plane
from auralink.codecs.neural import quality
from auralink.codecs.video.rate.controller import RateOptions
from auralink.codecs.video.rate.debt import Debt, Loan

# Of a key's quality over that of the frames around it: the largest single gain that any change to
# the codec's prototype brought (measured: a tenth of the bits).
KEY_OFFSET: Final = 0.35
KEY_TRIES: Final = 4
_KEY_OVER: Final = 1.15  # a key is coded again while it misses its limit by much
_KEY_UNDER: Final = 0.7

# ln(bits) per unit of quality: a still head (akiyo) and a moving one (foreman) take 2.3 and 2.7,
# their keys 1.6 and 1.7.
_SLOPES: Final = {True: 1.65, False: 2.5}  # by "is a key"
# Before anything is known; of the same clips: 0.14 and 0.16 at quality 0, deltas 3.8 and 3.3 below.
_KEY_BITS_PER_PIXEL: Final = 0.15
_DELTA_BELOW_KEY: Final = 3.5  # in ln(bits), at an activity of 0.7
_WEIGHT: Final = 0.4
_EXPONENT: Final = 0.6
_FLOOR: Final = 0.3  # grey levels: sensor noise costs bits even when nothing moves
_COLUMNS: Final = 160

_HORIZON_S: Final = 0.3
_LEAST_SHARE: Final = 0.25
_FINER_PER_FRAME: Final = 0.08  # far predictions are guesses, and coarse ones cost less
_BEYOND: Final = 0.6  # how far below 0 a wanted quality is followed, as a measure of need


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    drop: bool = False
    level: int = 0  # quality on the wire
    limit_bits: float = 0.0  # of a key


@final
class NeuralRate:
    """One stream's.  `plan` a frame, code it, tell `coded`; for each frame."""

    def __init__(self, *, pixels: int, fps: float, options: RateOptions) -> None:
        self._options = options
        self._interval_s = 1 / fps
        key = math.log(_KEY_BITS_PER_PIXEL * pixels)
        self._levels = {True: key, False: key - _DELTA_BELOW_KEY}
        self._debt, self._loan = Debt(), Loan()
        self._target_bps = 1
        self._stream: float | None = None  # quality of the newest delta
        self._wanted = 0.0
        self._limit_s = 0.0
        self._activity = 1.0
        self._last: Plane | None = None
        self._thin: Plane | None = None

    @property
    def wanted(self) -> float:
        """The quality that would meet the target, below 0 if need be."""
        return self._wanted

    def set_interval(self, interval_s: float) -> None:
        """The distance of coded frames, when the frame rate changes."""
        self._interval_s = interval_s

    def measure(self, frame: Frame) -> float:
        """Mean absolute luma difference to the last coded frame; for this frame's plan."""
        step = max(1, frame.width // _COLUMNS)
        self._thin = np.ascontiguousarray(frame.y[::step, ::step])
        last, self._activity = self._last, 0.0
        if last is not None and last.shape == self._thin.shape:
            self._activity = float(np.abs(self._thin.astype(np.int16) - last).mean())
        return self._activity

    def plan(self, pts_us: int, target_bps: int, *, key: bool, backlog_bits: int = 0) -> Plan:
        """Decide on the frame that was measured last.

        Args:
            backlog_bits: see `Wish`.
        """
        self._target_bps = target_bps
        self._debt.advance(pts_us, target_bps, least_bits=backlog_bits)
        self._loan.advance(pts_us)
        if key:
            return self._plan_key()
        late_s = self._options.delay_s + self._loan.left_s
        if self._debt.delay_s(target_bps) > late_s:
            return Plan(drop=True)
        share = target_bps * self._interval_s
        usual = self._loan.left_s * target_bps
        budget = share * (1 - self._loan.rate)
        budget -= (self._debt.bits - usual) * self._interval_s / _HORIZON_S
        needed = self._quality(False, max(budget, _LEAST_SHARE * share))
        self._wanted = max(self._quality(False, share), -_BEYOND)
        if self._stream is not None:
            needed = min(needed, self._stream + _FINER_PER_FRAME)
        self._stream = min(max(needed, 0.0), quality.DELTA_SPAN)
        return Plan(level=_level(self._stream, key=False))

    def again(self, level: int, bits: int, plan: Plan) -> Plan | None:
        """How to code a key again that took `bits`; None if it is good as it is."""
        self._observe(True, level, bits)
        if _KEY_UNDER * plan.limit_bits <= bits <= _KEY_OVER * plan.limit_bits:
            return None
        other = self._key_plan(plan.limit_bits)
        return None if other.level == level else other

    def coded(self, level: int, bits: int, *, key: bool) -> None:
        self._observe(key, level, bits)
        self._debt.add(bits)
        self._last = self._thin
        if key:
            self._loan.take(min(self._debt.delay_s(self._target_bps), self._limit_s))
            first = quality.unit(level, intra=True) - KEY_OFFSET
            self._stream = first if self._stream is None else min(self._stream, first)
            self._stream = max(self._stream, 0.0)

    def extra(self, bits: int) -> None:
        """Count bits that carry no frame: skips, parity."""
        self._debt.add(bits)

    def _plan_key(self) -> Plan:
        self._limit_s = self._options.key_budgets * self._interval_s
        if self._stream is None:
            self._limit_s = max(self._limit_s, self._options.first_key_s)
        return self._key_plan(self._limit_s * self._target_bps)

    def _key_plan(self, limit_bits: float) -> Plan:
        wanted = self._quality(True, limit_bits)
        if self._stream is not None:
            wanted = min(wanted, self._stream + KEY_OFFSET)
        return Plan(level=_level(wanted, key=True), limit_bits=limit_bits)

    def _quality(self, key: bool, bits: float) -> float:
        return (math.log(max(bits, 1.0)) - self._levels[key] - self._motion(key)) / _SLOPES[key]

    def _observe(self, key: bool, level: int, bits: int) -> None:
        sample = math.log(max(bits, 8)) - self._motion(key)
        sample -= _SLOPES[key] * quality.unit(level, intra=key)
        weight = 1.0 if key else _WEIGHT
        self._levels[key] += weight * (sample - self._levels[key])

    def _motion(self, key: bool) -> float:
        return 0.0 if key else _EXPONENT * math.log(self._activity + _FLOOR)


def _level(wanted: float, *, key: bool) -> int:
    span = quality.KEY_SPAN if key else quality.DELTA_SPAN
    return round(min(max(wanted / span, 0.0), 1.0) * (quality.QUALITIES - 1))


def levels_of(quantizer: float) -> tuple[int, int]:
    """Levels of deltas and of their key for a constant quality, 1 (finest) to 63 like AV1's CRF."""
    unit = (_COARSEST - quantizer) / _STEPS
    return _level(unit, key=False), _level(max(unit, 0.0) + KEY_OFFSET, key=True)


def quantizer_of(unit: float) -> float:
    """The reverse, for whatever goes by quantizers."""
    return _COARSEST - _STEPS * unit


_COARSEST: Final = 63
_STEPS: Final = 33.0  # quantizers from quality 0 to 1: one is 8 to 9 % of the bits, as in AV1
