"""Symbols of y, in four steps: each step's scale indices use what the steps before decoded.

::

    step 0   early channels, first half of the cells      index from z
    step 1   early channels, the other half               + magnitudes of step 0
    step 2   late channels, first half                    + magnitudes of steps 0, 1
    step 3   late channels, the other half                + all of them

Symbols whose index is below the model's `quiet` are zero and cost nothing.
"""

from typing import TypeAlias

import numba
import numpy as np
import numpy.typing as npt

from auralink.codecs.neural import scale
from auralink.codecs.neural.model import ESCAPE, INDICES, KindModel, Model
from auralink.codecs.neural.rans import Reader, Slots, put_bits, put_symbol, read_bits, read_symbol
from auralink.codecs.neural.tiles import coset_of, late_half

Latent: TypeAlias = npt.NDArray[np.int16]  # (channels, rows, columns)
Hyper: TypeAlias = npt.NDArray[np.int8]  # (channels, block rows, block columns)
Indices: TypeAlias = npt.NDArray[np.uint8]  # of scales, the same shape as the symbols
Steps: TypeAlias = list[tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]]

MOST_SLOTS = 4  # of one symbol: magnitude, two parts of an escape, sign


def prepare(
    model: Model, intra: bool, hyper: Hyper, latent: Latent, cosets: int
) -> tuple[Indices, Latent]:
    """Indices of a tile's symbols, and the symbols with the quiet ones at zero.

    Cosets do not see each other, so one pass serves all of them.
    """
    kind = model.kind(intra)
    _, rows, columns = latent.shape
    first = scale.first_index(kind, hyper, rows, columns)
    index, kept = np.empty(latent.shape, np.uint8), latent.copy()
    known = np.zeros(latent.shape, np.float32)
    late = late_half(rows, columns, cosets)
    for step, (seen, wanted) in enumerate(_channels(model)):
        told = _told(kind, step, known, cosets, (seen, wanted))
        half = late if step & 1 else ~late
        _settle(first, told, wanted, half, kind.quiet, index, kept, known)
    return index, kept


def write(
    model: Model,
    intra: bool,
    index: Indices,
    latent: Latent,
    cosets: int,
    coset: int,
) -> Slots:
    """Slots of one packet's symbols; `index` and `latent` from `prepare`."""
    kind = model.kind(intra)
    coded = int(np.count_nonzero(index >= kind.quiet))
    most = coded + (MOST_SLOTS - 1) * int(np.count_nonzero(latent))
    slots = np.empty((most, 2), np.uint32)
    count = 0
    for channels, cells in _steps(model, latent.shape[1], latent.shape[2], cosets, coset):
        count = _write(slots, count, kind.latent, index, latent, channels, cells, kind.quiet)
    return slots[:count]


def read(
    model: Model,
    intra: bool,
    reader: Reader,
    hyper: Hyper,
    rows: int,
    columns: int,
    cosets: int,
    coset: int,
) -> Latent:
    """One packet's symbols of a tile of ``rows`` by ``columns`` cells; others are zero."""
    kind: KindModel = model.kind(intra)
    first = scale.first_index(kind, hyper, rows, columns)
    latent = np.zeros(first.shape, np.int16)
    known = np.zeros(first.shape, np.float32)
    parts = _steps(model, rows, columns, cosets, coset)
    for step, (channels, (wanted, cells)) in enumerate(zip(_channels(model), parts, strict=True)):
        told = _told(kind, step, known, cosets, channels)
        table, quiet = kind.latent, kind.quiet
        _read(reader.data, reader.cursor, table, first, told, wanted, cells, quiet, latent, known)
    return latent


def _channels(model: Model) -> list[scale.Channels]:
    """Of each step: channels with symbols known before, and channels that it codes."""
    early, late = np.flatnonzero(model.early), np.flatnonzero(~model.early)
    return [(early[:0], early), (early, early), (early, late), (np.arange(len(model.early)), late)]


def _told(
    kind: KindModel, step: int, known: scale.Index, cosets: int, channels: scale.Channels
) -> scale.Index:
    """What is known tells the scales of a step's channels."""
    if not step:
        return np.zeros((len(channels[1]), *known.shape[1:]), np.float32)
    return scale.offset(kind, step, known, cosets, channels)


def _steps(model: Model, rows: int, columns: int, cosets: int, coset: int) -> Steps:
    """Channels and cells of each step of one packet."""
    own, late = coset_of(rows, columns, cosets) == coset, late_half(rows, columns, cosets)
    halves = np.argwhere(own & ~late), np.argwhere(own & late)
    parts = np.flatnonzero(model.early), np.flatnonzero(~model.early)
    return [(channels, cells) for channels in parts for cells in halves]


@numba.njit(cache=True, nogil=True)
def _write(slots, count, table, index, latent, channels, cells, quiet):  # type: ignore[no-untyped-def]
    for c in channels:
        for k in range(len(cells)):
            i, j = cells[k, 0], cells[k, 1]
            row = index[c, i, j]
            if row < quiet:
                continue
            value = np.int64(latent[c, i, j])
            size = abs(value)
            count = put_symbol(slots, count, table[row], min(size, ESCAPE))
            if size >= ESCAPE:
                beyond, bits = size - ESCAPE + 1, 0
                while beyond >> (bits + 1):
                    bits += 1
                count = put_bits(slots, count, bits, 3)
                count = put_bits(slots, count, beyond - (1 << bits), bits)
            if size:
                count = put_bits(slots, count, np.int64(value < 0), 1)
    return count


@numba.njit(cache=True, nogil=True)
def _scale(first, told):  # type: ignore[no-untyped-def]
    return min(max(np.int64(first + told), 0), INDICES - 1)


@numba.njit(cache=True, nogil=True)
def _settle(first, told, channels, half, quiet, index, kept, known):  # type: ignore[no-untyped-def]
    """Indices of one step; quiet symbols become zero, and the step's magnitudes known."""
    _, rows, columns = first.shape
    for m in range(len(channels)):
        c = channels[m]
        for i in range(rows):
            for j in range(columns):
                if not half[i, j]:
                    continue
                row = _scale(first[c, i, j], told[m, i, j])
                index[c, i, j] = row
                if row < quiet:
                    kept[c, i, j] = 0
                known[c, i, j] = abs(np.int32(kept[c, i, j]))


@numba.njit(cache=True, nogil=True)
def _read(data, cursor, table, first, told, channels, cells, quiet, latent, known):  # type: ignore[no-untyped-def]
    for m in range(len(channels)):
        c = channels[m]
        for k in range(len(cells)):
            i, j = cells[k, 0], cells[k, 1]
            row = _scale(first[c, i, j], told[m, i, j])
            if row < quiet:
                continue
            size = read_symbol(data, cursor, table[row])
            if size >= ESCAPE:
                bits = read_bits(data, cursor, 3)
                size = ESCAPE - 1 + (1 << bits) + read_bits(data, cursor, bits)
            if size == 0:
                continue
            known[c, i, j] = size
            latent[c, i, j] = -size if read_bits(data, cursor, 1) else size
