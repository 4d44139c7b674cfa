"""Sizes: of the picture, of the base that counts, and of what the base codec is given."""

from typing import Final

MIN_SIDE: Final = 16  # the smallest picture that every base codec takes

# Base sizes, as shares of the picture's sides, largest first.
SCALES: Final = (1.0, 2 / 3, 1 / 2)
# Below this a smaller base saves nothing worth having.
_MIN_SCALED_SIDE: Final = 64


def base_size(size: tuple[int, int], scale: float) -> tuple[int, int]:
    """The base picture for a picture of ``size``; even unless it is the picture itself."""
    if scale >= 1.0:
        return size
    width, height = (max(2, round(side * scale / 2) * 2) for side in size)
    return width, height


def coded_size(size: tuple[int, int]) -> tuple[int, int]:
    """``size`` padded to what base codecs take: even, at least 16."""
    width, height = (max(MIN_SIDE, side + side % 2) for side in size)
    return width, height


def scales_for(size: tuple[int, int], *, scaling: bool) -> tuple[float, ...]:
    """The scales that make sense for a picture of ``size``."""
    if not scaling or min(size) * SCALES[-1] < _MIN_SCALED_SIDE:
        return SCALES[:1]
    return SCALES
