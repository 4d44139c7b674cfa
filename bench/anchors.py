"""The conventional codecs that others are measured against, each with exact settings.

All code the same frames on one thread with one key frame at the start, which counts.  Quality is
constant (CRF, or a fixed quantizer) where that is the codec's better side.  VP8 runs its own rate
control, as it does in every call; ``vp8-q`` is its best case, at fixed quantizers.
"""

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Final, NamedTuple, TypeAlias

import numpy as np

from auralink.bench.clips import Clip, Kind
from auralink.bench.metrics import ssim
from auralink.bench.subjects import BaseSubject, Point, Subject, decode, encode
from auralink.codecs.base.dav1d import Dav1dDecoder
from auralink.codecs.base.native import h264_recipe, open_decoder, vp8_recipe, vp9_recipe
from auralink.codecs.base.protocol import BaseDecoder, BaseEncoder
from auralink.codecs.base.pyav_av1 import svt_recipe
from auralink.codecs.base.pyav_codec import CodecName, PyavEncoder, Quality, Rate, Recipe
from auralink.codecs.errors import InputError

MakeRecipe: TypeAlias = Callable[[Clip], Recipe]
MakeSubject: TypeAlias = Callable[[], Subject]

# Engine scale 63 (coarsest) to 1.  Each row spans about the qualities that VP8 has from 63, the
# least it can do, to 20, where it looks clean: beyond that no call spends its bits.
AV1_QUANTIZERS: Final = (63, 57, 51, 45, 38, 31)
_VP9_QUANTIZERS: Final = (63, 56, 49, 41, 33, 25)
_VP8_QUANTIZERS: Final = (63, 55, 46, 37, 28, 20)
_H264_QUANTIZERS: Final = (56, 51, 46, 42, 37, 32)  # CRF 45 to 26
RATE_POINTS: Final = 6
_MOST_DOUBLINGS: Final = 3
_PROBE_STEP: Final = 8  # frames between those looked at to choose rates


def rates_for(clip: Clip, count: int = RATE_POINTS, *, share: float = 1.0) -> list[int]:
    """Bit rates, equal ratios apart, from about VP8's least to where VP8 looks clean.

    Args:
        share: multiplies them all, for a codec that needs only that much.
    """
    least, most = _vp8_span(clip)
    return [round(float(rate) * share / 100) * 100 for rate in np.geomspace(least, most, count)]


def open_anchor(name: str) -> Subject:
    """The anchor of that name.

    Raises:
        InputError: there is none.
        UnsupportedError: this machine lacks its library; says which.
    """
    if name not in ANCHORS:
        raise InputError(f"no anchor {name!r}: there are {', '.join(ANCHORS)}")
    return ANCHORS[name]()


def _vp8(clip: Clip) -> Recipe:
    return vp8_recipe(screen=clip.kind is Kind.SCREEN)


def _vp9(clip: Clip) -> Recipe:
    return vp9_recipe(screen=clip.kind is Kind.SCREEN)


def _x264(clip: Clip) -> Recipe:
    return h264_recipe(profile="high")


def _svt(preset: int) -> MakeRecipe:
    def recipe(clip: Clip) -> Recipe:
        screen = clip.kind is Kind.SCREEN
        return svt_recipe(preset=preset, screen=screen, realtime=preset >= 7)

    return recipe


def _vp8_at_rates() -> Subject:
    """VP8 under its own rate control."""

    def describe(clip: Clip) -> dict[str, str]:
        return _vp8(clip).options(Rate(bitrate_bps=rates_for(clip)[0], fps=clip.fps))

    return BaseSubject(
        "vp8-cbr",
        open_encoder=lambda clip, point: PyavEncoder(_vp8(clip), clip.fps),
        open_decoder=lambda: open_decoder("vp8"),
        choose_points=lambda clip: [Point(bitrate_bps=rate) for rate in rates_for(clip)],
        describe=describe,
    )


def _at_qualities(
    name: str, codec: CodecName, recipe: MakeRecipe, quantizers: Sequence[float]
) -> Subject:
    """A PyAV codec at constant quality."""
    return BaseSubject(
        name,
        open_encoder=lambda clip, point: PyavEncoder(
            recipe(clip), clip.fps, quantizer=point.quantizer
        ),
        open_decoder=lambda: _decoder(codec),
        choose_points=lambda clip: [Point(quantizer=q) for q in quantizers],
        describe=lambda clip: recipe(clip).options(Quality(quantizer=quantizers[0])),
    )


