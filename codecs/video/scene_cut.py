"""Notice that a picture has little to do with the one before.

Predicted from it, such a frame would cost as much as a key, and nobody could tell how much before.
A key's size can be kept to its limit by coding it again.
"""

from typing import Final

# Mean absolute luma difference of neighbours, grey levels: fast motion and noise stay below.
_LEAST: Final = 10.0
_TIMES_USUAL: Final = 4.0
_WEIGHT: Final = 0.2


class SceneCut:
    """Feed it the difference of each captured frame to the last coded one."""

    def __init__(self) -> None:
        self._usual: float | None = None

    def happened(self, difference: float) -> bool:
        if self._usual is None:
            self._usual = difference
        cut = difference >= _LEAST and difference > _TIMES_USUAL * self._usual
        self._usual += _WEIGHT * (difference - self._usual)
        return cut
