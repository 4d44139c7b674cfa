"""How many bits a frame takes at a quantizer, learned while coding.

``ln(news) = level[kind] + exponent * ln(activity) - slope * quantizer``.  The slope is nearly a
property of the codec; the level follows the content.  One level for keys and one for each temporal
layer; the activity is what the frame differs from those it predicts from.

What stands still costs nothing as long as it is coded no finer than it was before, and the
difference of two keys where it is: ``bits = news + still * (key(quantizer) - key(finest before))``.
"""

import math
from typing import Final

from auralink.codecs.video.rate.activity import Activity
from auralink.codecs.video.rate.sharpness import KeyBits

KEY: Final = -1  # the kind of a key frame; other kinds are temporal layers

# AV1 on its 0..63 scale: 0.080 between 34 and 57 on five people clips, 0.10 above (measured).
_SLOPE: Final = 0.085
_SLOPE_MIN: Final = 0.05
_SLOPE_MAX: Final = 0.13
# Rare kinds must learn from every sample; a frame's bits scatter by about a quarter.
_WEIGHT: Final = 0.4
_SLOPE_WEIGHT: Final = 0.1
# Found on four clips at two quantizers: 0.5 and 1 predict worse.  The floor is sensor noise that
# costs bits even when nothing moves, in grey levels.
_ACTIVITY_EXPONENT: Final = 0.6
_ACTIVITY_FLOOR: Final = 0.3
_SLOPE_STEP: Final = 4  # quantizers at least this far apart tell something of the slope
_KEY_SLOPE: Final = 0.06  # keys follow the quantizer less: 0.05 to 0.07 on six clips
_KEY_SLOPE_MIN: Final = 0.03
_KEY_SLOPE_WEIGHT: Final = 0.5  # a key is tried at two or three quantizers and then not for long
# Sharpening is known badly; a sample must not make the rest of a frame free.
_LEAST_NEWS: Final = 0.2
_FORGET: Final = 0.5  # how fast moved parts lose the sharpness they had, by lowest-layer frame
_INVERSE_STEPS: Final = 12  # bisection over at most 60 quantizer steps

# Level of each layer relative to a key's when nothing is known yet: foreman at 352x288.
_LAYER_BELOW_KEY: Final = (1.0, 1.1, 1.5, 2.0)
# A key frame's bits per pixel at quantizer 36, same clip.
_PRIOR_AT: Final = 36
_KEY_LEVEL_PER_PIXEL: Final = math.log(0.28) + _KEY_SLOPE * _PRIOR_AT


