"""Quality on the wire, 0..255, and what it means to the networks and to the search."""

import math
from typing import Final

QUALITIES: Final = 256
KEY_SPAN: Final = 1.5  # highest quality of a key, which every frame after it profits from
DELTA_SPAN: Final = 1.0

_LOW_TRADE: Final = 0.0008  # bits per squared error of a sample at quality 0
_RATIO_LOG: Final = math.log(75.0)  # from quality 0 to 1


def unit(quality: int, *, intra: bool) -> float:
    """0..1 for deltas, 0..1.5 for keys: the scale of the networks."""
    return quality / (QUALITIES - 1) * (KEY_SPAN if intra else DELTA_SPAN)


def trade(unit_quality: float) -> float:
    """Bits that one squared error of a sample is worth."""
    return _LOW_TRADE * math.exp(_RATIO_LOG * unit_quality)
