"""Bounds on what one stream may ask for.  Pure."""

from typing import Final, final

from auralink.engine.rpc.failures import OldFrame, RepeatedFrame
from auralink.engine.service.errors import Limited

WINDOW: Final = 1024  # numbers that are remembered: five seconds at the highest rate


@final
class ReplayWindow:
    """Takes every frame number once, in any order within `WINDOW` numbers.

    The sliding bitmap of IPsec's anti-replay service (RFC 4303, 3.4.3).
    """

    def __init__(self) -> None:
        self._highest = 0
        self._seen = 0  # bit i: highest - i was taken

    def take(self, number: int) -> None:
        """
        Args:
            number: 1 or more; 0 is a frame without a number, which is always taken.

        Raises:
            RepeatedFrame: it was taken before.
            OldFrame: it is too far behind the highest to know.
        """
        if not number:
            return
        age = self._highest - number
        if age >= WINDOW:
            raise OldFrame(
                f"frame_number {number} is {age} behind the highest: {WINDOW - 1} at most"
            )
        if age >= 0:
            if self._seen >> age & 1:
                raise RepeatedFrame(f"frame_number {number} was taken before")
            self._seen |= 1 << age
            return
        shifted = self._seen << -age if -age < WINDOW else 0
        self._seen = (shifted | 1) & ((1 << WINDOW) - 1)
        self._highest = number


@final
class FrameRate:
    """A token bucket: so many frames a second, a second's worth at once."""

    def __init__(self, per_s: int) -> None:
        self._per_s = per_s
        self._tokens = float(per_s)
        self._at_s: float | None = None

    def take(self, now_s: float) -> None:
        """
        Args:
            now_s: monotonic.

        Raises:
            Limited: too many.
        """
        if self._at_s is not None:
            earned = (now_s - self._at_s) * self._per_s
            self._tokens = min(float(self._per_s), self._tokens + max(0.0, earned))
        self._at_s = now_s
        if self._tokens < 1:
            wait_s = (1 - self._tokens) / self._per_s
            raise Limited(
                f"more than {self._per_s} frames a second of one stream", retry_after_s=wait_s
            )
        self._tokens -= 1
