"""Which simulcast layer is worth asking for: no more than the encoder makes use of.  Pure.

::

    coded at half the size or less, for `_LOW_US`                  ──► ask for half
    coded at full size, with half as much again to spend as then,
    for `_HIGH_US`                                                 ──► ask for twice

On a thin link the encoder codes a reduced picture; what is cut away was decoded and scaled for
nothing, and a smaller layer lets it reduce further.  LiveKit's layers are each half the one above.
"""

from typing import Final, final

_LOW_US: Final = 4_000_000
_HIGH_US: Final = 8_000_000
_HALF: Final = 0.51  # of the height; sizes are rounded to even ones
_RICHER: Final = 1.5
_LEAST_LINES: Final = 180  # LiveKit's lowest layer


@final
class LayerChoice:
    """
    Args:
        largest: never ask for more.
    """

    def __init__(self, largest: tuple[int, int]) -> None:
        self.size = largest
        self._largest = largest
        self._low_us: int | None = None  # since when it has been coded small
        self._high_us: int | None = None
        self._enough_bps = 0.0  # to go up again

    def update(
        self,
        now_us: int,
        *,
        frame: tuple[int, int],
        coded: tuple[int, int],
        bitrate_bps: float,
    ) -> bool:
        """
        Args:
            frame: size of the pictures that come in.
            coded: size at which they are coded.

        Returns:
            Whether `size` changed.
        """
        share = coded[1] / frame[1]
        low = share <= _HALF and frame[1] > _LEAST_LINES
        high = share >= 1 and self.size != self._largest and bitrate_bps >= self._enough_bps
        self._low_us = (self._low_us or now_us) if low else None
        self._high_us = (self._high_us or now_us) if high else None
        if self._low_us is not None and now_us - self._low_us >= _LOW_US:
            self._enough_bps = _RICHER * bitrate_bps
            return self._ask((max(2, frame[0] // 2), max(2, frame[1] // 2)))
        if self._high_us is not None and now_us - self._high_us >= _HIGH_US:
            return self._ask((self.size[0] * 2, self.size[1] * 2))
        return False

    def _ask(self, size: tuple[int, int]) -> bool:
        wanted = min(size[0], self._largest[0]), min(size[1], self._largest[1])
        changed, self.size = wanted != self.size, wanted
        self._low_us = self._high_us = None
        return changed
