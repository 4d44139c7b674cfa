"""Find the quantizer at which a key frame takes what it may, from the tries at this same picture.

A model of bits by quantizer is good for one step.  A page of text, which survives to about
quantizer 50 and is wiped out above, takes thirty times the bits at 45 that it takes at 63: there
two tries on both sides of the limit know more than any model.
"""

import math
from typing import final


@final
class KeySearch:
    """The tries at one picture.  A coarser quantizer is taken to give fewer bits."""

    def __init__(self, limit_bits: float) -> None:
        self._limit = max(limit_bits, 1.0)
        self._over: tuple[float, int] | None = None  # the coarsest that took too much
        self._under: tuple[float, int] | None = None  # the finest that did not

    def tried(self, quantizer: float, bits: int) -> None:
        if bits > self._limit:
            if self._over is None or quantizer > self._over[0]:
                self._over = quantizer, max(bits, 1)
        elif self._under is None or quantizer < self._under[0]:
            self._under = quantizer, max(bits, 1)

    def next(self, guess: float, *, last: bool = False) -> float:
        """What to try next: ``guess``, unless tries on both sides say more.

        Args:
            last: what comes of it is sent, so rather too coarse than too fine.
        """
        if self._over is None or self._under is None:
            return guess
        (fine, many), (coarse, few) = self._over, self._under
        if coarse - fine <= 1:
            return coarse
        share = math.log(many / self._limit) / math.log(many / few)
        if last:
            share = (1 + share) / 2
        return min(max(fine + share * (coarse - fine), fine + 1), coarse - 1)
