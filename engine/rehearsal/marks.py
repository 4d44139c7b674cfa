"""Frame numbers that survive lossy codecs: a row of black and white blocks on top of the picture.

::

    ██░░░░██░░██  upper row: the bits, highest first
    ░░████░░██░░  lower row: their opposites

Gray code: from a frame to the next one bit changes, so that the number costs few bits and a block
that a codec left as it was is off by little.  A bit counts when its two halves differ clearly.
Read at any size: viewers may get a smaller picture than was sent.
"""

from typing import Final

import numpy as np

from auralink.codecs.frame import Plane

BITS: Final = 13
NUMBERS: Final = 1 << BITS  # four and a half minutes at 30 frames per second
ROWS: Final = 32  # of the picture at its full size, taken by the marks
_BLOCK: Final = ROWS // 2
_BLACK, _WHITE = 16, 235
_CLEAR: Final = 60  # of the 219 steps between both


def draw(luma: Plane, number: int) -> None:
    """Mark a picture of at least 208x32 in place; the number counts modulo `NUMBERS`."""
    code = number % NUMBERS
    code ^= code >> 1
    for place in range(BITS):
        bit = code >> (BITS - 1 - place) & 1
        columns = slice(place * _BLOCK, (place + 1) * _BLOCK)
        luma[:_BLOCK, columns] = _WHITE if bit else _BLACK
        luma[_BLOCK:ROWS, columns] = _BLACK if bit else _WHITE


def read(luma: Plane, width: int) -> int | None:
    """The number of a picture, None if it cannot be told.

    Args:
        width: of the picture that was marked.
    """
    scale = luma.shape[1] / width
    code = 0
    for place in range(BITS):
        centre = (place + 0.5) * _BLOCK
        upper = _level(luma, 0.5 * _BLOCK, centre, scale)
        lower = _level(luma, 1.5 * _BLOCK, centre, scale)
        if abs(upper - lower) < _CLEAR:
            return None
        code = code << 1 | (upper > lower)
    number = 0
    while code:
        number ^= code
        code >>= 1
    return number


def follow(newest: int, read_number: int) -> int:
    """The full number next to ``newest`` that has this rest: `NUMBERS` come around again."""
    step = (read_number - newest + NUMBERS // 2) % NUMBERS - NUMBERS // 2
    return newest + step


def _level(luma: Plane, y: float, x: float, scale: float) -> float:
    """Mean of the inner half of a block."""
    reach = _BLOCK / 4 * scale
    rows = slice(max(0, round(y * scale - reach)), max(1, round(y * scale + reach)))
    columns = slice(max(0, round(x * scale - reach)), max(1, round(x * scale + reach)))
    block = luma[rows, columns]
    return float(np.mean(block)) if block.size else 0.0
