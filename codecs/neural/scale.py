"""The integer path from z and decoded magnitudes to scale indices.

Everything is a matrix product of small whole numbers in float32: each sum stays below 2**24, so the
result is exact whatever the order, the threads or the library.  Nothing here rounds except the
floors that are part of the definition.
"""

from dataclasses import replace
from typing import Final, TypeAlias

import numba
import numpy as np
import numpy.typing as npt

from auralink.codecs.neural.model import INDICES, KindModel, Layer

Index: TypeAlias = npt.NDArray[np.float32]  # (channels, rows, columns), whole
Channels: TypeAlias = tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]

BRIGHTEST: Final = 15  # magnitudes count up to here
STEPS: Final = 4


def first_index(kind: KindModel, hyper: npt.NDArray[np.int8], rows: int, columns: int) -> Index:
    """Scale indices from z alone, ``(channels, rows, columns)``."""
    hidden = _shuffle(_apply(kind.scale_up, hyper.astype(np.float32)))
    fine = _shuffle(_apply(kind.scale_out, hidden))
    return np.ascontiguousarray(fine[:, :rows, :columns])


def offset(
    kind: KindModel, step: int, magnitudes: Index, cosets: int, channels: Channels | None = None
) -> Index:
    """What magnitudes known before `step` (1 to 3) add to the index.

    Args:
        magnitudes: zero where not known yet, and where not in this packet.
        cosets: packets that the cells are dealt to: kernels stay within one packet's cells.
        channels: those of the magnitudes that may differ from zero, and those wanted; None: all.
    """
    gather, mix, tell = kind.contexts[step - 1]
    if channels is not None:
        seen, wanted = channels
        magnitudes = magnitudes[seen]
        gather = replace(gather, weight=gather.weight[:, seen])
        tell = replace(tell, weight=tell.weight[wanted], bias=tell.bias[wanted])
    known = _apply(gather, np.minimum(magnitudes, BRIGHTEST))
    return _apply(tell, _mix(mix, known, cosets))


def clip(index: Index) -> npt.NDArray[np.int64]:
    return np.clip(index, 0, INDICES - 1).astype(np.int64)


def _apply(layer: Layer, x: Index) -> Index:
    channels, rows, columns = x.shape
    total = layer.weight[:, :, 0, 0] @ x.reshape(channels, -1)
    return _finish(layer, total).reshape(-1, rows, columns)


def _mix(layer: Layer, x: Index, cosets: int) -> Index:
    channels, rows, columns = x.shape
    padded = np.pad(x, ((0, 0), (1, 1), (1, 1)))
    taps = [(i, j) for i in range(3) for j in range(3) if within(cosets, i - 1, j - 1)]
    seen = np.empty((len(taps), channels, rows, columns), np.float32)
    for at, (i, j) in enumerate(taps):
        seen[at] = padded[:, i : i + rows, j : j + columns]
    weight = np.concatenate([layer.weight[:, :, i, j] for i, j in taps], 1)
    total = weight @ seen.reshape(len(taps) * channels, -1)
    return _finish(layer, total).reshape(-1, rows, columns)


def within(cosets: int, down: int, right: int) -> bool:
    """Whether a neighbour at this distance is in the same packet."""
    if cosets == 1:
        return True
    if cosets == 2:
        return (down + right) % 2 == 0
    return down % 2 == 0 and right % 2 == 0


def _finish(layer: Layer, total: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    _round(total, layer.bias, np.float32(2.0**-layer.shift), layer.low, layer.high)
    return total


@numba.njit(cache=True, nogil=True)
def _round(total, bias, share, low, high):  # type: ignore[no-untyped-def]
    low, high = np.float32(low), np.float32(high)
    for k in range(len(total)):
        row = total[k]
        for n in range(len(row)):
            row[n] = min(max(np.floor((row[n] + bias[k]) * share), low), high)


def _shuffle(x: Index) -> Index:
    """``(4 c, h, w)`` to ``(c, 2 h, 2 w)``."""
    channels, rows, columns = x.shape
    cells = x.reshape(channels // 4, 2, 2, rows, columns)
    return cells.transpose(0, 3, 1, 4, 2).reshape(channels // 4, 2 * rows, 2 * columns)
