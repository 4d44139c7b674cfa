"""Vectors of one packet: each cell as predicted from its packet's neighbours, another, or four.

The prediction is the median of the vectors left, above and above right.  Differences are coded as
a bit length from a table, then a sign and the bits below the leading one as they are.  Tables are
static; contexts say how alike the neighbours were.
"""

from typing import Any, Final

import numba
import numpy as np
import numpy.typing as npt

from auralink.codecs.errors import BitstreamError
from auralink.codecs.neural.model import CLASSES, LENGTH_CONTEXTS, MODE_CONTEXTS, MODES, Model
from auralink.codecs.neural.motion import MAX_VECTOR, Vectors
from auralink.codecs.neural.rans import Reader, Slots, put_bits, put_symbol, read_bits, read_symbol
from auralink.codecs.neural.tiles import NEAR, Cells, coset_of

_MODE, _LENGTH, _PLAIN = 0, 1, 2
_EVENTS: Final = 1 + 4 * 2 * 2  # of one cell at most
_X, _X_MOVING, _Y, _Y_AFTER, _FIRST, _NEXT = range(LENGTH_CONTEXTS)

Events = npt.NDArray[np.int32]  # (count, 3): what, context or number of bits, value


def write(model: Model, vectors: Vectors, cosets: int, coset: int) -> Slots:
    """Slots of one packet's part of a tile's vectors, ``int16 (2 rows, 2 columns, 2)``."""
    events = _events(vectors, cosets, coset)
    slots = np.empty((len(events), 2), np.uint32)
    _fill(slots, events, model.modes, model.lengths)
    return slots


def read(model: Model, reader: Reader, rows: int, columns: int, cosets: int, coset: int) -> Vectors:
    """One packet's vectors; zero where other packets have them.

    Raises:
        BitstreamError: a vector is longer than any encoder may write.
    """
    vectors = np.zeros((2 * rows, 2 * columns, 2), np.int16)
    cells = _cells(vectors, cosets, coset)
    near = NEAR[cosets]
    if not _read(reader.data, reader.cursor, model.modes, model.lengths, cells, near, vectors):
        raise BitstreamError("a motion vector is out of range")
    return vectors


def count(vectors: Vectors, modes: npt.NDArray[Any], lengths: npt.NDArray[Any]) -> None:
    """Add the symbols of a field in a single packet to counts shaped like the tables."""
    events = _events(vectors, 1, 0)
    for what, counts in ((_MODE, modes), (_LENGTH, lengths)):
        seen = events[events[:, 0] == what]
        np.add.at(counts, (seen[:, 1], seen[:, 2]), 1)


MODE_SHAPE: Final = (MODE_CONTEXTS, MODES)
LENGTH_SHAPE: Final = (LENGTH_CONTEXTS, CLASSES)


def _cells(vectors: Vectors, cosets: int, coset: int) -> Cells:
    rows, columns = vectors.shape[0] // 2, vectors.shape[1] // 2
    return np.argwhere(coset_of(rows, columns, cosets) == coset)


def _events(vectors: Vectors, cosets: int, coset: int) -> Events:
    cells = _cells(vectors, cosets, coset)
    events = np.empty((_EVENTS * len(cells), 3), np.int32)
    return events[: _describe(vectors, cells, NEAR[cosets], events)]


@numba.njit(cache=True, nogil=True)
def _median(a, b, c):  # type: ignore[no-untyped-def]
    return max(min(a, b), min(max(a, b), c))


@numba.njit(cache=True, nogil=True)
def _context(vectors, i, j, near, offers, median):  # type: ignore[no-untyped-def]
    """The predicted vector into `median`; the context of the mode."""
    rows, columns = vectors.shape[0] // 2, vectors.shape[1] // 2
    for k in range(3):
        a, b = i + near[k, 0], j + near[k, 1]
        offers[k, 0] = offers[k, 1] = 0
        if 0 <= a < rows and 0 <= b < columns:
            # The corner of the neighbour that touches this cell, or comes nearest.
            y, x = (2 * a, 2 * b + 1) if k == 0 else (2 * a + 1, 2 * b)
            offers[k, 0], offers[k, 1] = vectors[y, x, 0], vectors[y, x, 1]
    for axis in range(2):
        median[axis] = _median(offers[0, axis], offers[1, axis], offers[2, axis])
    context = 3 if median[0] or median[1] else 0
    for k in range(2):
        if offers[k, 0] != median[0] or offers[k, 1] != median[1]:
            context += 1
    return context


