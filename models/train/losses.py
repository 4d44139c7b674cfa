"""What training minimises, and the figures it reports.

The loss of a crop is its error after the network over its error before it, for 1 - SSIM and for
MSE: easy and hard crops then count alike, and 1.0 means that nothing was gained.

Source of SSIM: Wang et al., "Image quality assessment: from error visibility to structural
similarity", 2004; Gaussian window of 11 taps, deviation 1.5, full windows only.
"""

import functools
import math
from dataclasses import dataclass

import torch
from torch import Tensor

WINDOW = 11
DEVIATION = 1.5
C1, C2 = 0.01**2, 0.03**2
SSIM_FLOOR = 0.02  # below this error a crop is good already; do not divide by less
MSE_FLOOR = 4e-5
MSE_WEIGHT = 0.7


@dataclass(frozen=True, slots=True, kw_only=True)
class Errors:
    """Of each picture of a batch, ``(batch,)``."""

    dissimilarity: Tensor  # 1 - SSIM
    mse: Tensor  # of samples 0..1


def errors(pictures: Tensor, source: Tensor) -> Errors:
    """Compare ``(batch, 1, height, width)``, samples 0..1."""
    return Errors(
        dissimilarity=1 - ssim(pictures, source), mse=((pictures - source) ** 2).mean((1, 2, 3))
    )


def relative(restored: Errors, base: Errors) -> Tensor:
    """The loss: mean of both errors relative to the unrestored picture's."""
    ssim_part = restored.dissimilarity / (base.dissimilarity + SSIM_FLOOR)
    mse_part = restored.mse / (base.mse + MSE_FLOOR)
    return ssim_part.mean() + MSE_WEIGHT * mse_part.mean()


def ssim(a: Tensor, b: Tensor) -> Tensor:
    """Mean SSIM of each pair, ``(batch,)``."""
    rows = _windows(a.shape[-2], a.device)
    columns = _windows(a.shape[-1], a.device).T

    def blur(x: Tensor) -> Tensor:
        return rows @ x @ columns

    a, b = a - 0.5, b - 0.5  # smaller numbers cancel better; the means shift back below
    mean_a, mean_b = blur(a), blur(b)
    spread = blur(a * a + b * b) - mean_a * mean_a - mean_b * mean_b
    common = blur(a * b) - mean_a * mean_b
    mean_a, mean_b = mean_a + 0.5, mean_b + 0.5
    luminance = (2 * mean_a * mean_b + C1) / (mean_a * mean_a + mean_b * mean_b + C1)
    return (luminance * (2 * common + C2) / (spread + C2)).mean((1, 2, 3))


def ssim_db(dissimilarity: float) -> float:
    """1 - SSIM in decibels, more is better."""
    return -10 * math.log10(max(dissimilarity, 1e-6))


def psnr_db(mse: float) -> float:
    return -10 * math.log10(max(mse, 1e-8))


@functools.lru_cache(maxsize=32)
def _windows(length: int, device: torch.device) -> Tensor:
    """The window at every full position, as a matrix ``(length - 10, length)``."""
    taps = torch.exp(-((torch.arange(WINDOW) - WINDOW // 2) ** 2) / (2 * DEVIATION**2))
    taps = taps / taps.sum()
    matrix = torch.zeros(length - WINDOW + 1, length)
    for row in range(len(matrix)):
        matrix[row, row : row + WINDOW] = taps
    return matrix.to(device)
