"""What training minimises: bits per pixel plus weighted distortion.

Distortion is a mean squared error over 8-bit samples, six parts luma to one each of U and V, with
a share of 1 - SSIM.  The share's weight falls with quality so that neither term rules at an end.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from auralink.models.train.neural.shape import LOW_TRADE, TRADE_RATIO

SSIM_SHARE = 0.2  # .5 cost PSNR and gained no SSIM (measured)
SSIM_UNIT = 650.0  # squared errors that a whole unit of SSIM weighs at the middle trade
MIDDLE = 0.007  # trade of quality 0.5
FULL = 255.0**2


def trade_of(quality: Tensor) -> Tensor:
    return LOW_TRADE * TRADE_RATIO**quality


def pack(luma: Tensor, chroma: Tensor) -> Tensor:
    """``(batch, 1, h, w)`` and ``(batch, 2, h / 2, w / 2)`` to ``(batch, 96, h / 8, w / 8)``."""
    return torch.cat([F.pixel_unshuffle(luma, 8), F.pixel_unshuffle(chroma, 4)], 1)


def unpack(packed: Tensor) -> tuple[Tensor, Tensor]:
    return F.pixel_shuffle(packed[:, :64], 8), F.pixel_shuffle(packed[:, 64:], 4)


def distortion(picture: Tensor, source: Tensor, trade: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Per picture: distortion in squared errors of 8-bit samples, luma MSE (0..1), luma SSIM."""
    error = (picture - source) ** 2
    luma, chroma = error[:, :64].mean((1, 2, 3)), error[:, 64:].mean((1, 2, 3))
    squared = FULL * (6 * luma + 2 * chroma) / 8
    alike = box_ssim(
        F.pixel_shuffle(picture[:, :64], 8) + 0.5, F.pixel_shuffle(source[:, :64], 8) + 0.5
    )
    unlike = SSIM_UNIT * (1 - alike) * (trade / MIDDLE) ** -0.35
    return (1 - SSIM_SHARE) * squared + SSIM_SHARE * unlike, luma.detach(), alike.detach()


def box_ssim(a: Tensor, b: Tensor) -> Tensor:
    """SSIM over 8×8 boxes at every fourth sample, ``(batch,)``: cheap enough for each step."""

    def mean(x: Tensor) -> Tensor:
        return F.avg_pool2d(x, 8, 4)

    mean_a, mean_b = mean(a), mean(b)
    spread = mean(a * a + b * b) - mean_a * mean_a - mean_b * mean_b
    common = mean(a * b) - mean_a * mean_b
    light = (2 * mean_a * mean_b + 1e-4) / (mean_a * mean_a + mean_b * mean_b + 1e-4)
    return (light * (2 * common + 9e-4) / (spread + 9e-4)).mean((1, 2, 3))
