"""How near a decoded picture is to its original: PSNR and SSIM of luma.

SSIM is computed on windows of 8x8 that overlap by half, with equal weights, as FFmpeg and x264 do
for speed; the figures are close to, and not the same as, those of the Gaussian window in
`auralink.bench.metrics`.

Source:
    Wang, Bovik, Sheikh, Simoncelli, "Image quality assessment: from error visibility to structural
    similarity", 2004.
"""

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from auralink.codecs.frame import Plane

MAX_PSNR_DB: Final = 60.0  # of equal pictures
_BLOCK: Final = 4  # windows are two blocks each way
_PIXELS: Final = (2 * _BLOCK) ** 2
_C1: Final = (0.01 * 255) ** 2
_C2: Final = (0.03 * 255) ** 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Quality:
    psnr_db: float
    ssim: float | None  # None for a picture smaller than a window


def measure(original: Plane, decoded: Plane) -> Quality:
    """
    Args:
        original, decoded: luma, ``uint8 (height, width)``, of the same size.
    """
    a, b = original.astype(np.float32), decoded.astype(np.float32)
    error = float(np.mean((a - b) ** 2, dtype=np.float64))
    psnr_db = min(MAX_PSNR_DB, 10 * math.log10(255**2 / error)) if error else MAX_PSNR_DB
    return Quality(psnr_db=psnr_db, ssim=_ssim(a, b))


def _ssim(a: npt.NDArray[np.float32], b: npt.NDArray[np.float32]) -> float | None:
    if min(a.shape) < 2 * _BLOCK:
        return None
    mean_a, mean_b = _windows(a) / _PIXELS, _windows(b) / _PIXELS
    squares = _windows(a * a + b * b) / _PIXELS - mean_a**2 - mean_b**2
    product = _windows(a * b) / _PIXELS - mean_a * mean_b
    luminance = (2 * mean_a * mean_b + _C1) / (mean_a**2 + mean_b**2 + _C1)
    structure = (2 * product + _C2) / (squares + _C2)
    return min(1.0, float(np.mean(luminance * structure)))


def _windows(values: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
    """Sums over all windows; an odd rest at the right and at the bottom is left out."""
    rows, columns = (side // _BLOCK for side in values.shape)
    cut = values[: rows * _BLOCK, : columns * _BLOCK]
    blocks = cut.reshape(rows, _BLOCK, columns, _BLOCK).sum(axis=(1, 3), dtype=np.float64)
    sums: npt.NDArray[np.float64] = (
        blocks[:-1, :-1] + blocks[1:, :-1] + blocks[:-1, 1:] + blocks[1:, 1:]
    )
    return sums
