"""What the motion search looks at: a picture at whole and half samples, and sums of differences.

Four planes: the picture, half a sample to the right, half a sample down, and both, through the
eight-tap filters that prediction uses.  A quarter is the mean of the two nearest of these, which
costs a sixth of filtering and is off by a grey level at most; prediction itself stays exact.
"""

from typing import Any, Final, TypeAlias

import numba
import numpy as np
import numpy.typing as npt

from auralink.codecs.frame import Plane
from auralink.codecs.neural.motion import TAPS

Halves: TypeAlias = npt.NDArray[np.uint8]  # (4, height + 2 BORDER, width + 2 BORDER)

BORDER: Final = 32
OUTSIDE: Final = 24  # samples that a block may lie outside of the picture

_0, _1, _2, _3, _4, _5, _6, _7 = (np.int32(tap) for tap in TAPS[4])
_ROUND, _SHIFT = np.int32(64), np.int32(7)
_ROUND_2, _SHIFT_2 = np.int32(1 << 13), np.int32(14)


def halves(reference: Plane) -> Halves:
    padded = np.pad(reference, BORDER, mode="edge")
    planes = np.empty((4, *padded.shape), np.uint8)
    planes[0] = padded
    _fill(planes)
    return planes


@numba.njit(cache=True, nogil=True)
def _fill(planes):  # type: ignore[no-untyped-def]
    """Three filtered planes; what lies within four samples of the edge stays a copy."""
    _, height, width = planes.shape
    planes[1], planes[2], planes[3] = planes[0], planes[0], planes[0]
    rows = np.empty((height, width), np.int32)
    for a in range(height):
        source, across, out = planes[0, a], rows[a], planes[1, a]
        for x in range(3, width - 4):
            total = _0 * source[x - 3] + _1 * source[x - 2] + _2 * source[x - 1]
            total += _3 * source[x] + _4 * source[x + 1] + _5 * source[x + 2]
            total += _6 * source[x + 3] + _7 * source[x + 4]
            across[x] = total
            out[x] = min(max((total + _ROUND) >> _SHIFT, 0), 255)
    for a in range(3, height - 4):
        out = planes[2, a]
        for x in range(width):
            total = _0 * planes[0, a - 3, x] + _1 * planes[0, a - 2, x] + _2 * planes[0, a - 1, x]
            total += _3 * planes[0, a, x] + _4 * planes[0, a + 1, x] + _5 * planes[0, a + 2, x]
            total += _6 * planes[0, a + 3, x] + _7 * planes[0, a + 4, x]
            out[x] = min(max((total + _ROUND) >> _SHIFT, 0), 255)
        out = planes[3, a]
        for x in range(3, width - 4):
            total = _0 * rows[a - 3, x] + _1 * rows[a - 2, x] + _2 * rows[a - 1, x]
            total += _3 * rows[a, x] + _4 * rows[a + 1, x] + _5 * rows[a + 2, x]
            total += _6 * rows[a + 3, x] + _7 * rows[a + 4, x]
            out[x] = min(max((total + _ROUND_2) >> _SHIFT_2, 0), 255)


def _single(size: int) -> Any:
    """Differences to one plane.

    Loops have constant lengths and unsigned places: numba then emits vector code, without it they
    take five times as long.
    """

    @numba.njit(nogil=True)
    def sad(current, top, left, planes, plane, row, column):  # type: ignore[no-untyped-def]
        total = np.int32(0)
        top, left, row, column = np.uint64(top), np.uint64(left), np.uint64(row), np.uint64(column)
        for a in range(size):
            y = np.uint64(a)
            for b in range(size):
                x = np.uint64(b)
                seen = np.int32(planes[plane, row + y, column + x])
                total += abs(np.int32(current[top + y, left + x]) - seen)
        return total

    return sad


def _double(size: int) -> Any:
    """Differences to the mean of two places."""

    @numba.njit(nogil=True)
    def sad(current, top, left, planes, p, row, column, q, row_2, column_2):  # type: ignore[no-untyped-def]
        total = np.int32(0)
        top, left, row, column = np.uint64(top), np.uint64(left), np.uint64(row), np.uint64(column)
        row_2, column_2 = np.uint64(row_2), np.uint64(column_2)
        for a in range(size):
            y = np.uint64(a)
            for b in range(size):
                x = np.uint64(b)
                seen = np.int32(planes[p, row + y, column + x])
                seen += np.int32(planes[q, row_2 + y, column_2 + x])
                seen = (seen + np.int32(1)) >> np.int32(1)
                total += abs(np.int32(current[top + y, left + x]) - seen)
        return total

    return sad


_single16, _single8, _double16, _double8 = _single(16), _single(8), _double(16), _double(8)


@numba.njit(nogil=True)
def distortion(current, top, left, planes, x, y, size):  # type: ignore[no-untyped-def]
    """Sum of absolute differences of a block of `size` moved by (x, y) quarter samples."""
    row, column = BORDER + top + (y >> 2), BORDER + left + (x >> 2)
    plane = (x >> 1 & 1) + 2 * (y >> 1 & 1)
    if not (x | y) & 1:
        if size == 16:
            return _single16(current, top, left, planes, plane, row, column)
        return _single8(current, top, left, planes, plane, row, column)
    x, y = x + (x & 1), y + (y & 1)
    row_2, column_2 = BORDER + top + (y >> 2), BORDER + left + (x >> 2)
    other = (x >> 1 & 1) + 2 * (y >> 1 & 1)
    if size == 16:
        return _double16(current, top, left, planes, plane, row, column, other, row_2, column_2)
    return _double8(current, top, left, planes, plane, row, column, other, row_2, column_2)