def _engine(name: str, open_engine: Callable[[Clip], BaseEncoder]) -> Subject:
    """One of our own AV1 engines: a quantizer per frame, finer for the lower temporal layers."""
    return BaseSubject(
        name,
        open_encoder=lambda clip, point: open_engine(clip),
        open_decoder=Dav1dDecoder,
        choose_points=lambda clip: [Point(quantizer=q) for q in AV1_QUANTIZERS],
        describe=lambda clip: {"quantizers": "one per frame, by temporal layer"},
    )


def _libaom(name: str, speed: int) -> Subject:
    from auralink.codecs.base.aom import AomAv1

    AomAv1((64, 64), speed=speed).close()  # fails here, by name, where there is no library

    def opened(clip: Clip) -> BaseEncoder:
        return AomAv1(clip.size, speed=speed, screen=clip.kind is Kind.SCREEN)

    return _engine(name, opened)


def _own_svt(name: str, preset: int) -> Subject:
    from auralink.codecs.base.svt import SvtAv1

    def opened(clip: Clip) -> BaseEncoder:
        return SvtAv1(clip.size, clip.fps, preset=preset, screen=clip.kind is Kind.SCREEN)

    return _engine(name, opened)


def _decoder(codec: CodecName) -> BaseDecoder:
    return Dav1dDecoder() if codec == "av1" else open_decoder(codec)


@lru_cache(maxsize=1)
def _vp8_span(clip: Clip) -> tuple[float, float]:
    """Bits per second between which VP8's rate control goes from its worst to a clean picture.

    Its own floor is where asking for less changes nothing.  The top is what a clean fixed
    quantizer needs, and more where rate control makes less of it, as it does on screens.
    """
    coarse = _vp8_run(clip, Point(quantizer=_VP8_QUANTIZERS[0]))
    floor = _vp8_run(clip, Point(bitrate_bps=round(coarse.bps)))
    clean = _vp8_run(clip, Point(quantizer=_VP8_QUANTIZERS[-1]))
    wanted = _vp8_run(clip, Point(quantizer=_VP8_QUANTIZERS[-2])).ssim
    most = clean.bps
    for _ in range(_MOST_DOUBLINGS):
        if _vp8_run(clip, Point(bitrate_bps=round(most))).ssim >= wanted:
            break
        most *= 2
    return max(coarse.bps, floor.bps), most


class _Probe(NamedTuple):
    bps: float
    ssim: float


def _vp8_run(clip: Clip, point: Point) -> _Probe:
    fixed = None if point.bitrate_bps else point.quantizer
    units = encode(PyavEncoder(_vp8(clip), clip.fps, quantizer=fixed), clip, point)
    frames = decode(open_decoder("vp8"), clip, units)
    sampled = list(zip(clip.frames, frames, strict=True))[::_PROBE_STEP]
    similarity = sum(ssim(original.y, decoded.y) for original, decoded in sampled) / len(sampled)
    return _Probe(1000 * clip.kbps(sum(len(unit.data) for unit in units)), similarity)


ANCHORS: Final[dict[str, MakeSubject]] = {
    "vp8-cbr": _vp8_at_rates,
    "vp8-q": lambda: _at_qualities("vp8-q", "vp8", _vp8, _VP8_QUANTIZERS),
    "x264-veryfast": lambda: _at_qualities("x264-veryfast", "h264", _x264, _H264_QUANTIZERS),
    "vp9-rt8": lambda: _at_qualities("vp9-rt8", "vp9", _vp9, _VP9_QUANTIZERS),
    "svt-p10": lambda: _at_qualities("svt-p10", "av1", _svt(10), AV1_QUANTIZERS),
    "svt-p8": lambda: _at_qualities("svt-p8", "av1", _svt(8), AV1_QUANTIZERS),
    "svt-p6": lambda: _at_qualities("svt-p6", "av1", _svt(6), AV1_QUANTIZERS),
    "svt-p5": lambda: _at_qualities("svt-p5", "av1", _svt(5), AV1_QUANTIZERS),
    "svt-p4": lambda: _at_qualities("svt-p4", "av1", _svt(4), AV1_QUANTIZERS),
    "libaom-rt9": lambda: _libaom("libaom-rt9", 9),
    "engine-svt-p6": lambda: _own_svt("engine-svt-p6", 6),
    "engine-aom-6": lambda: _libaom("engine-aom-6", 6),
}
# VP8 first: the one that every table is about.
DEFAULT_ANCHORS: Final = (
    "vp8-cbr",
    "vp8-q",
    "x264-veryfast",
    "vp9-rt8",
    "svt-p10",
    "svt-p6",
    "libaom-rt9",
)
