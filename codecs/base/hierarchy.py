"""A temporal hierarchy: which layer each frame after a key belongs to, and how fine it is coded.

Low layers are referenced by many frames and pay back a finer quantizer; the top layer is not
referenced at all.  Rate control and the encoders read the same table.
"""

from dataclasses import dataclass
from typing import Final

COARSEST: Final = 63
FINEST: Final = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Offset:
    """Quantizer steps below the stream's: ``at_coarsest`` at 63, ``per_step`` more per step below.

    Finer streams afford larger differences between layers.
    """

    at_coarsest: float
    per_step: float = 0.0

    def below(self, quantizer: float) -> float:
        return self.at_coarsest + self.per_step * (COARSEST - quantizer)


@dataclass(frozen=True, slots=True, kw_only=True)
class Hierarchy:
    """``layers`` repeats from each key on; the last layer in ``offsets`` is never referenced."""

    layers: tuple[int, ...]
    offsets: tuple[Offset, ...]  # by layer
    key: Offset

    def layer(self, position: int) -> int:
        """Temporal layer of the frame ``position`` frames after a key."""
        return self.layers[position % len(self.layers)]

    def distance(self, layer: int) -> int:
        """Frames back to the nearest one of the same or a lower layer: what it predicts from."""
        period = len(self.layers)
        at = self.layers.index(layer)
        return next(
            back for back in range(1, period + 1) if self.layers[(at - back) % period] <= layer
        )

    @property
    def top(self) -> int:
        return len(self.offsets) - 1

    def quantizer(
        self, stream: float, layer: int, *, key: bool = False, strength: float = 1.0
    ) -> float:
        """Quantizer of one frame of a stream whose top layer is coded with ``stream``."""
        offset = self.key if key else self.offsets[layer]
        return stream - strength * offset.below(stream)


def clip_quantizer(quantizer: float) -> int:
    return max(FINEST, min(COARSEST, round(quantizer)))


FLAT: Final = Hierarchy(layers=(0,), offsets=(Offset(at_coarsest=0),), key=Offset(at_coarsest=4))
