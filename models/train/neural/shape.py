"""What the learned codec is built from, and the constants that training and codec share."""

import math
from dataclasses import dataclass
from typing import Final

PACKED: Final = 96  # channels of a picture at an eighth of its sides: 64 luma, 16 U, 16 V
ANCHORS: Final = 5  # rows of each gain table, equally spaced in quality

INDICES: Final = 64  # scale indices: rows of the symbol tables
LOWEST_SCALE: Final = 0.11
HIGHEST_SCALE: Final = 64.0
INDEX_STEP: Final = math.log(HIGHEST_SCALE / LOWEST_SCALE) / (INDICES - 1)
ESCAPE: Final = 16  # magnitudes from here on share one symbol of the table
LARGEST: Final = 255  # magnitude of a residual symbol
LARGEST_HYPER: Final = 31

LOW_TRADE: Final = 0.0008  # bits per squared error at quality 0
TRADE_RATIO: Final = 75.0  # from quality 0 to 1
PREDICT_SPAN: Final = 1.0  # highest quality of a predicted frame
INTRA_SPAN: Final = 1.5  # of a key, which every frame after it profits from

FEATURE_STEPS: Final = 16  # features are kept in 1/16
FEATURE_REACH: Final = 4.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """Widths and depths; stored beside the weights."""

    channels: int = 64  # C, on the 1/8 grid
    latent: int = 160  # channels of y, on the 1/16 grid
    hyper: int = 24  # channels of z, on the 1/64 grid
    hidden: int = 48  # between z and what it says
    intra_encoder: int = 3  # blocks
    intra_decoder: int = 4
    context: int = 2
    encoder: int = 2
    decoder: int = 2
    refine: int = 1  # blocks of the decoder that do not reach the features

    @property
    def chroma(self) -> int:
        """DCT coefficients of each 4×4 chroma block that y starts out with."""
        return 6 if self.latent >= 160 else 4

    @property
    def luma(self) -> int:
        """DCT coefficients of each 8×8 luma block that y starts out with."""
        return self.latent // 4 - 2 * self.chroma

    @property
    def early(self) -> tuple[slice, ...]:
        """Channels of y that are coded first and tell the others' scales."""
        u = 4 * self.luma
        v = u + 4 * self.chroma
        return slice(0, 24), slice(u, u + 4), slice(v, v + 4)


def trade(quality: float) -> float:
    """Bits that one squared error of a sample is worth."""
    return LOW_TRADE * TRADE_RATIO**quality
