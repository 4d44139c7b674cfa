"""Codes a clip the way a sender would: smaller, with SVT-AV1 in low delay, and back to full size.

SVT-AV1 asks for real-time scheduling where it may, and then starves its neighbours.  As root, start
Python through ``setpriv --bounding-set=-sys_nice --inh-caps=-sys_nice``.
"""

import io
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import numpy.typing as npt
from av.bitstream import BitStreamFilterContext

Luma = npt.NDArray[np.uint8]  # (frames, height, width)

PRESET = 8
SVT_PARAMS = "pred-struct=1:rtc=1:lp=1:scd=0:keyint=-1:scm=1"
FRAME_LIMIT = 64
_FIELD = re.compile(
    r"\b(show_existing_frame|frame_type|base_q_idx|refresh_frame_flags)\b.* = (\d+)"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Clip:
    """Decoded source pictures, yuv420p, even sides."""

    name: str
    frames: list[av.VideoFrame]
    rate: Fraction  # frames per second

    @property
    def size(self) -> tuple[int, int]:
        return self.frames[0].width, self.frames[0].height


@dataclass(frozen=True, slots=True, kw_only=True)
class CodedClip:
    """What a receiver has before the network: luma at picture size, and two facts per frame."""

    luma: Luma
    quantizer: list[int]  # AV1 base_q_idx, 0..255
    reference: list[bool]  # later frames predict from this one


def load(path: Path, limit: int = FRAME_LIMIT) -> Clip:
    """Decode up to `limit` frames."""
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        rate = Fraction(stream.average_rate or 30).limit_denominator(1001)
        frames: list[av.VideoFrame] = []
        for frame in container.decode(video=0):
            even = frame.width & ~1, frame.height & ~1
            frames.append(frame.reformat(width=even[0], height=even[1], format="yuv420p"))
            if len(frames) == limit:
                break
    return Clip(name=path.stem, frames=frames, rate=rate)


def code(clip: Clip, scale: Fraction, crf: int) -> CodedClip:
    """Code at `scale` of the picture size and upscale the result (swscale, Lanczos)."""
    width, height = (_even(side * scale) for side in clip.size)
    small = [_scaled(frame, width, height) for frame in clip.frames]
    packets = _encode(small, clip.rate, crf)
    headers = _read_headers(packets, width, height)
    pictures = [_scaled(frame, *clip.size) for frame in _decode(packets)]
    if not len(pictures) == len(headers) == len(clip.frames):
        raise RuntimeError(f"{clip.name}: {len(clip.frames)} frames in, {len(pictures)} out")
    return CodedClip(
        luma=luma_of(pictures),
        quantizer=[quantizer for quantizer, _ in headers],
        reference=[reference for _, reference in headers],
    )


def luma_of(frames: Iterable[av.VideoFrame]) -> Luma:
    """Luma planes without line padding, ``uint8 (frames, height, width)``."""
    planes = []
    for frame in frames:
        plane = frame.planes[0]
        lines = np.frombuffer(plane, np.uint8).reshape(-1, plane.line_size)
        planes.append(lines[: frame.height, : frame.width])
    return np.stack(planes)


def _even(side: Fraction) -> int:
    return max(2, round(side / 2) * 2)


def _scaled(frame: av.VideoFrame, width: int, height: int) -> av.VideoFrame:
    return frame.reformat(width=width, height=height, interpolation="LANCZOS")


def _encode(frames: Sequence[av.VideoFrame], rate: Fraction, crf: int) -> list[bytes]:
    encoder = av.CodecContext.create("libsvtav1", "w")
    encoder.width, encoder.height = frames[0].width, frames[0].height
    encoder.pix_fmt = "yuv420p"
    encoder.time_base, encoder.framerate = 1 / rate, rate
    encoder.gop_size, encoder.thread_count = 9999, 1
    encoder.options = {"preset": str(PRESET), "crf": str(crf), "svtav1-params": SVT_PARAMS}
    packets = []
    for index, frame in enumerate(frames):
        frame.pts, frame.time_base = index, 1 / rate
        packets += encoder.encode(frame)
    packets += encoder.encode(None)
    return [bytes(packet) for packet in packets if packet.size]


def _decode(packets: Sequence[bytes]) -> list[av.VideoFrame]:
    decoder = av.CodecContext.create("libdav1d", "r")
    decoder.thread_count, decoder.options = 1, {"max_frame_delay": "1"}
    frames = []
    for packet in packets:
        frames += decoder.decode(av.Packet(packet))
    return frames + decoder.decode(None)


def _read_headers(packets: Sequence[bytes], width: int, height: int) -> list[tuple[int, bool]]:
    """``(base_q_idx, is a reference)`` per packet, from FFmpeg's header tracer."""
    with av.open(io.BytesIO(), "w", "ivf") as sink:
        stream = sink.add_mux_stream("av1", rate=30, width=width, height=height)
        tracer = BitStreamFilterContext("trace_headers", stream)
        return [_trace(tracer, packet) for packet in packets]


def _trace(tracer: BitStreamFilterContext, packet: bytes) -> tuple[int, bool]:
    av.logging.set_level(av.logging.INFO)
    with av.logging.Capture() as lines:
        tracer.filter(av.Packet(packet))
    av.logging.set_level(av.logging.PANIC)
    found = {match[1]: int(match[2]) for _, _, line in lines if (match := _FIELD.search(line))}
    is_key = found["frame_type"] == 0
    return found["base_q_idx"], is_key or found.get("refresh_frame_flags", 0) != 0
