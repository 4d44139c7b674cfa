"""How fine each block of the receiver's picture is, and which blocks to code finer next.

What stands still looks like the finest frame that coded it: later frames only copy it.  A stream of
constant quality settles that with its key; one that keeps a rate cannot afford such a key, and no
later frame would make up for it, because sharpening the whole picture costs as much as the key
would have.  So a few blocks at a time are brought to the key's quantizer:

::

    coarse key      lowest-layer frames, each as finely as its share of the bits allows
    ░░░░░░░░   ►    ▓▓░░░░░░   ►   ▓▓▓▓▓░░░   ►   ▓▓▓▓▓▓▓▓

A block whose content moves is as coarse as the frame that moved it, and waits until it rests.
"""

from typing import Final, TypeAlias, final

import numpy as np
import numpy.typing as npt

from auralink.codecs.base.hierarchy import COARSEST
from auralink.codecs.base.protocol import Sharpening

BLOCK: Final = 64  # samples

Blocks: TypeAlias = npt.NDArray[np.float32]  # (rows, columns)

# Less of a block than this changed within a period: it stands still.
_STILL: Final = 0.06
# A block gains this many quantizer steps or is left alone: what is coded twice costs more.
_LEAST_STEP: Final = 5
# The whole picture is to be sharper after so many periods, rather than a part of it perfect.
_PERIODS: Final = 6.0
# Beyond this far below the rest, what moves there costs too much (the frame has one trade-off).
_FURTHEST: Final = 24
_MAP_BITS: Final = 400  # segment headers and block labels of one frame
# Corrections of predicted bits: the library spends some on the other blocks as well.
_TRUST: Final = 0.5
_FACTOR_RANGE: Final = (0.3, 3.0)


def block_grid(size: tuple[int, int]) -> tuple[int, int]:
    """Rows and columns of blocks of a picture of ``(width, height)``."""
    width, height = size
    return -(-height // BLOCK), -(-width // BLOCK)


@final
class Sharpness:
    """Of one stream, from a key on.

    Args:
        grid: rows and columns of blocks.
    """

    def __init__(self, grid: tuple[int, int]) -> None:
        self._quantizers = np.full(grid, COARSEST, np.float32)
        self._factor = 1.0
        self._foretold = 0.0

    @property
    def coarsest(self) -> float:
        """Quantizer of the block that looks worst."""
        return float(self._quantizers.max())

    def keyed(self, quantizer: int) -> None:
        """All blocks are as fine as the key just coded."""
        self._quantizers[:] = quantizer

    def coded(
        self, quantizer: int, changed: Blocks, sharpening: Sharpening | None, extra_bits: float
    ) -> None:
        """Note a frame of the lowest layer.

        Args:
            quantizer: of the blocks that were not sharpened.
            changed: share of each block that is not what it was a period ago.
            extra_bits: what the frame took beyond one without sharpening.
        """
        before = np.minimum(self._quantizers, quantizer)
        self._quantizers = before + np.minimum(1, changed) * (quantizer - before)
        if sharpening is None:
            return
        self._quantizers[sharpening.blocks] = sharpening.quantizer
        least, most = _FACTOR_RANGE
        off = max(extra_bits, 1.0) / max(self._foretold, 1.0)
        self._factor = min(max(self._factor * off**_TRUST, least), most)

    def choose(
        self,
        budget_bits: float,
        *,
        goal: float,
        rest: int,
        changed: Blocks,
        weights: Blocks,
        key_bits: "KeyBits",
    ) -> tuple[Sharpening, float] | None:
        """Blocks to sharpen for ``budget_bits``, and what they will take.

        Args:
            goal: quantizer of a key in a stream of constant quality.
            rest: quantizer of the blocks that will not be sharpened.
            changed: as for `coded`.
            weights: each block's part in the bits of a key; they sum to 1.
        """
        still = changed < _STILL
        goal = max(goal, rest - _FURTHEST)
        aim = self._aim(budget_bits * _PERIODS, goal, still, weights, key_bits)
        worth = still & (self._quantizers >= aim + _LEAST_STEP)
        if not worth.any() or aim >= rest:
            return None
        costs = self._costs(aim, weights, key_bits)
        order = self._order(worth)
        spent = _MAP_BITS + np.cumsum(costs[order])
        count = int(np.searchsorted(spent, budget_bits, side="right"))
        if not count:
            return None  # the frame's share pays for less than a block: wait for bits to gather
        blocks = np.zeros(self._quantizers.shape, np.bool_)
        blocks[tuple(part[:count] for part in order)] = True
        self._foretold = float(spent[count - 1])
        return Sharpening(blocks=blocks, quantizer=aim), self._foretold

    def _aim(
        self,
        budget_bits: float,
        goal: float,
        still: npt.NDArray[np.bool_],
        weights: Blocks,
        key_bits: "KeyBits",
    ) -> int:
        """The finest quantizer that the budget brings all still blocks to; not beyond the goal."""
        fine, coarse = round(max(goal, 1)), COARSEST
        while fine < coarse:
            middle = (fine + coarse) // 2
            worth = still & (self._quantizers >= middle + _LEAST_STEP)
            if float(self._costs(middle, weights, key_bits)[worth].sum()) > budget_bits:
                fine = middle + 1
            else:
                coarse = middle
        return fine

    def _costs(self, quantizer: float, weights: Blocks, key_bits: "KeyBits") -> Blocks:
        more = key_bits(np.float32(quantizer)) - key_bits(self._quantizers)
        costs: Blocks = self._factor * weights * np.maximum(more, 0)
        return costs

    def _order(self, worth: npt.NDArray[np.bool_]) -> tuple[npt.NDArray[np.int64], ...]:
        """The coarsest first, and among them the middle of the picture."""
        rows, columns = self._quantizers.shape
        y, x = np.indices((rows, columns), np.float32)
        far = np.hypot((y + 0.5) / rows - 0.5, (x + 0.5) / columns - 0.5)
        rank = (COARSEST - np.round(self._quantizers / _LEAST_STEP) * _LEAST_STEP) + far
        places = np.argsort(np.where(worth, rank, np.inf), axis=None, kind="stable")
        return tuple(np.unravel_index(places[: int(worth.sum())], worth.shape))


class KeyBits:
    """``exp(level - slope * quantizer)``: bits of a whole key."""

    def __init__(self, level: float, slope: float) -> None:
        self._level, self._slope = level, slope

    def __call__(self, quantizer: Blocks | np.float32) -> Blocks:
        bits: Blocks = np.exp(self._level - self._slope * quantizer)
        return bits
