"""Restore: a recurrent super-resolution network on the quarter grid.

::

    current ──DCT 4×4──┐
    previous output ───┼─► 3×3 ─► residual blocks ─► 3×3 ─┬─► + current ─► output
      − current, DCT   │                                  └─► hidden of the next frame
    hidden ────────────┘

Everything between works at a quarter of the picture's sides, where one 3×3 sees 12×12 pixels and
the arithmetic per pixel is a sixteenth.  The 4×4 DCT conditions the training (each input
channel has unit spread) and saves arithmetic: an upscaled picture has next to nothing in the high
frequencies, so only the low ones are looked at, while all sixteen are written.  Export folds the
inverse DCT into the last convolution.  There is no motion compensation: the hidden state and the
last output enter unmoved.

Inputs and state are clamped to ±`SPAN` and the last layer to ±1, which are also the ranges of the
8-bit graph, so that quantising cannot meet a value that training did not.
"""

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

GRID = 4
COEFFICIENTS = GRID * GRID
SPAN = 4.0
REACH = 1 / 6  # largest change of a sample, of full scale: 42 grey levels
# The side inputs (quantizer, scale, reference) are brought to about -1..1: (x - centre) * gain.
SIDE_CENTRE = (160.0, 0.6, 0.5)
SIDE_GAIN = (1 / 64, 6.0, 1.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """What a network is built from; stored beside its weights."""

    channels: int = 48
    plain: int = 1  # convolutions between the stem and the residual blocks
    blocks: int = 0
    hidden: int = 16
    picture: int = 10  # coefficients seen, in zigzag order, of the current picture
    change: int = 6  # and of the difference between the last output and it

    @property
    def seen(self) -> int:
        return self.picture + self.change

    @property
    def macs_per_pixel(self) -> float:
        inner = (self.plain + 2 * self.blocks) * self.channels
        taps = self.channels * (self.seen + self.hidden + inner + COEFFICIENTS + self.hidden)
        return 9 * taps / GRID**2


class Block(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = _conv(channels, channels)
        self.second = _conv(channels, channels)
        with torch.no_grad():
            self.second.weight.mul_(0.2)
            self.second.bias.zero_()

    def forward(self, x: Tensor) -> Tensor:
        return x + self.second(torch.relu(self.first(x)))


class Restore(nn.Module):
    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.shape = shape
        self.register_buffer("dct", _dct())
        # One over the spread of each coefficient seen; measured by `condition`.
        self.register_buffer("gain", torch.ones(shape.seen))
        self.register_buffer("side_centre", torch.tensor(SIDE_CENTRE), persistent=False)
        self.register_buffer("side_gain", torch.tensor(SIDE_GAIN), persistent=False)
        self.side = nn.Sequential(
            nn.Linear(len(SIDE_CENTRE), 16), nn.ReLU(), nn.Linear(16, shape.seen)
        )
        self.stem = _conv(shape.seen + shape.hidden, shape.channels)
        self.plain = nn.ModuleList(
            _conv(shape.channels, shape.channels) for _ in range(shape.plain)
        )
        self.blocks = nn.ModuleList(Block(shape.channels) for _ in range(shape.blocks))
        self.head = _conv(shape.channels, COEFFICIENTS + shape.hidden)
        with torch.no_grad():
            self.head.weight.mul_(0.1)
            self.head.bias.zero_()

    def condition(self, current: Tensor, change: Tensor) -> None:
        """Set the input gains from a sample of pictures and changes, ``(batch, 1, h, w)``."""
        seen = self._coefficients(current - 0.5, change)
        self.gain.copy_(1 / seen.std((0, 2, 3)).clamp_min(1e-3))

    def forward(
        self, current: Tensor, previous_output: Tensor, hidden: Tensor, side: Tensor
    ) -> tuple[Tensor, Tensor]:
        """One frame.

        Args:
            current: ``(batch, 1, height, width)``, samples 0..1, sides multiples of 4.
            previous_output: the same; `current` itself after a key unit.
            hidden: ``(batch, hidden, height / 4, width / 4)``; zeros after a key unit.
            side: ``(batch, 3)`` from `side_inputs`.

        Returns:
            The output picture, not yet clipped to 0..1, and the next hidden state.
        """
        seen = self._coefficients(current - 0.5, previous_output - current)
        told = self.side((side - self.side_centre) * self.side_gain)
        seen = seen * self.gain[:, None, None] + told[:, :, None, None]
        x = torch.relu(self.stem(torch.cat([seen.clamp(-SPAN, SPAN), hidden], 1)))
        for conv in self.plain:
            x = torch.relu(conv(x))
        for block in self.blocks:
            x = block(x)
        made = self.head(x)
        made, state = made[:, :COEFFICIENTS], made[:, COEFFICIENTS:]
        residual = F.conv_transpose2d(made, self.dct, stride=GRID).clamp(-1, 1)
        return current + residual * REACH, state.clamp(-1, 1) * SPAN

    def _coefficients(self, picture: Tensor, change: Tensor) -> Tensor:
        """The coefficients seen, ``(batch, seen, height / 4, width / 4)``."""
        return torch.cat(
            [
                F.conv2d(picture, self.dct[: self.shape.picture], stride=GRID),
                F.conv2d(change, self.dct[: self.shape.change], stride=GRID),
            ],
            1,
        )


def side_inputs(quantizer: float, scale: float, reference: bool) -> list[float]:
    """What the network is told of a frame: `base_q_idx` 0..255, base scale, reference or not."""
    return [float(quantizer), float(scale), float(reference)]


def _conv(inputs: int, outputs: int) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, 3, padding=1)


def _dct() -> Tensor:
    """Orthonormal 4×4 DCT-II as a convolution kernel, ``(16, 1, 4, 4)``, low frequencies first."""
    basis = torch.tensor([[_cosine(k, i) for i in range(GRID)] for k in range(GRID)])
    order = sorted(range(COEFFICIENTS), key=lambda k: (k // GRID + k % GRID, k))
    return torch.einsum("ai,bj->abij", basis, basis).reshape(-1, 1, GRID, GRID)[order]


def _cosine(k: int, i: int) -> float:
    return math.sqrt((1 if k == 0 else 2) / GRID) * math.cos(math.pi * (2 * i + 1) * k / (2 * GRID))