@numba.njit(cache=True, nogil=True)
def _put(events, at, what, context, value):  # type: ignore[no-untyped-def]
    events[at, 0], events[at, 1], events[at, 2] = what, context, value
    return at + 1


@numba.njit(cache=True, nogil=True)
def _put_difference(events, at, context, difference):  # type: ignore[no-untyped-def]
    size, bits = abs(difference), 0
    while size >> bits:
        bits += 1
    at = _put(events, at, _LENGTH, context, bits)
    if bits:
        low = size - (1 << (bits - 1))
        at = _put(events, at, _PLAIN, bits, low << 1 | (1 if difference < 0 else 0))
    return at


@numba.njit(cache=True, nogil=True)
def _describe(vectors, cells, near, events):  # type: ignore[no-untyped-def]
    offers, median = np.zeros((3, 2), np.int64), np.zeros(2, np.int64)
    at = 0
    for n in range(len(cells)):
        i, j = cells[n, 0], cells[n, 1]
        context = _context(vectors, i, j, near, offers, median)
        x, y = np.int64(vectors[2 * i, 2 * j, 0]), np.int64(vectors[2 * i, 2 * j, 1])
        split = False
        for k in range(1, 4):
            a, b = 2 * i + (k >> 1), 2 * j + (k & 1)
            split = split or vectors[a, b, 0] != x or vectors[a, b, 1] != y
        if split:
            at = _put(events, at, _MODE, context, 2)
            last_x, last_y = median[0], median[1]
            for k in range(4):
                a, b = 2 * i + (k >> 1), 2 * j + (k & 1)
                x, y = np.int64(vectors[a, b, 0]), np.int64(vectors[a, b, 1])
                which = _NEXT if k else _FIRST
                at = _put_difference(events, at, which, x - last_x)
                at = _put_difference(events, at, which, y - last_y)
                last_x, last_y = x, y
        elif x == median[0] and y == median[1]:
            at = _put(events, at, _MODE, context, 0)
        else:
            at = _put(events, at, _MODE, context, 1)
            at = _put_difference(events, at, _X if context < 3 else _X_MOVING, x - median[0])
            after = _Y if x == median[0] else _Y_AFTER
            at = _put_difference(events, at, after, y - median[1])
    return at


@numba.njit(cache=True, nogil=True)
def _fill(slots, events, modes, lengths):  # type: ignore[no-untyped-def]
    for k in range(len(events)):
        what, context, value = events[k, 0], events[k, 1], events[k, 2]
        if what == _MODE:
            put_symbol(slots, k, modes[context], value)
        elif what == _LENGTH:
            put_symbol(slots, k, lengths[context], value)
        else:
            put_bits(slots, k, value, context)


@numba.njit(cache=True, nogil=True)
def _read_difference(data, cursor, table):  # type: ignore[no-untyped-def]
    bits = read_symbol(data, cursor, table)
    if bits == 0:
        return 0
    low = read_bits(data, cursor, bits)
    size = (1 << (bits - 1)) + (low >> 1)
    return -size if low & 1 else size


@numba.njit(cache=True, nogil=True)
def _read(data, cursor, modes, lengths, cells, near, vectors):  # type: ignore[no-untyped-def]
    offers, median = np.zeros((3, 2), np.int64), np.zeros(2, np.int64)
    for n in range(len(cells)):
        i, j = cells[n, 0], cells[n, 1]
        context = _context(vectors, i, j, near, offers, median)
        mode = read_symbol(data, cursor, modes[context])
        x, y = median[0], median[1]
        if mode == 1:
            dx = _read_difference(data, cursor, lengths[_X if context < 3 else _X_MOVING])
            dy = _read_difference(data, cursor, lengths[_Y_AFTER if dx else _Y])
            x, y = x + dx, y + dy
        for k in range(4):
            if mode == 2:
                which = _NEXT if k else _FIRST
                x += _read_difference(data, cursor, lengths[which])
                y += _read_difference(data, cursor, lengths[which])
            if abs(x) > MAX_VECTOR or abs(y) > MAX_VECTOR:
                return False
            vectors[2 * i + (k >> 1), 2 * j + (k & 1), 0] = x
            vectors[2 * i + (k >> 1), 2 * j + (k & 1), 1] = y
    return True
