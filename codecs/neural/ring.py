"""What both ends remember of the pictures before: the newest few, and some older ones.

A frame usually builds on the one before.  When that is not what the receiver has, the encoder
predicts from one that it is known to have, so some older ones are kept: those whose number is a
multiple of `_STRIDE`.  Both ends keep the same numbers, so nothing about it is ever sent.
"""

from typing import Final, Generic, TypeVar, final

T = TypeVar("T")

NEWEST: Final = 8  # numbers, the newest coded included
_STRIDE: Final = 8
REACH: Final = 64  # numbers back: two seconds at 30 frames per second


@final
class Ring(Generic[T]):
    """States by unit number, without wrapping."""

    def __init__(self) -> None:
        self._states: dict[int, T] = {}

    def clear(self) -> None:
        self._states.clear()

    def keep(self, number: int, state: T) -> None:
        """Enter the newest; forget what both ends forget now."""
        self._states[number] = state
        for other in list(self._states):
            age = number - other
            if age >= REACH or (age >= NEWEST and other % _STRIDE):
                del self._states[other]

    def get(self, number: int) -> T | None:
        return self._states.get(number)

    @property
    def newest(self) -> int | None:
        return max(self._states, default=None)

    def numbers(self) -> list[int]:
        """Newest first."""
        return sorted(self._states, reverse=True)
