"""The two networks: one for keys, one for frames predicted from the frame before.

::

    intra    X ─ stem ─ blocks ─ down ─► y ─► symbols ─► up ─ blocks ─ head ─► picture
                                              (means of odd cells refined by the even ones)

    predict  P,F ─ context blocks ─► c        P: the last picture moved, F: its features moved
             X−P,c ─ stem ─ blocks ─ down ─► y ─► symbols ─► up,c ─ blocks ─► F' ─ head ─► + P

All blocks work at an eighth of the picture's sides, y at a sixteenth, z at 1/64.  A 16×16 cell
without symbols is an exact copy of P.  Stem and head start as DCTs: at step 0 this is a transform
codec already.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from auralink.models.train.neural.layers import (
    Gains,
    Pointwise,
    blocks,
    dct_basis,
    start_as_transform,
    straight,
)
from auralink.models.train.neural.prior import Prior, half_mask, round_hyper
from auralink.models.train.neural.rate import Tables, dead_zone, quantize
from auralink.models.train.neural.shape import (
    ANCHORS,
    FEATURE_REACH,
    FEATURE_STEPS,
    INTRA_SPAN,
    LARGEST,
    PACKED,
    PREDICT_SPAN,
    Shape,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    picture: Tensor  # packed (batch, 96, h, w), about -0.5..0.5, neither clipped nor rounded
    features: Tensor  # (batch, channels, h, w) in 1/16 steps
    symbols: Tensor  # (batch, latent, h / 2, w / 2), whole
    steps: Tensor  # the same with the gradient of what was quantized
    index: Tensor  # their scale indices
    latent_bits: Tensor  # the same shape
    hyper: Tensor  # (batch, hyper, ...), whole
    hyper_bits: Tensor


class Intra(nn.Module):
    def __init__(self, shape: Shape) -> None:
        super().__init__()
        channels, latent = shape.channels, shape.latent
        self.prior, self.tables = Prior(shape, INTRA_SPAN, 22.0), Tables()
        self.stem = Pointwise(PACKED, channels)
        self.analysis = blocks(shape.intra_encoder, channels)
        self.down = nn.Conv2d(channels, latent, 2, stride=2)
        self.mean = Pointwise(shape.hidden, latent)
        self.mean_in = Pointwise(2 * latent + shape.hidden, 64)
        self.mean_blocks = nn.Sequential(*blocks(1, 64, 5), *blocks(1, 64))
        self.mean_out = Pointwise(64, latent)
        self.up = Pointwise(latent, 4 * channels)
        self.tune = Gains(ANCHORS, channels, INTRA_SPAN, 0.0, 0.0)
        self.synthesis = blocks(shape.intra_decoder, channels)
        self.head = Pointwise(channels, PACKED)
        basis = dct_basis(channels)
        with torch.no_grad():
            self.stem.weight.copy_(basis[:, :, None, None])
            self.head.weight.copy_(basis.T[:, :, None, None])
            self.mean.weight.mul_(0.1)
            self.mean_out.weight.mul_(0.1)
            for conv in (self.stem, self.head, self.mean_out):
                conv.bias.zero_()
        start_as_transform(self.down, self.up, shape)

    def forward(self, x: Tensor, quality: Tensor, cosets: int = 1) -> Result:
        """`x` packed, `quality` ``(batch, 1, 1, 1)``, `cosets` packets per part of the frame."""
        prior = self.prior
        y = self.down(self.analysis(self.stem(x))).float() * prior.encode_gain(quality)
        z = prior.hyper(y)
        hyper = round_hyper(z)
        told = prior.mean_features(hyper, y)
        mean = self.mean(told)
        zone = dead_zone(prior.first_index(hyper, y))
        first = half_mask(y.shape[2], y.shape[3], 1, y)
        residual = y - mean
        even = (mean + straight(quantize(residual, zone), residual)) * first
        seen = torch.cat([even * 0.25, mean * 0.25, told], 1)
        mean = mean + (1 - first) * self.mean_out(self.mean_blocks(self.mean_in(seen)))
        residual = y - mean
        symbols = quantize(residual, zone).clamp(-LARGEST, LARGEST)
        steps = straight(symbols, residual)
        restored = mean + steps
        index = prior.index(hyper, symbols, cosets)
        trunk = F.pixel_shuffle(self.up(restored * prior.decode_gain(quality)), 2)
        trunk = self.synthesis(trunk * self.tune(quality))
        return Result(
            picture=self.head(trunk).float(),
            features=round_features(trunk.float()),
            symbols=symbols,
            steps=steps,
            index=index,
            latent_bits=self.tables.rate(residual, symbols, index),
            hyper=hyper,
            hyper_bits=prior.hyper_bits(z, quality),
        )


class Predict(nn.Module):
    def __init__(self, shape: Shape) -> None:
        super().__init__()
        channels, latent = shape.channels, shape.latent
        self.prior, self.tables = Prior(shape, PREDICT_SPAN, 12.0), Tables()
        self.enter = Pointwise(PACKED + channels, channels)
        self.context = blocks(shape.context, channels, 5)
        self.context_gain = Gains(ANCHORS, channels, PREDICT_SPAN, 0.0, 0.0)
        self.stem = Pointwise(PACKED + channels, channels)
        self.analysis = blocks(shape.encoder, channels)
        self.down = nn.Conv2d(channels, latent, 2, stride=2)
        self.mean_context = nn.Conv2d(channels, 64, 2, stride=2)
        self.mean_in = Pointwise(64 + shape.hidden, 96)
        self.mean = Pointwise(96, latent)
        self.up = Pointwise(latent, 4 * channels)
        self.join = Pointwise(2 * channels, channels)
        self.tune = Gains(ANCHORS, channels, PREDICT_SPAN, 0.0, 0.0)
        self.synthesis = blocks(shape.decoder, channels)
        self.refine = blocks(shape.refine, channels)
        self.head = Pointwise(channels, PACKED)
        basis = dct_basis(channels)
        with torch.no_grad():
            self.enter.weight.mul_(0.1)
            self.enter.weight[:, :PACKED, 0, 0] += 0.5 * basis
            self.stem.weight.mul_(0.05)
            self.stem.weight[:, :PACKED, 0, 0] += basis
            self.head.weight.copy_(basis.T[:, :, None, None])
            self.join.weight.zero_()
            self.join.weight[:, :channels, 0, 0] += torch.eye(channels)
            self.mean.weight.mul_(0.05)
            for conv in (self.enter, self.stem, self.head, self.join, self.mean):
                conv.bias.zero_()
        start_as_transform(self.down, self.up, shape)

    def forward(
        self,
        x: Tensor,
        predicted: Tensor,
        features: Tensor,
        quality: Tensor,
        cell_quality: Tensor,
        cosets: int = 1,
        followed: bool = False,
    ) -> Result:
        """
        Args:
            x: the frame, packed ``(batch, 96, h, w)``.
            predicted: the last picture moved, packed.
            features: the last features moved.
            quality: ``(batch, 1, 1, 1)``.
            cell_quality: ``(batch, 1, h / 2, w / 2)``, after adaptive quantization.
            cosets: packets per part of the frame.
            followed: a receiver carries the gradient of what is shown, see `follow`.
        """
        prior = self.prior
        context = self._context(predicted, features, cell_quality)
        y = self.down(self.analysis(self.stem(torch.cat([x - predicted, context], 1))))
        y = y.float() * prior.encode_gain(cell_quality)
        z = prior.hyper(y)
        hyper = round_hyper(z)
        mean = self._mean(context, hyper, y)
        residual = y - mean
        zone = dead_zone(prior.first_index(hyper, y))
        symbols = quantize(residual, zone).clamp(-LARGEST, LARGEST)
        steps = straight(symbols, residual)
        index = prior.index(hyper, symbols, cosets)
        with torch.set_grad_enabled(torch.is_grad_enabled() and not followed):
            shown = self._synthesis(predicted, context, mean + steps, symbols, cell_quality)
        return Result(
            picture=shown[0],
            features=shown[1],
            symbols=symbols,
            steps=steps,
            index=index,
            latent_bits=self.tables.rate(residual, symbols, index),
            hyper=hyper,
            hyper_bits=prior.hyper_bits(z, quality),
        )

    def follow(
        self, sent: Result, predicted: Tensor, features: Tensor, cell_quality: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Picture and features of a receiver whose last ones may differ from the sender's."""
        context = self._context(predicted, features, cell_quality)
        y = self._mean(context, sent.hyper, sent.symbols) + sent.steps
        return self._synthesis(predicted, context, y, sent.symbols, cell_quality)

    def _context(self, predicted: Tensor, features: Tensor, cell_quality: Tensor) -> Tensor:
        context = self.context(self.enter(torch.cat([predicted, features], 1)))
        return context.float() * self.context_gain(_finer(cell_quality))

    def _mean(self, context: Tensor, hyper: Tensor, like: Tensor) -> Tensor:
        told = self.prior.mean_features(hyper, like)
        mean = torch.cat([F.relu(self.mean_context(context)), told], 1)
        return self.mean(F.relu(self.mean_in(mean))).float()

    def _synthesis(
        self,
        predicted: Tensor,
        context: Tensor,
        y: Tensor,
        symbols: Tensor,
        cell_quality: Tensor,
    ) -> tuple[Tensor, Tensor]:
        trunk = F.pixel_shuffle(self.up(y * self.prior.decode_gain(cell_quality)), 2)
        trunk = self.synthesis(self.join(torch.cat([trunk, context], 1))).float()
        change = self.head(self.refine(trunk * self.tune(_finer(cell_quality)))).float()
        return predicted + change * live_cells(symbols), round_features(trunk)


def _finer(cells: Tensor) -> Tensor:
    return F.interpolate(cells, scale_factor=2.0, mode="nearest")


def live_cells(symbols: Tensor) -> Tensor:
    """1 on the 1/8 grid where a 16×16 cell has a symbol other than zero."""
    live = (symbols.detach() != 0).any(1, keepdim=True).to(symbols.dtype)
    return F.interpolate(live, scale_factor=2.0, mode="nearest")


def round_features(trunk: Tensor) -> Tensor:
    kept = trunk.clamp(-FEATURE_REACH, FEATURE_REACH)
    return straight(torch.round(kept * FEATURE_STEPS) / FEATURE_STEPS, kept)
