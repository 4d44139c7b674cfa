"""Code lengths: of residual symbols by tables that training counts, of z by Gaussians.

The forward value is the true length of the rounded symbol under the table of its scale index.  Its
gradient for the index is that of a Gaussian of the index's scale, so that an index keeps meaning a
scale: with the slope between counted tables it need not, and then most symbols end up in one row
whose table fits none of them (seen: 85 % of a key's symbols, two thirds of its bits).  For the
residual the gradient is that of a Gaussian under uniform noise, which alone pulls values across
rounding thresholds.
"""

import math

import torch
from torch import Tensor, nn

from auralink.models.train.neural.layers import straight
from auralink.models.train.neural.shape import ESCAPE, INDEX_STEP, INDICES, LOWEST_SCALE

LEAST = 1e-6
SMOOTH = 30.0  # symbols' worth of the Gaussian mixed into each counted row
FLOOR = 2.0**-15  # least probability of a table entry
KEEP = 0.998  # of the counts, per step
# High-rate rate-distortion optimisation: 1 instead of 0 only where 2|r| - 1 exceeds the saved
# bits times this (from d(D)/d(R) of a uniform quantizer, 6 dB per bit).
DEAD_ZONE = 0.058
STEEPEST = 4.0  # bits per index: an outlier moves its scale no faster


def gaussian_bits(value: Tensor, scale: Tensor) -> Tensor:
    """Ideal length of integers under a zero-mean Gaussian."""
    inner = scale * math.sqrt(2)
    mass = torch.erf((value + 0.5) / inner) - torch.erf((value - 0.5) / inner)
    return -torch.log2((0.5 * mass).clamp_min(LEAST))


def scale_of(index: Tensor) -> Tensor:
    return LOWEST_SCALE * torch.exp(INDEX_STEP * index)


def dead_zone(index: Tensor) -> Tensor:
    """How much further than a half a residual must be from 0 to be coded."""
    scale = scale_of(index.detach())
    one = torch.ones_like(scale)
    extra = gaussian_bits(one, scale) - gaussian_bits(torch.zeros_like(scale), scale)
    return (DEAD_ZONE * extra).clamp(0, 0.38)


def quantize(residual: Tensor, zone: Tensor) -> Tensor:
    size = residual.abs()
    return torch.sign(residual) * torch.floor(
        size + 0.5 - torch.where(size < 1.5, zone, 0.4 * zone)
    )


class Tables(nn.Module):
    """Slowly forgetting counts of ``|symbol|`` for each scale index, and their code lengths."""

    counts: Tensor  # (INDICES, ESCAPE + 1)
    bits: Tensor  # the same, of the magnitude alone; a sign is one more bit
    slopes: Tensor  # the same: what one index more would change under Gaussians

    def __init__(self) -> None:
        super().__init__()
        scale = scale_of(torch.arange(INDICES, dtype=torch.float64))[:, None]
        size = torch.arange(ESCAPE + 1, dtype=torch.float64)[None]
        prior = torch.exp2(-gaussian_bits(size, scale))
        prior[:, 1:] *= 2
        prior[:, ESCAPE] = 1 - prior[:, :ESCAPE].sum(1)
        prior = prior.clamp_min(FLOOR)
        self.register_buffer("prior", (prior / prior.sum(1, keepdim=True)).float())
        self.register_buffer("counts", torch.zeros(INDICES, ESCAPE + 1))
        self.register_buffer("bits", torch.zeros(INDICES, ESCAPE + 1))
        self.register_buffer("slopes", _slopes(), persistent=False)
        self.fit()

    @torch.no_grad()
    def count(self, symbols: Tensor, index: Tensor) -> None:
        at = index.long() * (ESCAPE + 1) + symbols.abs().clamp_max(ESCAPE).long()
        seen = torch.bincount(at.flatten(), minlength=INDICES * (ESCAPE + 1))
        self.counts.mul_(KEEP).add_(seen.view_as(self.counts))

    @torch.no_grad()
    def fit(self) -> None:
        """Make the lengths follow the counts."""
        self.bits.copy_(-torch.log2(self.probabilities()))

    def probabilities(self) -> Tensor:
        mixed = self.counts + SMOOTH * self.prior
        share = (mixed / mixed.sum(1, keepdim=True)).clamp_min(FLOOR)
        return share / share.sum(1, keepdim=True)

    def rate(self, residual: Tensor, symbols: Tensor, index: Tensor) -> Tensor:
        """Bits of each symbol; `index` is whole-valued and carries the gradient of the scale."""
        row, size = index.detach().long(), symbols.detach().abs().clamp_max(ESCAPE).long()
        bits = self.bits[row, size] + _raw_bits(symbols.detach().abs())
        bits = bits + self.slopes[row, size] * (index - index.detach())
        if not residual.requires_grad:
            return bits
        noisy = residual + torch.rand_like(residual) - 0.5
        soft = gaussian_bits(noisy, scale_of(index.detach()).clamp_min(0.3))
        return straight(bits, soft) + (bits - bits.detach())


def _slopes() -> Tensor:
    """Change of a Gaussian's code length per index, ``(INDICES, ESCAPE + 1)``."""
    size = torch.arange(ESCAPE + 1, dtype=torch.float64)[None]

    def bits(index: Tensor) -> Tensor:
        scale = scale_of(index)[:, None]
        upper, lower = (size + 0.5) / scale, (size - 0.5) / scale
        # In logarithms, or the tails would have no slope.
        tail, rest = torch.special.log_ndtr(-lower), torch.special.log_ndtr(-upper)
        mass = tail + torch.log1p(-torch.exp(rest - tail))
        middle = torch.log(torch.erf(0.5 / scale / math.sqrt(2)))
        return -torch.where(size == 0, middle, mass) / math.log(2)

    index = torch.arange(INDICES, dtype=torch.float64)
    slope = (bits(index + 0.5) - bits(index - 0.5)).clamp(-STEEPEST, STEEPEST)
    return slope.float()


def _raw_bits(size: Tensor) -> Tensor:
    """Sign, and the Exp-Golomb code of what is beyond the escape."""
    beyond = (size - ESCAPE).clamp_min(0)
    golomb = 2 * torch.floor(torch.log2(beyond + 1)) + 1
    return (size > 0).to(size.dtype) + golomb * (size >= ESCAPE)
