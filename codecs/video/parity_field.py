"""Reed-Solomon erasure coding over GF(256), as a systematic Cauchy code.

``k`` data blocks give up to ``256 - k`` parity rows; any ``k`` of all of them restore the data.
Row ``i`` is ``sum_j data_j / (x_i + y_j)`` with ``x_i = 255 - i`` and ``y_j = j`` (addition is
XOR), so a row does not depend on how many rows are made: more can follow later.  Every square
part of a Cauchy matrix has an inverse, which is why any ``k`` suffice.

Whole blocks are multiplied through one 64 kB product table: a 33 x 1000 byte unit with ten
parity rows takes about a millisecond where a symbol-by-symbol coder takes tenths of a second.

Source: J. Blömer et al., An XOR-based erasure-resilient coding scheme, ICSI TR-95-048, 1995.
"""

from collections.abc import Mapping
from functools import cache
from typing import Final

import numpy as np
import numpy.typing as npt

Bytes = npt.NDArray[np.uint8]

POLYNOMIAL: Final = 0x11D  # x^8 + x^4 + x^3 + x^2 + 1, generator 2
FIELD: Final = 256


def parity_row(row: int, data: Bytes) -> Bytes:
    """Make one parity row over ``data`` (blocks x bytes)."""
    factors = _row(row, len(data))
    out = np.zeros(data.shape[1], np.uint8)
    products = _products()
    for factor, block in zip(factors, data, strict=True):
        out ^= products[factor][block]
    return out


def restore(count: int, data: Mapping[int, Bytes], rows: Mapping[int, Bytes]) -> dict[int, Bytes]:
    """Return the blocks missing from ``data`` (block number to bytes).

    All blocks are equally long and ``len(data) + len(rows) >= count``; both are the caller's
    to check.
    """
    missing = [j for j in range(count) if j not in data]
    used = sorted(rows)[: len(missing)]
    products = _products()
    sums = []
    for row in used:
        factors, total = _row(row, count), rows[row].copy()
        for j, block in data.items():
            total ^= products[factors[j]][block]
        sums.append(total)
    matrix = np.array([_row(row, count)[missing] for row in used], np.uint8)
    inverse = _invert(matrix.reshape(len(used), len(missing)))
    restored = {}
    for j, factors in zip(missing, inverse, strict=True):
        block = np.zeros_like(sums[0])
        for factor, total in zip(factors, sums, strict=True):
            block ^= products[factor][total]
        restored[j] = block
    return restored


def _row(row: int, count: int) -> Bytes:
    """Factors of the data blocks in parity row ``row``; needs ``row + count <= 256``."""
    factors: Bytes = _inverses()[(FIELD - 1 - row) ^ np.arange(count)]
    return factors


def _invert(matrix: Bytes) -> Bytes:
    """Gauss-Jordan; a Cauchy matrix never runs out of pivots."""
    size, products, inverses = len(matrix), _products(), _inverses()
    work: Bytes = np.concatenate([matrix, np.eye(size, dtype=np.uint8)], axis=1)
    for column in range(size):
        pivot = column + int(np.flatnonzero(work[column:, column])[0])
        work[[column, pivot]] = work[[pivot, column]]
        work[column] = products[inverses[work[column, column]]][work[column]]
        others = work[:, column].copy()
        others[column] = 0
        work ^= products[others[:, None], work[column][None, :]]
    return work[:, size:]


@cache
def _products() -> Bytes:
    """``products[a, b]`` is a times b."""
    logarithm, power = np.zeros(FIELD, np.int64), np.zeros(2 * FIELD, np.uint8)
    value = 1
    for exponent in range(FIELD - 1):
        power[exponent] = power[exponent + FIELD - 1] = value
        logarithm[value] = exponent
        value = value << 1 ^ (POLYNOMIAL if value & 0x80 else 0)
    table: Bytes = power[logarithm[:, None] + logarithm[None, :]]
    table[0, :] = table[:, 0] = 0
    return table


@cache
def _inverses() -> Bytes:
    """``inverses[a]`` is 1 / a; that of 0 is never used."""
    table: Bytes = np.argmax(_products() == 1, axis=1).astype(np.uint8)
    return table
