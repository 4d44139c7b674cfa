"""Lower the base size and the frame rate when no quantizer meets the target, and raise them again.

Full size wins wherever the coarsest quantizer reaches the rate (measured: at 2/3 the same SSIM
costs 9 to 33 % more bits, at 1/2 25 to 111 %), so a step is lost quality and is taken only when
the wanted quantizer leaves its range.  Rungs, from the top::

    (1, every frame)  (2/3, every)  (1/2, every)  (1/2, every 2nd)  (1/2, every 3rd)

Up again when the rung above is predicted to fit; a try that fails makes the next one wait twice as
long.
"""

import math
from dataclasses import dataclass
from typing import Final

from auralink.codecs.base.hierarchy import COARSEST

HOLD_S: Final = 3.0  # between two size changes: each costs a key frame
_PATIENCE_S: Final = 0.7  # the wanted quantizer must be out of range this long
_PROBE_S: Final = 4.0  # first wait before a rung is tried again after it failed
_PROBE_MAX_S: Final = 60.0
_FAILED_WITHIN_S: Final = 5.0  # a step down this soon after a step up was a failed try
# A quantizer step is about 9 % of the bits; bits follow the pixels a little less than linearly.
_STEPS_PER_LOG: Final = 1 / 0.085
_PIXEL_EXPONENT: Final = 0.75
# Leave this many steps of room above the predicted quantizer when moving up.
_ROOM: Final = 3.0
# Least bits per pixel of the picture to start at each scale with.
_START: Final = ((1.0, 0.004), (2 / 3, 0.002), (1 / 2, 0.0))


@dataclass(frozen=True, slots=True)
class Rung:
    scale: float
    divisor: int  # one of so many captured frames is coded


def rungs(scales: tuple[float, ...]) -> tuple[Rung, ...]:
    slow = tuple(Rung(scales[-1], divisor) for divisor in (2, 3))
    return tuple(Rung(scale, 1) for scale in scales) + slow


def start_rung(rungs: tuple[Rung, ...], bits_per_pixel: float | None) -> int:
    """Where to start, before anything is known of the content.

    The coarsest quantizer takes 0.004 bits per pixel on a still head and 0.011 on a moving one
    (352x288, 25 to 30 frames per second).  Starting too high costs an oversized key and another
    one soon; starting too low costs softness until the first probe.
    """
    if bits_per_pixel is None:
        return 0
    wanted = next((scale for scale, least in _START if bits_per_pixel >= least), _START[-1][0])
    most = max(wanted, rungs[-1].scale) + 0.01
    return next(index for index, rung in enumerate(rungs) if rung.scale <= most)


class Ladder:
    """Says which rung to use.  Feed it the wanted quantizer of each coded frame."""

    def __init__(self, rungs: tuple[Rung, ...], *, start: int = 0) -> None:
        self._rungs = rungs
        self._at = start
        self._changed_us: int | None = None
        self._raised_us: int | None = None
        self._out_since_us: int | None = None
        self._fits_since_us: int | None = None
        self._probe_s = _PROBE_S

    @property
    def rung(self) -> Rung:
        return self._rungs[self._at]

    def observe(self, pts_us: int, wanted: float) -> None:
        """Move if it is time to.  ``wanted`` is `RateController.wanted`."""
        self._note_since(pts_us, wanted)
        if self._out_since_us is not None and self._at + 1 < len(self._rungs):
            patient = pts_us - self._out_since_us >= _PATIENCE_S * 1e6
            if patient and self._may_move(pts_us, self._at + 1):
                self._note_failure(pts_us)
                self._move(pts_us, self._at + 1)
        elif self._fits_since_us is not None and self._at > 0:
            patient = pts_us - self._fits_since_us >= self._probe_s * 1e6
            if patient and self._may_move(pts_us, self._at - 1):
                self._raised_us = pts_us
                self._move(pts_us, self._at - 1)

    def _note_since(self, pts_us: int, wanted: float) -> None:
        if wanted <= COARSEST:
            self._out_since_us = None
        elif self._out_since_us is None:
            self._out_since_us = pts_us
        if self._at == 0 or wanted + self._cost_of_raising() > COARSEST - _ROOM:
            self._fits_since_us = None
        elif self._fits_since_us is None:
            self._fits_since_us = pts_us

    def _cost_of_raising(self) -> float:
        """Quantizer steps that the rung above needs more."""
        here, above = self._rungs[self._at], self._rungs[self._at - 1]
        pixels = (above.scale / here.scale) ** 2
        rate = here.divisor / above.divisor
        return _STEPS_PER_LOG * (_PIXEL_EXPONENT * math.log(pixels) + math.log(rate))

    def _may_move(self, pts_us: int, to: int) -> bool:
        if self._changed_us is None or self._rungs[to].scale == self.rung.scale:
            return True
        return pts_us - self._changed_us >= HOLD_S * 1e6

    def _note_failure(self, pts_us: int) -> None:
        raised, self._raised_us = self._raised_us, None
        if raised is None:
            return
        if pts_us - raised <= _FAILED_WITHIN_S * 1e6:
            self._probe_s = min(2 * self._probe_s, _PROBE_MAX_S)
        else:
            self._probe_s = _PROBE_S

    def _move(self, pts_us: int, to: int) -> None:
        if self._rungs[to].scale != self.rung.scale:
            self._changed_us = pts_us
        self._at = to
        self._out_since_us = None
        self._fits_since_us = None
