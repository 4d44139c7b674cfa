"""The same clip by VP8 at the same bits, and both codecs at a few rates: what AIC is held against.

VP8 is set as libwebrtc sets it for a call (constant bit rate, speed -6, static-thresh 1), one key
frame at the start.  It is coded without any loss or delay, and only its coded frames are counted,
no packet headers: what is said in its favour here is meant to be.
"""

import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

from auralink.codecs.base.native import open_decoder, open_encoder
from auralink.codecs.base.protocol import Order
from auralink.codecs.frame import Frame, crop, pad
from auralink.codecs.video.protocol import VideoDecoder, VideoEncoder, Wish
from auralink.codecs.video.receiver import Receiver
from auralink.engine.demo.screen import compare
from auralink.engine.media.encoding import encode_frames

# VP8's rate control misses low rates; as many tries to hit the wanted bits.
MATCH_TRIES: Final = 3
MATCH_WITHIN: Final = 0.02
LEAST_BPS: Final = 5_000
# Rates of the curves, over the rate in question; VP8 needs more for the same pictures.
AIC_FACTORS: Final = (0.5, 1.0, 2.0)
VP8_FACTORS: Final = (1.0, 2.0, 4.0, 7.0)
CURVE_POINTS: Final = len(AIC_FACTORS) + len(VP8_FACTORS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Coded:
    """A clip coded and decoded again."""

    frames: tuple[Frame, ...] = field(repr=False)
    bitrate_bps: float
    sizes: tuple[int, ...] = field(repr=False)  # bytes per frame


@dataclass(frozen=True, slots=True, kw_only=True)
class RatePoint:
    """One place on a rate-quality curve."""

    codec: str
    bitrate_bps: float
    ssim: float
    psnr_db: float


def vp8(frames: Sequence[Frame], fps: float, bitrate_bps: int) -> Coded:
    """Code a clip of one size with VP8 at a target rate."""
    encoder, decoder = open_encoder("vp8", fps), open_decoder("vp8")
    sizes, shown = [], []
    try:
        for number, frame in enumerate(frames):
            width, height = frame.width + frame.width % 2, frame.height + frame.height % 2
            order = Order(number=number, bitrate_bps=bitrate_bps, key=number == 0)
            unit = encoder.encode(pad(frame, width, height), order)
            sizes.append(len(unit.data))
            shown.append(crop(decoder.decode(unit.data, frame.pts_us), *frame.size))
    finally:
        encoder.close()
        decoder.close()
    return Coded(
        frames=tuple(shown), bitrate_bps=sum(sizes) * 8 / duration_s(frames), sizes=tuple(sizes)
    )


def vp8_at_bits(frames: Sequence[Frame], fps: float, bitrate_bps: float) -> Coded:
    """VP8 as near to those bits as its rate control can be brought; it may not get there."""
    target, best = bitrate_bps, None
    for _ in range(MATCH_TRIES):
        coded = vp8(frames, fps, max(LEAST_BPS, round(target)))
        off = abs(coded.bitrate_bps / bitrate_bps - 1)
        if best is None or off < abs(best.bitrate_bps / bitrate_bps - 1):
            best = coded
        if off < MATCH_WITHIN or target <= LEAST_BPS:
            break
        target = max(LEAST_BPS, target * bitrate_bps / coded.bitrate_bps)
    assert best is not None
    return best


def aic(
    frames: Sequence[Frame], encoder: VideoEncoder, decoder: VideoDecoder, bitrate_bps: int
) -> Coded:
    """Code a clip with AIC, nothing lost; what the encoder dropped shows the picture before."""
    receiver, shown, sizes = Receiver(decoder), [], []
    current = frames[0]
    try:
        for step in encode_frames(frames, encoder, lambda _: Wish(bitrate_bps=bitrate_bps)):
            sizes.append(step.coded.size)
            for packet in step.coded.packets:
                for picture in receiver.push(packet):
                    current = picture.frame or current
            shown.append(current)
    finally:
        encoder.close()
        receiver.close()
    return Coded(
        frames=tuple(shown), bitrate_bps=sum(sizes) * 8 / duration_s(frames), sizes=tuple(sizes)
    )


def curves(
    frames: Sequence[Frame],
    fps: float,
    bitrate_bps: int,
    open_aic: Callable[[], tuple[VideoEncoder, VideoDecoder]],
) -> Iterator[RatePoint]:
    """A few points of both codecs around a rate, one after the other."""
    for factor in AIC_FACTORS:
        yield _point("AIC", frames, aic(frames, *open_aic(), round(bitrate_bps * factor)))
    for factor in VP8_FACTORS:
        yield _point("VP8", frames, vp8(frames, fps, round(bitrate_bps * factor)))


def duration_s(frames: Sequence[Frame]) -> float:
    """Capture time covered, the last frame included."""
    if len(frames) < 2:
        return 1 / 30
    span_us = frames[-1].pts_us - frames[0].pts_us
    return span_us / 1e6 * len(frames) / (len(frames) - 1)


def _coded(source: Sequence[Frame], shown: Sequence[Frame], sizes: Sequence[int]) -> Coded:
    bitrate_bps = sum(sizes) * 8 / duration_s(source)
    return Coded(frames=tuple(shown), bitrate_bps=bitrate_bps, sizes=tuple(sizes))


def _point(codec: str, frames: Sequence[Frame], coded: Coded) -> RatePoint:
    quality = compare(frames, coded.frames)
    return RatePoint(
        codec=codec,
        bitrate_bps=coded.bitrate_bps,
        ssim=quality.mean_ssim,
        psnr_db=quality.mean_psnr_db,
    )


def sums_per(sizes: Sequence[int], frames: Sequence[Frame], window_us: int) -> list[float]:
    """Bits per second of consecutive windows of capture time."""
    groups = itertools.groupby(
        zip(sizes, frames, strict=True), key=lambda pair: pair[1].pts_us // window_us
    )
    return [sum(size for size, _ in group) * 8e6 / window_us for _, group in groups]
