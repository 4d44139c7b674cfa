"""How a frame is dealt to packets: rectangles of 64×64 blocks, each dealt out in cosets of cells.

A cell is 16×16 pixels: one position of y and one motion vector (or four).  The cosets of a tile lie
in each other like the colours of a chess board, so a lost packet costs every second cell, or every
fourth, of a tile, with its neighbours there to fill in; and never more than that, because each
packet repeats the tile's z and is decoded alone.
"""

from dataclasses import dataclass
from typing import Final, TypeAlias

import numpy as np
import numpy.typing as npt

from auralink.codecs.errors import BitstreamError

BLOCK_CELLS: Final = 4  # a side of a 64×64 block, in cells
MAX_CELLS: Final = 4096 // 16  # a side of the largest picture

Cells: TypeAlias = npt.NDArray[np.int64]  # (count, 2): row and column within the tile

# Where a cell finds the vectors left, above and above right of it in the same packet.
NEAR: Final = {
    1: np.array([[0, -1], [-1, 0], [-1, 1]]),
    2: np.array([[0, -2], [-1, -1], [-1, 1]]),
    4: np.array([[0, -2], [-2, 0], [-2, 2]]),
}


@dataclass(frozen=True, slots=True)
class Tile:
    """In 64×64 blocks."""

    top: int
    left: int
    rows: int
    columns: int

    @property
    def blocks(self) -> tuple[slice, slice]:
        return slice(self.top, self.top + self.rows), slice(self.left, self.left + self.columns)

    @property
    def cells(self) -> tuple[slice, slice]:
        """Of the frame's y; the last may reach beyond it, which slicing cuts off."""
        return _times(self.blocks, BLOCK_CELLS)

    @property
    def vectors(self) -> tuple[slice, slice]:
        return _times(self.blocks, 2 * BLOCK_CELLS)

    def halves(self) -> "tuple[Tile, Tile] | None":
        """Two tiles across the longer side; None for a single block."""
        if self.rows >= self.columns and self.rows > 1:
            half = self.rows // 2
            return (
                Tile(self.top, self.left, half, self.columns),
                Tile(self.top + half, self.left, self.rows - half, self.columns),
            )
        if self.columns > 1:
            half = self.columns // 2
            return (
                Tile(self.top, self.left, self.rows, half),
                Tile(self.top, self.left + half, self.rows, self.columns - half),
            )
        return None


@dataclass(frozen=True, slots=True)
class Grid:
    """Size of a frame in cells."""

    rows: int
    columns: int

    def __post_init__(self) -> None:
        if not (1 <= self.rows <= MAX_CELLS and 1 <= self.columns <= MAX_CELLS):
            raise BitstreamError(f"a frame of {self.columns}x{self.rows} cells")

    @property
    def block_rows(self) -> int:
        return -(-self.rows // BLOCK_CELLS)

    @property
    def block_columns(self) -> int:
        return -(-self.columns // BLOCK_CELLS)

    @property
    def whole(self) -> Tile:
        return Tile(0, 0, self.block_rows, self.block_columns)

    def size_of(self, tile: Tile) -> tuple[int, int]:
        """Rows and columns of cells that a tile really has."""
        rows, columns = tile.cells
        return min(rows.stop, self.rows) - rows.start, min(
            columns.stop, self.columns
        ) - columns.start


def coset_of(rows: int, columns: int, cosets: int) -> npt.NDArray[np.int64]:
    """Which packet has which cell, ``(rows, columns)``."""
    i, j = np.indices((rows, columns))
    return {1: 0 * i, 2: (i + j) & 1, 4: 2 * (i & 1) + (j & 1)}[cosets]


def late_half(rows: int, columns: int, cosets: int) -> npt.NDArray[np.bool_]:
    """Cells whose symbols come after, and profit from, the others' of their packet."""
    i, j = np.indices((rows, columns))
    odd = {1: i + j, 2: i + 0 * j, 4: (i >> 1) + (j >> 1)}[cosets] & 1
    return odd.astype(np.bool_)


def _times(blocks: tuple[slice, slice], factor: int) -> tuple[slice, slice]:
    rows, columns = (slice(s.start * factor, s.stop * factor) for s in blocks)
    return rows, columns
