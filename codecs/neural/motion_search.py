"""Motion search: 16×16 blocks, split into 8×8 where it pays, to a quarter sample.

Each block takes the vector with the least ``SAD + price * bits``.  Candidates are the vectors
around it, then a descent over whole samples, a coarse grid where that leads nowhere, then halves
and quarters.  Two more passes offer every block its neighbours' vectors again, now from all four
sides, with what the choice costs the neighbours: that makes fields smooth where the picture does
not care.

Effort is bounded: a block is compared at a few hundred places at most, a hundred if its neighbours'
vectors suit it, and five if nothing moves.

Bits are estimates (`_bits`); the packet writer has the tables.
"""

import math
from typing import Final

import numba
import numpy as np

from auralink.codecs.frame import Plane
from auralink.codecs.neural.motion import MAX_VECTOR, Vectors
from auralink.codecs.neural.motion_planes import OUTSIDE, distortion, halves

RANGE: Final = 12  # of the coarse grid, in samples
_STEP: Final = 3  # between its points
# The grid is for blocks that are still this much worse than good after a descent from the vectors
# around: it costs half of the search, and finds next to nothing where these suit.
_LOST = np.float32(2.5)
# Blocks that cost no more than this, of what the cheapest one around did, are not searched.
_LIKE = np.float32(1.1)
_NO_COST = np.float32(1e9)
# Of each component of a difference: 1.7 for each binary digit.
_LENGTH_BITS: Final = np.array([1.7 * i.bit_length() for i in range(4 * MAX_VECTOR)], np.float32)
_SPLIT_BITS: Final = 2.5
# Paying more for motion than its bits cost wins, on all but nearly still clips (measured: -2.5 %
# of the rate against a factor of 1): better vectors help the frames after as well.
_LENIENCE: Final = 0.7
_MERGE_PASSES: Final = 2


def price(trade: float) -> float:
    """SAD per bit for a rate-distortion trade of `trade` bits per squared error of a sample."""
    return _LENIENCE * 2.0 * math.sqrt(1 / (0.75 * trade))


