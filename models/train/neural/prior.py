"""The hyper-latent z and what it tells of y: integer scale indices and floating means.

The scale index of every symbol of y comes from integers alone: z, and the magnitudes of symbols
that the decoder already has, in four steps (early channels of half the cells, the others' early
channels, then the rest in the same order).  Cosets, the subsets of cells that travel in packets of
their own, see only themselves: on the 1/16 grid a 3×3 kernel reaches the diagonals of a
checkerboard coset and nothing of a coset of four, so closing taps of the kernel is the same as
hiding the other packets.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from auralink.models.train.neural.layers import Gains, IntegerConv, Pointwise, leaky_clamp, straight
from auralink.models.train.neural.rate import gaussian_bits
from auralink.models.train.neural.shape import ANCHORS, INDICES, LARGEST_HYPER, Shape

BRIGHTEST = 15  # magnitudes are told to the context nets up to here
CONTEXT = 32  # channels inside a context net


class Context(nn.Module):
    """Magnitudes already decoded to offsets of the scale index, in integers."""

    def __init__(self, latent: int) -> None:
        super().__init__()
        self.gather = IntegerConv(latent, CONTEXT, 2, 0, 127, bias=0.0, spread=1.5)
        self.mix = IntegerConv(CONTEXT, CONTEXT, 6, 0, 127, bias=1.0, spread=0.06, kernel=3)
        self.tell = IntegerConv(CONTEXT, latent, 8, -63, 63, bias=0.5, spread=0.0)
        with torch.no_grad():
            self.gather.weight.abs_()
            self.mix.weight.add_(0.04)

    def forward(self, known: Tensor, taps: Tensor) -> Tensor:
        return self.tell(self.mix(self.gather(known), taps))


class Prior(nn.Module):
    def __init__(self, shape: Shape, span: float, first_index: float) -> None:
        super().__init__()
        latent, hidden = shape.latent, shape.hidden
        self.shape = shape
        self.fold = nn.Conv2d(latent, 64, 2, stride=2)
        self.fold_again = nn.Conv2d(64, shape.hyper, 2, stride=2)
        self.scale_up = IntegerConv(shape.hyper, 4 * hidden, 6, 0, 127, bias=4.0, spread=0.5)
        self.scale_out = IntegerConv(
            hidden, 4 * latent, 8, 0, INDICES - 1, bias=first_index, spread=0.29
        )
        self.mean_up = Pointwise(shape.hyper, 4 * hidden)
        self.mean_out = Pointwise(hidden, 4 * hidden)
        self.contexts = nn.ModuleList(Context(latent) for _ in range(3))
        top = 0.75 + 2.2 * span  # ln of the step: 2.2 per unit of quality fits the trade
        self.encode_gain = Gains(ANCHORS, latent, span, 1.03, top + 0.28)
        self.decode_gain = Gains(ANCHORS, latent, span, -1.03, -top - 0.28)
        self.hyper_mean = Gains(ANCHORS, shape.hyper, span, 0.0, 0.0)
        self.hyper_scale = Gains(ANCHORS, shape.hyper, span, -1.5, -1.5)
        early = torch.zeros(1, latent, 1, 1)
        for channels in shape.early:
            early[:, channels] = 1
        self.register_buffer("early", early, persistent=False)

    def hyper(self, y: Tensor) -> Tensor:
        y = F.pad(y, (0, -y.shape[3] % 4, 0, -y.shape[2] % 4), mode="replicate")
        z = self.fold_again(F.relu(self.fold(y * 0.25)))
        return z.clamp(-LARGEST_HYPER, LARGEST_HYPER)

    def hyper_bits(self, z: Tensor, quality: Tensor) -> Tensor:
        mean, scale = self.hyper_mean.at(quality), self.hyper_scale(quality).clamp(0.11, 30)
        bits = gaussian_bits(torch.round(z).detach() - mean, scale)
        if not z.requires_grad:
            return bits
        noisy = z + torch.rand_like(z) - 0.5
        soft = gaussian_bits(noisy - mean.detach(), scale.detach().clamp_min(0.3))
        return bits + (soft - soft.detach())

    def first_index(self, z: Tensor, like: Tensor) -> Tensor:
        """Scale indices from the whole-valued z alone, cut to the size of `like`."""
        up = F.pixel_shuffle(self.scale_up(z), 2)
        return F.pixel_shuffle(self.scale_out(up), 2)[:, :, : like.shape[2], : like.shape[3]]

    def index(self, z: Tensor, symbols: Tensor, cosets: int) -> Tensor:
        size = symbols.detach().abs().clamp_max(BRIGHTEST)
        half = half_mask(size.shape[2], size.shape[3], cosets, size)
        early, late = self.early, 1 - self.early
        taps = kernel_taps(cosets, size)
        known = (size * early * half, size * early, size * (early + late * half))
        told = (early * (1 - half), late * half, late * (1 - half))
        offset = torch.zeros_like(size)
        for net, input_, target in zip(self.contexts, known, told, strict=True):
            offset = offset + net(input_, taps) * target
        return leaky_clamp(self.first_index(z, symbols) + offset, 0, INDICES - 1)

    def mean_features(self, z: Tensor, like: Tensor) -> Tensor:
        up = F.pixel_shuffle(F.relu(self.mean_up(z)), 2)
        features = F.relu(F.pixel_shuffle(self.mean_out(up), 2))
        return features[:, :, : like.shape[2], : like.shape[3]]


def half_mask(rows: int, columns: int, cosets: int, like: Tensor) -> Tensor:
    """1 where a cell belongs to the half of its packet that is decoded first."""
    i = torch.arange(rows, device=like.device)[:, None]
    j = torch.arange(columns, device=like.device)[None]
    odd = {1: (i + j) & 1, 2: (i & 1) + 0 * j, 4: ((i >> 1) + (j >> 1)) & 1}[cosets]
    return (1 - odd).to(like.dtype)[None, None]


def kernel_taps(cosets: int, like: Tensor) -> Tensor:
    """Taps of a 3×3 kernel that stay within a coset."""
    i = torch.arange(3, device=like.device)
    near, same = (i[:, None] + i) % 2 == 0, (i[:, None] == 1) & (i == 1)
    return {1: torch.ones_like(near), 2: near, 4: same}[cosets].to(like.dtype)


def round_hyper(z: Tensor) -> Tensor:
    return straight(torch.round(z), z)
