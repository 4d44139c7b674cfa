"""How much a picture differs from the ones that its layer is predicted from.

A frame of a low temporal layer predicts from further back than its neighbours do, so its bits
follow the difference over *that* distance.  Knowing it before coding takes the error of predicted
bits from 0.4-0.9 (standard deviation of the logarithm) to 0.15-0.5 on four clips, most of all for
the expensive low layers.
"""

from collections import deque
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from auralink.codecs.base.hierarchy import Hierarchy
from auralink.codecs.frame import Frame, Plane
from auralink.codecs.video.rate.sharpness import BLOCK, Blocks, block_grid

_COLUMNS: Final = 160  # every n-th sample: enough to tell motion from noise, and cheap
_EDGE: Final = 2.0  # grey levels between neighbours that take bits to code
_STILL: Final = 6  # grey levels: sensor noise twice over stays below, motion of an edge does not


@dataclass(frozen=True, slots=True)
class Activity:
    """What a frame differs from those that it may be predicted from."""

    layers: tuple[float, ...] = ()  # mean absolute luma difference by layer, grey levels
    still: float = 0.0  # share of the picture that is as it was a period ago, 0..1
    changed: Blocks | None = field(default=None, repr=False)  # the share that is not, by block
    weights: Blocks | None = field(default=None, repr=False)  # each block's part in a key's bits


class ActivityMeter:
    """Remembers the coded pictures of one period, thinned out."""

    def __init__(self, hierarchy: Hierarchy) -> None:
        layers = range(hierarchy.top + 1)
        self._distances = [hierarchy.distance(layer) for layer in layers]
        self._past: deque[Plane] = deque(maxlen=max(self._distances))  # newest last
        self._current: Plane | None = None

    def measure(self, frame: Frame, base: tuple[int, int]) -> Activity:
        """Differences for a frame that may be coded next, by the layer it might get.

        Args:
            base: width and height at which it will be coded.
        """
        thin = self._current = _thin(frame)
        wide = thin.astype(np.int16)
        grid = block_grid(base)
        changed = np.ones(grid, np.float32)
        found, still = [], 0.0
        for distance in self._distances:
            past = self._past[-min(distance, len(self._past))] if self._past else None
            if past is None or past.shape != thin.shape:
                found.append(0.0)
                continue
            differences = np.abs(wide - past)
            found.append(float(np.mean(differences)))
            if distance == max(self._distances):
                moved = differences > _STILL
                still = 1 - float(np.mean(moved))
                changed = _by_block(moved, base, grid)
        detail = np.log1p(_by_block(_edges(wide), base, grid) / _EDGE)
        weights = detail / np.float32(max(float(detail.sum()), 1e-6))
        return Activity(tuple(found), still, changed, weights)

    def coded(self) -> None:
        """The frame measured last was coded."""
        if self._current is not None:
            self._past.append(self._current)


def _thin(frame: Frame) -> Plane:
    step = max(1, frame.width // _COLUMNS)
    return np.ascontiguousarray(frame.y[::step, ::step])


def _edges(wide: "np.ndarray[tuple[int, int], np.dtype[np.int16]]") -> Blocks:
    """How much each thinned sample differs from those above and left of it."""
    edges = np.zeros(wide.shape, np.float32)
    edges[:, 1:] += np.abs(np.diff(wide, axis=1))
    edges[1:] += np.abs(np.diff(wide, axis=0))
    return edges


def _by_block(values: np.ndarray, base: tuple[int, int], grid: tuple[int, int]) -> Blocks:
    """Means of thinned samples over the blocks of a picture coded at the size `base`."""
    firsts, counts = [], []
    for size, blocks, side in zip(values.shape, grid, reversed(base), strict=True):
        first = np.minimum(np.ceil(np.arange(blocks) * (BLOCK * size / side)), size - 1)
        firsts.append(first.astype(np.int64))
        counts.append(np.diff(np.append(firsts[-1], size)))
    sums = np.add.reduceat(np.add.reduceat(values.astype(np.float32), firsts[0], 0), firsts[1], 1)
    means: Blocks = (sums / np.maximum(np.outer(*counts), 1)).astype(np.float32)
    return means