def search(current: Plane, reference: Plane, trade: float, reach: int = RANGE) -> Vectors:
    """Vectors from `reference` to `current`, both ``uint8 (height, width)``, multiples of 16."""
    height, width = current.shape
    planes = halves(reference)
    vectors = np.zeros((height // 8, width // 8, 2), np.int16)
    _search(np.ascontiguousarray(current), planes, np.float32(price(trade)), reach, vectors)
    return vectors


@numba.njit(cache=True, nogil=True)
def _bits(x, y):  # type: ignore[no-untyped-def]
    if x == 0 and y == 0:
        return np.float32(0.6)
    return np.float32(2.2) + _LENGTH_BITS[abs(x)] + _LENGTH_BITS[abs(y)]


@numba.njit(cache=True, nogil=True)
def _median(a, b, c):  # type: ignore[no-untyped-def]
    return max(min(a, b), min(max(a, b), c))


@numba.njit(cache=True, nogil=True)
def _inside(current, top, left, x, y, size):  # type: ignore[no-untyped-def]
    """Whether a vector may be written, and stays where the planes reach."""
    height, width = current.shape
    row, column = top + (y >> 2), left + (x >> 2)
    return (
        abs(x) <= MAX_VECTOR
        and abs(y) <= MAX_VECTOR
        and -OUTSIDE <= row <= height + OUTSIDE - size
        and -OUTSIDE <= column <= width + OUTSIDE - size
    )


@numba.njit(cache=True, nogil=True)
def _try(current, top, left, planes, x, y, size, cost, near, best):  # type: ignore[no-untyped-def]
    """Keep (x, y) in `best` (x, y, cost) if it is better; `near` is the predicted vector."""
    if not _inside(current, top, left, x, y, size):
        return
    rate = cost * _bits(x - near[0], y - near[1])
    if rate >= best[2]:
        return
    total = rate + distortion(current, top, left, planes, x, y, size)
    if total < best[2]:
        best[0], best[1], best[2] = x, y, total


@numba.njit(cache=True, nogil=True)
def _descend(current, top, left, planes, size, cost, near, best):  # type: ignore[no-untyped-def]
    """Whole samples downhill."""
    if (int(best[0]) | int(best[1])) & 3:
        return
    for _ in range(20):
        x, y = int(best[0]), int(best[1])
        _try(current, top, left, planes, x + 4, y, size, cost, near, best)
        _try(current, top, left, planes, x - 4, y, size, cost, near, best)
        _try(current, top, left, planes, x, y + 4, size, cost, near, best)
        _try(current, top, left, planes, x, y - 4, size, cost, near, best)
        if x == best[0] and y == best[1]:
            return


@numba.njit(cache=True, nogil=True)
def _refine(current, top, left, planes, size, cost, near, best):  # type: ignore[no-untyped-def]
    """Halves and quarters around the best."""
    for step in (2, 1):
        x, y = int(best[0]), int(best[1])
        for dy in (-step, 0, step):
            for dx in (-step, 0, step):
                if dx or dy:
                    _try(current, top, left, planes, x + dx, y + dy, size, cost, near, best)


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
def _expected(costs, i, j):  # type: ignore[no-untyped-def]
    """What the cheapest block around cost, and a little: noise makes none of them cheaper."""
    found = _NO_COST
    if j:
        found = min(found, costs[i, j - 1])
    if i:
        found = min(found, costs[i - 1, j])
        if j + 1 < costs.shape[1]:
            found = min(found, costs[i - 1, j + 1])
    return np.float32(0) if found == _NO_COST else found * _LIKE


@numba.njit(cache=True, nogil=True)
def _search(current, planes, cost, reach, vectors):  # type: ignore[no-untyped-def]
    offers, near = np.zeros((3, 2), np.int32), np.zeros(2, np.int32)
    best, part = np.zeros(3, np.float32), np.zeros(3, np.float32)
    quarters = np.zeros((4, 2), np.int32)
    least = (np.float32(0.6) + np.float32(0.02) * cost) * 256  # no search below this
    costs = np.full((vectors.shape[0] // 2, vectors.shape[1] // 2), _NO_COST, np.float32)
    for i in range(0, vectors.shape[0], 2):
        for j in range(0, vectors.shape[1], 2):
            top, left = 8 * i, 8 * j
            _around(vectors, i, j, near, offers)
            best[0], best[1], best[2] = 0, 0, 1e9
            _try(current, top, left, planes, near[0], near[1], 16, cost, near, best)
            _try(current, top, left, planes, 0, 0, 16, cost, near, best)
            for k in range(3):
                x, y = offers[k, 0], offers[k, 1]
                _try(current, top, left, planes, x, y, 16, cost, near, best)
            good = max(least, _expected(costs, i // 2, j // 2))
            if best[2] > good:
                x, y = (int(best[0]) + 2) >> 2 << 2, (int(best[1]) + 2) >> 2 << 2
                _try(current, top, left, planes, x, y, 16, cost, near, best)
                _descend(current, top, left, planes, 16, cost, near, best)
                if best[2] > _LOST * good:
                    last = best[2]
                    steps = reach // _STEP
                    for dy in range(-steps, steps + 1):
                        for dx in range(-steps, steps + 1):
                            x, y = 4 * _STEP * dx, 4 * _STEP * dy
                            _try(current, top, left, planes, x, y, 16, cost, near, best)
                    if best[2] < last:
                        _descend(current, top, left, planes, 16, cost, near, best)
                _refine(current, top, left, planes, 16, cost, near, best)
            costs[i // 2, j // 2] = best[2]
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
                _try(current, y0, x0, planes, x, y, 8, cost, near, part)
                _try(current, y0, x0, planes, near[0], near[1], 8, cost, near, part)
                _try(current, y0, x0, planes, 0, 0, 8, cost, near, part)
                for m in range(3):
                    x, y = offers[m, 0], offers[m, 1]
                    _try(current, y0, x0, planes, x, y, 8, cost, near, part)
                x, y = (int(part[0]) + 2) >> 2 << 2, (int(part[1]) + 2) >> 2 << 2
                _try(current, y0, x0, planes, x, y, 8, cost, near, part)
                _descend(current, y0, x0, planes, 8, cost, near, part)
                _refine(current, y0, x0, planes, 8, cost, near, part)
                quarters[k, 0], quarters[k, 1] = int(part[0]), int(part[1])
                total += part[2]
            if total < best[2]:
                for k in range(4):
                    vectors[i + (k >> 1), j + (k & 1), 0] = quarters[k, 0]
                    vectors[i + (k >> 1), j + (k & 1), 1] = quarters[k, 1]
    for _ in range(_MERGE_PASSES):
        _merge(current, planes, cost, vectors)


@numba.njit(cache=True, nogil=True)
def _merge(current, planes, cost, vectors):  # type: ignore[no-untyped-def]
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
            least = _stay(current, planes, cost, vectors, i, j, split, near)
            least += _strain(cost, vectors[i + 1, j + 1], right, below, has_right, has_below)
            chosen = -1
            for k in range(6):
                x, y = sides[k, 0], sides[k, 1]
                total = cost * _bits(x - near[0], y - near[1])
                total += _strain(cost, sides[k], right, below, has_right, has_below)
                if total < least and _inside(current, 8 * i, 8 * j, x, y, 16):
                    total += distortion(current, 8 * i, 8 * j, planes, x, y, 16)
                else:
                    continue
                if total < least:
                    least, chosen = total, k
            if chosen >= 0:
                vectors[i : i + 2, j : j + 2, 0] = sides[chosen, 0]
                vectors[i : i + 2, j : j + 2, 1] = sides[chosen, 1]


@numba.njit(cache=True, nogil=True)
def _stay(current, planes, cost, vectors, i, j, split, near):  # type: ignore[no-untyped-def]
    """What the block costs as it is."""
    x, y = int(vectors[i, j, 0]), int(vectors[i, j, 1])
    total = cost * _bits(x - near[0], y - near[1])
    if not split:
        return total + distortion(current, 8 * i, 8 * j, planes, x, y, 16)
    total += cost * np.float32(_SPLIT_BITS)
    for k in range(4):
        a, b = i + (k >> 1), j + (k & 1)
        last_x, last_y = x, y
        x, y = int(vectors[a, b, 0]), int(vectors[a, b, 1])
        if k:
            total += cost * _bits(x - last_x, y - last_y)
        total += distortion(current, 8 * a, 8 * b, planes, x, y, 8)
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
