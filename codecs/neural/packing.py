"""Pictures as the networks take them: all samples of an 8×8 block of luma as channels.

Channels 0..63 are luma, row by row of the block; 64..79 are U and 80..95 are V, whose 4×4 samples
cover the same place.  Planes have sides that are multiples of 16 (luma) and 8 (chroma).
"""

from dataclasses import dataclass, field
from typing import Final, TypeAlias

import numba
import numpy as np
import numpy.typing as npt

from auralink.codecs.frame import Frame, Plane, pad
from auralink.codecs.neural.tiles import Grid

Packed: TypeAlias = npt.NDArray[np.uint8]  # (96, height / 8, width / 8)

CHANNELS: Final = 96
MAX_AREA: Final = 1920 * 1088  # of pictures that networks are run on: a gigabyte of activations
CELL: Final = 16


@dataclass(frozen=True, slots=True)
class Planes:
    """A picture whose sides are multiples of 16."""

    y: Plane = field(repr=False)
    u: Plane = field(repr=False)
    v: Plane = field(repr=False)


def grid_of(width: int, height: int) -> Grid:
    """Cells of 16×16 that cover a picture."""
    return Grid(-(-height // CELL), -(-width // CELL))


def padded(frame: Frame) -> Planes:
    """The planes of a frame, its last row and column repeated."""
    grid = grid_of(frame.width, frame.height)
    return Planes(*pad(frame, grid.columns * CELL, grid.rows * CELL).planes)


def cropped(planes: Planes, width: int, height: int, pts_us: int) -> Frame:
    chroma = (height + 1) // 2, (width + 1) // 2
    return Frame(
        y=np.ascontiguousarray(planes.y[:height, :width]),
        u=np.ascontiguousarray(planes.u[: chroma[0], : chroma[1]]),
        v=np.ascontiguousarray(planes.v[: chroma[0], : chroma[1]]),
        pts_us=pts_us,
    )


def pack(planes: Planes) -> Packed:
    rows, columns = (side // 8 for side in planes.y.shape)
    packed = np.empty((CHANNELS, rows, columns), np.uint8)
    _pack(planes.y, packed[:64], 8)
    _pack(planes.u, packed[64:80], 4)
    _pack(planes.v, packed[80:], 4)
    return packed


def unpack(packed: Packed) -> Planes:
    _, rows, columns = packed.shape
    y = np.empty((8 * rows, 8 * columns), np.uint8)
    u, v = (np.empty((4 * rows, 4 * columns), np.uint8) for _ in range(2))
    _unpack(packed[:64], y, 8)
    _unpack(packed[64:80], u, 4)
    _unpack(packed[80:], v, 4)
    return Planes(y, u, v)


@numba.njit(cache=True, nogil=True)
def _pack(plane, packed, side):  # type: ignore[no-untyped-def]
    _, rows, columns = packed.shape
    for a in range(rows):
        for i in range(side):
            for j in range(side):
                for b in range(columns):
                    packed[i * side + j, a, b] = plane[a * side + i, b * side + j]


@numba.njit(cache=True, nogil=True)
def _unpack(packed, plane, side):  # type: ignore[no-untyped-def]
    _, rows, columns = packed.shape
    for a in range(rows):
        for i in range(side):
            for j in range(side):
                for b in range(columns):
                    plane[a * side + i, b * side + j] = packed[i * side + j, a, b]
