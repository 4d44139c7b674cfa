"""Motion search: 16×16 blocks, split into 8×8 where it pays, to a quarter sample.

Each block takes the vector with the least ``SAD + price * bits``.  Candidates are the vectors
around it, then a coarse grid, then a descent to the nearest whole sample and to the quarter.  Two
more passes offer every block its neighbours' vectors again, now from all four sides, with what the
choice costs the neighbours: that makes fields smooth where the picture does not care.

Bits are estimates (`_bits`); the packet writer has the tables.
"""

import math
from typing import Any, Final

import numba
import numpy as np

from auralink.codecs.frame import Plane
from auralink.codecs.neural.motion import MAX_VECTOR, TAPS, Vectors

RANGE: Final = 15  # of the coarse grid, in samples
_STEP: Final = 3  # between its points
_BORDER: Final = MAX_VECTOR // 4 + 16 + 8
_SPLIT_BITS: Final = 2.5
# Paying more for motion than its bits cost wins, on all but nearly still clips (measured: -2.5 %
# of the rate against a factor of 1): better vectors help the frames after as well.
_LENIENCE: Final = 0.7
_MERGE_PASSES: Final = 2
_NO_LIMIT: Final = 1e9
_1, _2, _3, _4, _5, _6, _7 = (np.uint64(k) for k in range(1, 8))
_HALF, _SHIFT = np.int32(1 << 13), np.int32(14)


def price(trade: float) -> float:
    """SAD per bit for a rate-distortion trade of `trade` bits per squared error of a sample."""
    return _LENIENCE * 2.0 * math.sqrt(1 / (0.75 * trade))