class BitsModel:
    """Predicts bits from a quantizer and the reverse."""

    def __init__(self, pixels: int) -> None:
        self._slope = _SLOPE
        self._pixels = pixels
        self._levels: dict[int, float] = {}
        self._priors: dict[int, float] = {}  # of layers not seen yet
        self._activity = Activity()
        self._key_slope = _KEY_SLOPE
        self._finest: float | None = None  # quantizer that still parts were last sharpened with
        self._last: dict[int, tuple[float, float]] = {}  # kind -> (quantizer, ln bits)

    @property
    def sharpened(self) -> float:
        """The quantizer of what stands still; infinite before the first key."""
        return math.inf if self._finest is None else self._finest

    @property
    def still(self) -> float:
        """Share of the picture that stands still, 0..1."""
        return self._activity.still

    @property
    def key_bits(self) -> KeyBits:
        """What a whole key takes, by its quantizer."""
        return KeyBits(self._level(KEY), self._key_slope)

    def expect(self, activity: Activity) -> None:
        """For all predictions and observations from now on."""
        self._activity = activity

    def bits(self, kind: int, quantizer: float) -> float:
        if kind == KEY:
            return math.exp(self._level(KEY) - self._key_slope * quantizer)
        return self.news(kind, quantizer) + self._sharpening(quantizer)

    def quantizer(self, kind: int, bits: float) -> float:
        """The quantizer that makes a frame of ``kind`` take ``bits``; not clipped to any range."""
        logarithm = math.log(max(bits, 1.0))
        if kind == KEY:
            return (self._level(KEY) - logarithm) / self._key_slope
        found = (self._level(kind) + self._motion(kind) - logarithm) / self._slope
        if found >= self.sharpened:
            return found
        low, high = found, max(self.sharpened, found)  # sharpening costs: somewhere coarser
        for _ in range(_INVERSE_STEPS):
            middle = (low + high) / 2
            if self.bits(kind, middle) > bits:
                low = middle
            else:
                high = middle
        return high

    def observe(self, kind: int, quantizer: float, bits: int, *, extra: float = 0.0) -> None:
        """Learn from a coded frame.

        Args:
            extra: bits that went into single blocks, as foretold.
        """
        if kind == KEY:
            self._observe_key(quantizer, bits)
            return
        news = max(bits - self._sharpening(quantizer) - extra, _LEAST_NEWS * bits, 8.0)
        self._note_sharpness(kind, quantizer)
        logarithm = math.log(news) - self._motion(kind)
        self._learn_slope(kind, quantizer, logarithm)
        sample = logarithm + self._slope * quantizer
        known = kind in self._levels
        level = self._level(kind)
        self._levels[kind] = level + (_WEIGHT if known else 1.0) * (sample - level)
        if not known and kind >= 0:
            # The first sample of a layer says more about the others than the prior does.
            for layer in range(len(_LAYER_BELOW_KEY)):
                if layer not in self._levels and layer < kind:
                    step = _LAYER_BELOW_KEY[kind] - _LAYER_BELOW_KEY[layer]
                    self._priors[layer] = self._levels[kind] + step

    def forget_layers(self) -> None:
        """Layers mean something else from now on; what keys take is still known."""
        self._levels = {kind: level for kind, level in self._levels.items() if kind == KEY}
        self._priors.clear()
        self._last.clear()

    def resize(self, pixels: int) -> None:
        """The frames change size: levels follow the number of pixels."""
        # Measured between half and full size at one quantizer: bits grow a little slower.
        shift = 0.9 * math.log(pixels / self._pixels)
        self._levels = {kind: level + shift for kind, level in self._levels.items()}
        self._last.clear()
        self._finest = None
        self._pixels = pixels

    def _observe_key(self, quantizer: float, bits: int) -> None:
        logarithm = math.log(max(bits, 8))
        last = self._last.get(KEY)
        if last is not None and abs(quantizer - last[0]) >= _SLOPE_STEP:
            sample = -(logarithm - last[1]) / (quantizer - last[0])
            if _KEY_SLOPE_MIN <= sample <= _SLOPE_MAX:
                self._key_slope += _KEY_SLOPE_WEIGHT * (sample - self._key_slope)
        self._last[KEY] = (quantizer, logarithm)
        self._levels[KEY] = logarithm + self._key_slope * quantizer  # tries are exact
        self._finest = quantizer

    def news(self, kind: int, quantizer: float) -> float:
        """Bits of a layer's frame for what moves alone."""
        return math.exp(self._level(kind) + self._motion(kind) - self._slope * quantizer)

    def _sharpening(self, quantizer: float) -> float:
        """Bits to bring what stands still from the finest quantizer so far to this one."""
        if self._finest is None or quantizer >= self._finest or KEY not in self._levels:
            return 0.0
        more = self.bits(KEY, quantizer) - self.bits(KEY, self._finest)
        return self._activity.still * more

    def _note_sharpness(self, kind: int, quantizer: float) -> None:
        if self._finest is None or quantizer <= self._finest:
            self._finest = quantizer
        elif kind == 0:
            # What moved is now as coarse as this frame, also where it comes to rest.
            moved = 1 - self._activity.still
            self._finest += _FORGET * moved * (quantizer - self._finest)

    def _motion(self, kind: int) -> float:
        if not 0 <= kind < len(self._activity.layers):
            return 0.0
        return _ACTIVITY_EXPONENT * math.log(self._activity.layers[kind] + _ACTIVITY_FLOOR)

    def _learn_slope(self, kind: int, quantizer: float, logarithm: float) -> None:
        last = self._last.get(kind)
        self._last[kind] = (quantizer, logarithm)
        if last is None or abs(quantizer - last[0]) < _SLOPE_STEP:
            return
        sample = -(logarithm - last[1]) / (quantizer - last[0])
        if _SLOPE_MIN <= sample <= _SLOPE_MAX:
            # Turn the lines about the newest points, so that predictions stay where they are.
            slope = self._slope + _SLOPE_WEIGHT * (sample - self._slope)
            for other, (at, _) in self._last.items():
                if other in self._levels and other != KEY:
                    self._levels[other] += (slope - self._slope) * at
            self._slope = slope

    def _level(self, kind: int) -> float:
        if kind in self._levels:
            return self._levels[kind]
        if kind in self._priors:
            return self._priors[kind]
        key = self._levels.get(KEY, _KEY_LEVEL_PER_PIXEL + math.log(self._pixels))
        if kind == KEY:
            return key
        # Both laws agree at the quantizer where the priors were taken.
        key += (self._slope - self._key_slope) * _PRIOR_AT
        return key - _LAYER_BELOW_KEY[min(kind, len(_LAYER_BELOW_KEY) - 1)]
