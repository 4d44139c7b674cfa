"""What a request says, checked: messages in, values out.  Pure.

Nothing is allocated or opened for a request before it went through here.
"""

import enum
import math
import re
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from auralink.codecs.audio.opus import FRAME_SAMPLES, RATE_HZ, Samples
from auralink.codecs.audio.packet import MAX_PTS_US as MAX_AUDIO_PTS_US
from auralink.codecs.frame import MAX_AREA, MAX_HEIGHT, MAX_WIDTH, Frame, split_i420
from auralink.codecs.video.syntax import MAX_PTS_US
from auralink.engine.rpc.bitrate import SHARES, Budget, audio_budget, video_budget
from auralink.engine.rpc.failures import FieldError
from auralink.engine.rpc.stubs import aic_compression_pb2 as pb

MAX_LATENCY_MS: Final = 10_000
MAX_FPS: Final = 240
DEFAULT_FPS: Final = 30
AUDIO_FRAME_BYTES: Final = 2 * FRAME_SAMPLES
MAX_RATIO: Final = 0.99
_MAX_KBPS: Final = 10_000_000
_SESSION: Final = re.compile(r"[A-Za-z0-9._:-]{1,128}", re.ASCII)
_MAX_NAME: Final = 128


class Media(enum.Enum):
    VIDEO = pb.FRAME_TYPE_VIDEO
    AUDIO = pb.FRAME_TYPE_AUDIO
    SCREEN = pb.FRAME_TYPE_SCREEN


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamKey:
    """Whose stream it is: nobody reaches another tenant's by its name."""

    tenant: str
    session: str
    participant: str
    media: Media


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One frame and what is wanted of it."""

    key: StreamKey
    number: int
    pts_us: int
    data: bytes = field(repr=False)
    size: tuple[int, int]  # (0, 0) for sound
    fps: int
    mode: pb.CompressionMode
    budget: Budget | None  # None: MODE_OFF
    limit_s: float | None
    decodable_alone: bool

    def frame(self) -> Frame:
        """The picture; its planes are the bytes of the request."""
        width, height = self.size
        y, u, v = split_i420(np.frombuffer(self.data, np.uint8), width, height)
        return Frame(y=y, u=u, v=v, pts_us=self.pts_us)

    def samples(self) -> Samples:
        return np.frombuffer(self.data, "<i2").astype(np.int16, copy=False)


def read_job(request: pb.CompressFrameRequest, tenant: str) -> Job:
    """
    Raises:
        FieldError: names the field.
    """
    media = read_media(request.frame_type)
    mode = read_mode(request.mode)
    session = read_session(request.session_id)
    _name("call_id", request.call_id)
    key = StreamKey(
        tenant=tenant,
        session=session,
        participant=_name("participant_id", request.participant_id),
        media=media,
    )
    metadata = request.metadata
    ratio = _number("target_compression_ratio", request.target_compression_ratio, 0, MAX_RATIO)
    latest = MAX_AUDIO_PTS_US if media is Media.AUDIO else MAX_PTS_US
    pts_us = _whole("timestamp_us", request.timestamp_us, 0, latest)
    number = _whole("frame_number", request.frame_number, 0, (1 << 63) - 1)
    limit_ms = _whole("max_latency_ms", request.max_latency_ms, 0, MAX_LATENCY_MS)
    native_bps = 1000 * _whole("metadata.bitrate_kbps", metadata.bitrate_kbps, 0, _MAX_KBPS)
    available_bps = 1000 * read_link(request.network) if request.HasField("network") else 0
    data = request.frame_data
    if media is Media.AUDIO:
        size, fps = (0, 0), 50
        check_sound(metadata)
        _length(data, AUDIO_FRAME_BYTES, "one frame of 960 samples of 16 bits")
    else:
        size, fps = read_picture(metadata)
        _length(data, i420_bytes(size), f"I420 of {size[0]}x{size[1]}")
    wishes = {"ratio": ratio, "native_bps": native_bps, "available_bps": available_bps}
    return Job(
        key=key,
        number=number,
        pts_us=pts_us,
        data=data,
        size=size,
        fps=fps,
        mode=mode,
        budget=budget(mode, media, size, fps, **wishes),
        limit_s=limit_ms / 1000 if limit_ms else None,
        decodable_alone=metadata.is_keyframe,
    )


def budget(
    mode: pb.CompressionMode,
    media: Media,
    size: tuple[int, int],
    fps: int,
    *,
    ratio: float,
    native_bps: float,
    available_bps: float,
) -> Budget | None:
    """None with MODE_OFF."""
    if mode == pb.MODE_OFF:
        return None
    native, available = int(native_bps), int(available_bps)
    if media is Media.AUDIO:
        return audio_budget(mode, ratio=ratio, native_bps=native, available_bps=available)
    return video_budget(
        mode, ratio=ratio, size=size, fps=fps, native_bps=native, available_bps=available
    )


def i420_bytes(size: tuple[int, int]) -> int:
    width, height = size
    return width * height + 2 * ((width + 1) // 2) * ((height + 1) // 2)


def read_session(text: str) -> str:
    if not _SESSION.fullmatch(text):
        raise FieldError("session_id", "1 to 128 of A-Z a-z 0-9 . _ : - are wanted")
    return text


def read_media(number: int) -> Media:
    try:
        return Media(number)
    except ValueError:
        raise FieldError(
            "frame_type", f"{number}: 1 (video), 2 (audio) and 3 (screen) can be coded"
        ) from None


def read_mode(number: pb.CompressionMode) -> pb.CompressionMode:
    if number != pb.MODE_OFF and number not in SHARES:
        raise FieldError("mode", f"{number}: 0 to 3 are known")
    return number


def read_picture(metadata: pb.FrameMetadata) -> tuple[tuple[int, int], int]:
    """Size and nominal frame rate."""
    if metadata.codec not in ("", "i420"):
        raise FieldError("metadata.codec", "pictures are taken as raw I420: leave empty, or 'i420'")
    width = _whole("metadata.width", metadata.width, 1, MAX_WIDTH)
    height = _whole("metadata.height", metadata.height, 1, MAX_HEIGHT)
    if width * height > MAX_AREA:
        raise FieldError("metadata.height", f"{width}x{height} has more than {MAX_AREA} pixels")
    return (width, height), _whole("metadata.fps", metadata.fps, 0, MAX_FPS) or DEFAULT_FPS


def check_sound(metadata: pb.FrameMetadata) -> None:
    if metadata.codec not in ("", "pcm_s16le"):
        raise FieldError(
            "metadata.codec", "sound is taken as raw samples: leave empty, or 'pcm_s16le'"
        )
    if metadata.sample_rate not in (0, RATE_HZ):
        raise FieldError("metadata.sample_rate", f"{metadata.sample_rate}: {RATE_HZ} is taken")
    if metadata.channels not in (0, 1):
        raise FieldError("metadata.channels", f"{metadata.channels}: one channel is taken")


def read_link(network: pb.NetworkConditions) -> int:
    """Kilobits a second that are to be had, 0 if that is not known."""
    _whole("network.rtt_ms", network.rtt_ms, 0, 3_600_000)
    _number("network.packet_loss_percent", network.packet_loss_percent, 0, 100)
    _number("network.jitter_ms", network.jitter_ms, 0, 3_600_000)
    _name("network.connection_type", network.connection_type)
    kbps = network.available_bandwidth_kbps
    return _whole("network.available_bandwidth_kbps", kbps, 0, _MAX_KBPS)


def _name(path: str, text: str) -> str:
    if len(text) > _MAX_NAME or not text.isprintable():
        raise FieldError(path, f"at most {_MAX_NAME} printable characters are wanted")
    return text


def _whole(path: str, value: int, least: int, most: int) -> int:
    if not least <= value <= most:
        raise FieldError(path, f"{value}: {least} to {most} is wanted")
    return value


def _number(path: str, value: float, least: float, most: float) -> float:
    # Its neighbour in single precision is as good as the bound itself.
    if not math.isfinite(value) or not least <= value <= most + 1e-6:
        raise FieldError(path, f"{value}: {least} to {most} is wanted")
    return value


def _length(data: bytes, wanted: int, what: str) -> None:
    if len(data) != wanted:
        raise FieldError("frame_data", f"{len(data)} bytes: {what} has {wanted}")
