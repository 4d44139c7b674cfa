"""What the link still has to carry: bits coded minus bits that the target rate has drained.

::

    coded frame ──► debt ──► drained at the target rate, by capture time

Debt over rate is the delay that this encoder alone puts into a link of exactly the target rate.
Unused rate is saved up only a little, or a still scene would pay for a burst later.
"""

from typing import Final

# Savings that may be spent later: what a 2 s window may exceed its target by (5 %).
_CREDIT_S: Final = 0.1
# Longer costs less quality (BD-rate 8 points at 1.6 s), but windows of 2 s would feel it.
_REPAY_S: Final = 1.0


class Debt:
    """A leaky bucket whose level may go slightly below empty."""

    def __init__(self) -> None:
        self.bits = 0.0
        self._at_us: int | None = None

    def advance(self, pts_us: int, target_bps: int, *, least_bits: float = 0.0) -> None:
        """Drain until ``pts_us``; time that goes back counts as none.

        Args:
            least_bits: somebody who knows the link says that so much is left.
        """
        if self._at_us is not None and pts_us > self._at_us:
            self.bits -= target_bps * (pts_us - self._at_us) / 1e6
        self._at_us = pts_us if self._at_us is None else max(self._at_us, pts_us)
        self.bits = max(self.bits, -_CREDIT_S * target_bps)
        if least_bits > 0:
            self.bits = max(self.bits, least_bits)

    def add(self, bits: int) -> None:
        self.bits += bits

    def delay_s(self, target_bps: int) -> float:
        """Seconds until a link of the target rate has carried everything."""
        return max(0.0, self.bits) / max(target_bps, 1)


class Loan:
    """What a key took in advance, repaid evenly over `_REPAY_S`."""

    def __init__(self) -> None:
        self.left_s = 0.0  # in seconds of the target
        self._taken_s = 0.0
        self._at_us = 0

    @property
    def rate(self) -> float:
        """Share of the bits that goes into repaying."""
        return self._taken_s / _REPAY_S if self.left_s > 0 else 0.0

    def advance(self, pts_us: int) -> None:
        self.left_s = max(0.0, self.left_s - self.rate * max(0, pts_us - self._at_us) / 1e6)
        self._at_us = pts_us

    def take(self, seconds: float) -> None:
        self.left_s = self._taken_s = seconds
