"""How much a picture differs from the ones that its layer is predicted from.

A frame of a low temporal layer predicts from further back than its neighbours do, so its bits
follow the difference over *that* distance.  Knowing it before coding takes the error of predicted
bits from 0.4-0.9 (standard deviation of the logarithm) to 0.15-0.5 on four clips, most of all for
the expensive low layers.
"""

from collections import deque
from dataclasses import dataclass
from typing import Final

import numpy as np

from auralink.codecs.base.hierarchy import Hierarchy
from auralink.codecs.frame import Frame, Plane

_COLUMNS: Final = 160  # every n-th sample: enough to tell motion from noise, and cheap
_STILL: Final = 6  # grey levels: sensor noise twice over stays below, motion of an edge does not


@dataclass(frozen=True, slots=True)
class Activity:
    """What a frame differs from those that it may be predicted from."""

    layers: tuple[float, ...] = ()  # mean absolute luma difference by layer, grey levels
    still: float = 0.0  # share of the picture that is as it was a period ago, 0..1


class ActivityMeter:
    """Remembers the coded pictures of one period, thinned out."""

    def __init__(self, hierarchy: Hierarchy) -> None:
        layers = range(hierarchy.top + 1)
        self._distances = [hierarchy.distance(layer) for layer in layers]
        self._past: deque[Plane] = deque(maxlen=max(self._distances))  # newest last
        self._current: Plane | None = None

    def measure(self, frame: Frame) -> Activity:
        """Differences for a frame that may be coded next, by the layer it might get."""
        thin = self._current = _thin(frame)
        wide = thin.astype(np.int16)
        found, still = [], 0.0
        for distance in self._distances:
            past = self._past[-min(distance, len(self._past))] if self._past else None
            if past is None or past.shape != thin.shape:
                found.append(0.0)
                continue
            differences = np.abs(wide - past)
            found.append(float(np.mean(differences)))
            if distance == max(self._distances):
                still = float(np.mean(differences <= _STILL))
        return Activity(tuple(found), still)

    def coded(self) -> None:
        """The frame measured last was coded."""
        if self._current is not None:
            self._past.append(self._current)


def _thin(frame: Frame) -> Plane:
    step = max(1, frame.width // _COLUMNS)
    return np.ascontiguousarray(frame.y[::step, ::step])
