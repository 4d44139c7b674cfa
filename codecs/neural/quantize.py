"""Residuals to symbols: rounding with a dead zone that is the wider the rarer a symbol is.

High-rate rate-distortion optimisation: one instead of zero is worth its bits only where
``2 |r| - 1`` exceeds `_PER_BIT` times the bits it costs more (from dD/dR of a uniform quantizer,
6 dB per bit).  Only the encoder does this: a decoder takes symbols as they come.
"""

import math
from typing import Final

import numba
import numpy as np
import numpy.typing as npt

from auralink.codecs.neural.latent import Latent
from auralink.codecs.neural.model import INDICES

_LOWEST, _HIGHEST = 0.11, 64.0  # scales of the first and the last index
_STEP: Final = math.log(_HIGHEST / _LOWEST) / (INDICES - 1)
_PER_BIT: Final = 0.058
_WIDEST: Final = 0.38
_SMALL: Final = np.float32(1.5)  # residuals from here on lose less of themselves
_SHARE: Final = np.float32(0.4)
_HALF: Final = np.float32(0.5)
_LARGEST: Final = np.float32(255)


def _zone(index: int) -> float:
    inner = _LOWEST * math.exp(_STEP * index) * math.sqrt(2)

    def bits(value: float) -> float:
        mass = math.erf((value + 0.5) / inner) - math.erf((value - 0.5) / inner)
        return -math.log2(max(0.5 * mass, 1e-6))

    return min(max(_PER_BIT * (bits(1) - bits(0)), 0.0), _WIDEST)


ZONES: Final = np.array([_zone(index) for index in range(INDICES)], np.float32)


def quantize(residual: npt.NDArray[np.float32], index: npt.NDArray[np.float32]) -> Latent:
    """Symbols of residuals whose scale indices are about `index`, not clipped; of one shape."""
    symbols = np.empty(residual.shape, np.int16)
    _quantize(residual.reshape(-1), index.reshape(-1), ZONES, symbols.reshape(-1))
    return symbols


@numba.njit(cache=True, nogil=True)
def _quantize(residual, index, zones, symbols):  # type: ignore[no-untyped-def]
    for k in range(len(residual)):
        value = residual[k]
        size = abs(value)
        zone = zones[min(max(np.int64(index[k]), 0), INDICES - 1)]
        if size >= _SMALL:
            zone *= _SHARE
        whole = min(np.floor(size + _HALF - zone), _LARGEST)
        symbols[k] = np.int16(-whole if value < 0 else whole)