def search(current: Plane, reference: Plane, trade: float, reach: int = RANGE) -> Vectors:
    """Vectors from `reference` to `current`, both ``uint8 (height, width)``, multiples of 16."""
    height, width = current.shape
    padded = np.pad(reference, _BORDER, mode="edge")
    vectors = np.zeros((height // 8, width // 8, 2), np.int16)
    _search(np.ascontiguousarray(current), padded, np.float32(price(trade)), reach, vectors)
    return vectors


@numba.njit(cache=True, nogil=True)
def _bits(x, y):  # type: ignore[no-untyped-def]
    if x == 0 and y == 0:
        return np.float32(0.6)
    length = 0
    x, y = abs(x), abs(y)
    while x:
        length += 1
        x >>= 1
    while y:
        length += 1
        y >>= 1
    return np.float32(2.2 + 1.7 * length)


@numba.njit(cache=True, nogil=True)
def _median(a, b, c):  # type: ignore[no-untyped-def]
    return max(min(a, b), min(max(a, b), c))


def _whole(size: int) -> Any:
    """SAD at whole samples for blocks of one size.

    Loops have constant lengths and unsigned places: numba then emits vector code, without it the
    search takes five times as long.
    """

    @numba.njit(nogil=True)
    def sad(current, top, left, padded, row, column):  # type: ignore[no-untyped-def]
        total = np.int32(0)
        top, left, row, column = np.uint64(top), np.uint64(left), np.uint64(row), np.uint64(column)
        for a in range(size):
            y = np.uint64(a)
            for b in range(size):
                x = np.uint64(b)
                total += abs(
                    np.int32(current[top + y, left + x]) - np.int32(padded[row + y, column + x])
                )
        return total

    return sad


def _between(size: int) -> Any:
    """SAD at fractions of a sample for blocks of one size."""

    @numba.njit(nogil=True)
    def sad(current, top, left, padded, row, column, fx, fy, limit, rows):  # type: ignore[no-untyped-def]
        """`fx`, `fy` in quarters; stops early beyond `limit`; `rows` is scratch, int32 (23, 16)."""
        top, left = np.uint64(top), np.uint64(left)
        row, column = np.uint64(row - 3), np.uint64(column - 3)
        h0, h1, h2, h3, h4, h5, h6, h7 = TAPS[2 * fx]
        v0, v1, v2, v3, v4, v5, v6, v7 = TAPS[2 * fy]
        first, last = (0, size + 7) if fy else (3, size + 3)
        for a in range(first, last):
            y = np.uint64(a)
            for b in range(size):
                x = np.uint64(b)
                at = column + x
                rows[y, x] = (
                    h0 * np.int32(padded[row + y, at])
                    + h1 * np.int32(padded[row + y, at + _1])
                    + h2 * np.int32(padded[row + y, at + _2])
                    + h3 * np.int32(padded[row + y, at + _3])
                    + h4 * np.int32(padded[row + y, at + _4])
                    + h5 * np.int32(padded[row + y, at + _5])
                    + h6 * np.int32(padded[row + y, at + _6])
                    + h7 * np.int32(padded[row + y, at + _7])
                )
        cost = np.int32(0)
        for a in range(size):
            y = np.uint64(a)
            for b in range(size):
                x = np.uint64(b)
                total = (
                    v0 * rows[y, x]
                    + v1 * rows[y + _1, x]
                    + v2 * rows[y + _2, x]
                    + v3 * rows[y + _3, x]
                    + v4 * rows[y + _4, x]
                    + v5 * rows[y + _5, x]
                    + v6 * rows[y + _6, x]
                    + v7 * rows[y + _7, x]
                    + _HALF
                ) >> _SHIFT
                cost += abs(np.int32(current[top + y, left + x]) - total)
            if cost >= limit:
                break
        return cost

    return sad


_whole16, _whole8 = _whole(16), _whole(8)
_between16, _between8 = _between(16), _between(8)


@numba.njit(nogil=True)
def _distortion(current, top, left, padded, x, y, size, limit, rows):  # type: ignore[no-untyped-def]
    row, column, fx, fy = _BORDER + top + (y >> 2), _BORDER + left + (x >> 2), x & 3, y & 3
    if size == 16:
        if fx or fy:
            return _between16(current, top, left, padded, row, column, fx, fy, limit, rows)
        return _whole16(current, top, left, padded, row, column)
    if fx or fy:
        return _between8(current, top, left, padded, row, column, fx, fy, limit, rows)
    return _whole8(current, top, left, padded, row, column)


@numba.njit(cache=True, nogil=True)
def _try(current, top, left, padded, x, y, size, rows, cost, near, best):  # type: ignore[no-untyped-def]
    """Keep (x, y) in `best` (x, y, cost) if it is better; `near` is the predicted vector."""
    if abs(x) > MAX_VECTOR or abs(y) > MAX_VECTOR:
        return
    rate = cost * _bits(x - near[0], y - near[1])
    if rate >= best[2]:
        return
    total = rate + _distortion(current, top, left, padded, x, y, size, best[2] - rate, rows)
    if total < best[2]:
        best[0], best[1], best[2] = x, y, total


@numba.njit(cache=True, nogil=True)
def _descend(current, top, left, padded, size, rows, cost, near, best):  # type: ignore[no-untyped-def]
    """Whole samples downhill, then halves and quarters around the best."""
    if not (int(best[0]) | int(best[1])) & 3:
        for _ in range(20):
            x, y = int(best[0]), int(best[1])
            _try(current, top, left, padded, x + 4, y, size, rows, cost, near, best)
            _try(current, top, left, padded, x - 4, y, size, rows, cost, near, best)
            _try(current, top, left, padded, x, y + 4, size, rows, cost, near, best)
            _try(current, top, left, padded, x, y - 4, size, rows, cost, near, best)
            if x == best[0] and y == best[1]:
                break
    for step in (2, 1):
        x, y = int(best[0]), int(best[1])
        for dy in (-step, 0, step):
            for dx in (-step, 0, step):
                if dx or dy:
                    _try(current, top, left, padded, x + dx, y + dy, size, rows, cost, near, best)


@numba.njit(cache=True, nogil=True)
def _around(vectors, i, j, near, offers):  # type: ignore[no-untyped-def]
    """Left, above and above right of the 16×16 block at 8×8 row `i`: `offers`, median `near`."""
    offers[:] = 0
    if j:
        offers[0] = vectors[i, j - 1]
    if i:
        offers[1] = vectors[i - 1, j]
        if j + 2 < vectors.shape[1]:
            offers[2] = vectors[i - 1, j + 2]
    for axis in range(2):
        near[axis] = _median(offers[0, axis], offers[1, axis], offers[2, axis])


@numba.njit(cache=True, nogil=True)
def _search(current, padded, cost, reach, vectors):  # type: ignore[no-untyped-def]
    rows = np.empty((23, 16), np.int32)
    offers, near = np.zeros((3, 2), np.int32), np.zeros(2, np.int32)
    best, part = np.zeros(3, np.float32), np.zeros(3, np.float32)
    quarters = np.zeros((4, 2), np.int32)
    good = (np.float32(0.6) + np.float32(0.02) * cost) * 256  # no wide search below this
    for i in range(0, vectors.shape[0], 2):
        for j in range(0, vectors.shape[1], 2):
            top, left = 8 * i, 8 * j
            _around(vectors, i, j, near, offers)
            best[0], best[1], best[2] = 0, 0, 1e9
            _try(current, top, left, padded, near[0], near[1], 16, rows, cost, near, best)
            _try(current, top, left, padded, 0, 0, 16, rows, cost, near, best)
            for k in range(3):
                x, y = offers[k, 0], offers[k, 1]
                _try(current, top, left, padded, x, y, 16, rows, cost, near, best)
            if best[2] > good:
                x, y = (int(best[0]) + 2) >> 2 << 2, (int(best[1]) + 2) >> 2 << 2
                _try(current, top, left, padded, x, y, 16, rows, cost, near, best)
                for dy in range(-reach, reach + 1, _STEP):
                    for dx in range(-reach, reach + 1, _STEP):
                        _try(current, top, left, padded, 4 * dx, 4 * dy, 16, rows, cost, near, best)
                _descend(current, top, left, padded, 16, rows, cost, near, best)
            vectors[i : i + 2, j : j + 2, 0] = int(best[0])
            vectors[i : i + 2, j : j + 2, 1] = int(best[1])
            if best[2] <= np.float32(1.4) * good + 6 * cost:
                continue
            total = cost * np.float32(_SPLIT_BITS)
            for k in range(4):
                y0, x0 = top + 8 * (k >> 1), left + 8 * (k & 1)
                if k:
                    near[:] = quarters[k - 1]
                part[0], part[1], part[2] = 0, 0, 1e9
                x, y = int(best[0]), int(best[1])
                _try(current, y0, x0, padded, x, y, 8, rows, cost, near, part)
                _try(current, y0, x0, padded, near[0], near[1], 8, rows, cost, near, part)
                _try(current, y0, x0, padded, 0, 0, 8, rows, cost, near, part)
                for m in range(3):
                    x, y = offers[m, 0], offers[m, 1]
                    _try(current, y0, x0, padded, x, y, 8, rows, cost, near, part)
                x, y = (int(part[0]) + 2) >> 2 << 2, (int(part[1]) + 2) >> 2 << 2
                _try(current, y0, x0, padded, x, y, 8, rows, cost, near, part)
                _descend(current, y0, x0, padded, 8, rows, cost, near, part)
                quarters[k, 0], quarters[k, 1] = int(part[0]), int(part[1])
                total += part[2]
            if total < best[2]:
                for k in range(4):
                    vectors[i + (k >> 1), j + (k & 1), 0] = quarters[k, 0]
                    vectors[i + (k >> 1), j + (k & 1), 1] = quarters[k, 1]
    for _ in range(_MERGE_PASSES):
        _merge(current, padded, cost, vectors, rows)


@numba.njit(cache=True, nogil=True)
def _merge(current, padded, cost, vectors, rows):  # type: ignore[no-untyped-def]
    height, width = vectors.shape[0], vectors.shape[1]
    offers, near = np.zeros((3, 2), np.int32), np.zeros(2, np.int32)
    sides = np.zeros((6, 2), np.int32)
    for i in range(0, height, 2):
        for j in range(0, width, 2):
            own = vectors[i, j]
            split = False
            for k in range(1, 4):
                other = vectors[i + (k >> 1), j + (k & 1)]
                split = split or other[0] != own[0] or other[1] != own[1]
            _around(vectors, i, j, near, offers)
            sides[0], sides[1], sides[2] = near, offers[0], offers[1]
            sides[3], sides[4], sides[5] = own, own, 0
            has_right, has_below = j + 2 < width, i + 2 < height
            if has_right:
                sides[3] = vectors[i, j + 2]
            if has_below:
                sides[4] = vectors[i + 2, j]
            alike = not split
            for k in range(6):
                alike = alike and sides[k, 0] == own[0] and sides[k, 1] == own[1]
            if alike:
                continue
            right, below = sides[3].copy(), sides[4].copy()
            least = _stay(current, padded, cost, vectors, i, j, split, near, rows)
            least += _strain(cost, vectors[i + 1, j + 1], right, below, has_right, has_below)
            chosen = -1
            for k in range(6):
                x, y = sides[k, 0], sides[k, 1]
                total = cost * _bits(x - near[0], y - near[1])
                total += _strain(cost, sides[k], right, below, has_right, has_below)
                if total < least:
                    total += _distortion(
                        current, 8 * i, 8 * j, padded, x, y, 16, least - total, rows
                    )
                if total < least:
                    least, chosen = total, k
            if chosen >= 0:
                vectors[i : i + 2, j : j + 2, 0] = sides[chosen, 0]
                vectors[i : i + 2, j : j + 2, 1] = sides[chosen, 1]


@numba.njit(cache=True, nogil=True)
def _stay(current, padded, cost, vectors, i, j, split, near, rows):  # type: ignore[no-untyped-def]
    """What the block costs as it is."""
    x, y = int(vectors[i, j, 0]), int(vectors[i, j, 1])
    total = cost * _bits(x - near[0], y - near[1])
    if not split:
        return total + _distortion(current, 8 * i, 8 * j, padded, x, y, 16, _NO_LIMIT, rows)
    total += cost * np.float32(_SPLIT_BITS)
    for k in range(4):
        a, b = i + (k >> 1), j + (k & 1)
        last_x, last_y = x, y
        x, y = int(vectors[a, b, 0]), int(vectors[a, b, 1])
        if k:
            total += cost * _bits(x - last_x, y - last_y)
        total += _distortion(current, 8 * a, 8 * b, padded, x, y, 8, _NO_LIMIT, rows)
    return total


@numba.njit(cache=True, nogil=True)
def _strain(cost, vector, right, below, has_right, has_below):  # type: ignore[no-untyped-def]
    """Half of what the blocks to the right and below would pay to differ from `vector`."""
    total = np.float32(0)
    if has_right:
        total += _bits(right[0] - vector[0], right[1] - vector[1])
    if has_below:
        total += _bits(below[0] - vector[0], below[1] - vector[1])
    return total * cost * np.float32(0.5)


def estimate_bits(vectors: Vectors) -> float:
    """What the search believes that a field costs."""
    return float(_field_bits(vectors))


@numba.njit(cache=True, nogil=True)
def _field_bits(vectors):  # type: ignore[no-untyped-def]
    offers, near = np.zeros((3, 2), np.int32), np.zeros(2, np.int32)
    total = 0.0
    for i in range(0, vectors.shape[0], 2):
        for j in range(0, vectors.shape[1], 2):
            _around(vectors, i, j, near, offers)
            x, y = int(vectors[i, j, 0]), int(vectors[i, j, 1])
            total += _bits(x - near[0], y - near[1])
            inner, split = 0.0, False
            for k in range(1, 4):
                last_x, last_y = x, y
                x, y = (
                    int(vectors[i + (k >> 1), j + (k & 1), 0]),
                    int(vectors[i + (k >> 1), j + (k & 1), 1]),
                )
                inner += _bits(x - last_x, y - last_y)
                split = split or x != last_x or y != last_y
            if split:
                total += inner + _SPLIT_BITS
    return total
