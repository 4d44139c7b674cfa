"""Codes a clip the way a hybrid sender does: smaller, with our AV1 base, and back to full size.

Every part is the one in use: the scaler both ways, the encoder with its layer offsets, the decoder,
and the header reader that tells the network the quantizer.
"""

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import numpy.typing as npt

from auralink.codecs.av1.headers import HeaderReader
from auralink.codecs.base.hierarchy import clip_quantizer
from auralink.codecs.base.protocol import Order
from auralink.codecs.base.pyav_frames import to_i420
from auralink.codecs.base.select import open_decoder, open_encoder
from auralink.codecs.frame import Frame, crop, pad
from auralink.codecs.resample import Resampler
from auralink.codecs.video.geometry import base_size, coded_size

Luma = npt.NDArray[np.uint8]  # (frames, height, width)

ENGINE, PRESET = "svt", 8
FRAME_LIMIT = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Clip:
    """Source pictures."""

    name: str
    frames: list[Frame]
    fps: float

    @property
    def size(self) -> tuple[int, int]:
        return self.frames[0].size


@dataclass(frozen=True, slots=True, kw_only=True)
class Quality:
    """How a sender codes."""

    quantizer: int  # of the top layer, 1..63
    # How much finer the lower layers are, of the engine's own offsets.  Constant quality has 1;
    # under rate control at the coarse end little of it is left.
    strength: float


@dataclass(frozen=True, slots=True, kw_only=True)
class CodedClip:
    """What a receiver has before the network: luma at picture size, and two facts per frame."""

    luma: Luma
    quantizer: list[int]  # AV1 base_q_idx, 0..255
    reference: list[bool]  # later frames predict from this one


def load(path: Path, limit: int = FRAME_LIMIT) -> Clip:
    """Decode up to `limit` frames."""
    frames: list[Frame] = []
    with av.open(str(path)) as container:
        rate = Fraction(container.streams.video[0].average_rate or 30)
        for number, picture in enumerate(container.decode(video=0)):
            if number == limit:
                break
            frames.append(to_i420(picture, int(number * 1_000_000 / rate)))
    return Clip(name=path.stem, frames=frames, fps=float(rate))


def code(clip: Clip, scale: float, quality: Quality, *, screen: bool) -> CodedClip:
    """Code at `scale` of the picture's size, decode, and upscale without the network."""
    small, shrink, enlarge = base_size(clip.size, scale), Resampler(), Resampler()
    coded = coded_size(small)
    encoder = open_encoder("av1", coded, fps=clip.fps, preset=PRESET, screen=screen, engine=ENGINE)
    decoder, headers = open_decoder("av1"), HeaderReader()
    luma, quantizers, references = [], [], []
    for number, frame in enumerate(clip.frames):
        hierarchy = encoder.hierarchy
        quantizer = hierarchy.quantizer(
            quality.quantizer,
            hierarchy.layer(number),
            key=number == 0,
            strength=1.0 if number == 0 else quality.strength,
        )
        order = Order(
            number=number, quantizer=clip_quantizer(quantizer), exact=True, key=number == 0
        )
        unit = encoder.encode(pad(shrink.resize(frame, *small), *coded), order)
        base = crop(decoder.decode(unit.data, frame.pts_us), *small)
        luma.append(enlarge.resize(base, *clip.size).y)
        quantizers.append(headers.read(unit.data)[-1].base_q_idx)
        references.append(unit.reference)
    encoder.close()
    decoder.close()
    return CodedClip(luma=np.stack(luma), quantizer=quantizers, reference=references)
