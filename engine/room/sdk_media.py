"""Pictures, sound and coded packets between our types and those of LiveKit's own SDK."""

from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Final

import numpy as np
from av import AudioFrame, VideoFrame
from av.audio.codeccontext import AudioCodecContext
from av.audio.resampler import AudioResampler
from av.packet import Packet
from livekit import rtc

RATE_HZ: Final = 48_000
_VP8_START: Final = b"\x9d\x01\x2a"  # of a key frame, RFC 6386 9.1
_IDR: Final = 5  # NAL unit type, H.264 7.4.1


@dataclass(frozen=True, slots=True)
class CodedFacts:
    """What the SDK wants to know of a coded picture.

    Attributes:
        size: None where the picture does not say.
    """

    key: bool
    size: tuple[int, int] | None = None


def inspect(data: bytes, codec: str) -> CodedFacts:
    """
    Args:
        codec: "vp8", or "h264" with start codes.
    """
    if codec == "h264":
        starts = data.split(b"\0\0\1")[1:]
        return CodedFacts(any(unit and unit[0] & 0x1F == _IDR for unit in starts))
    key = bool(data) and not data[0] & 1
    if key and data[3:6] == _VP8_START and len(data) >= 10:
        width, height = (int.from_bytes(data[at : at + 2], "little") & 0x3FFF for at in (6, 8))
        return CodedFacts(True, (width, height))
    return CodedFacts(key)


def picture(frame: rtc.VideoFrame, at_us: int) -> VideoFrame:
    """An I420 frame of the SDK; odd sizes lose a column or a row."""
    width, height = frame.width, frame.height
    half_w, half_h = (width + 1) // 2, (height + 1) // 2
    data = np.frombuffer(frame.data, np.uint8)
    y = data[: width * height].reshape(height, width)
    chroma = data[width * height :][: 2 * half_w * half_h].reshape(2, half_h, half_w)
    even_w, even_h = width & ~1, height & ~1
    planes = [
        y[:even_h, :even_w].reshape(-1),
        chroma[:, : even_h // 2, : even_w // 2].reshape(-1),
    ]
    stacked = np.concatenate(planes).reshape(even_h * 3 // 2, even_w)
    found = VideoFrame.from_ndarray(stacked, format="yuv420p")
    found.pts, found.time_base = at_us, Fraction(1, 1_000_000)
    return found


def sound(frame: rtc.AudioFrame, first_sample: int) -> AudioFrame:
    """A mono frame of the SDK at 48 kHz.

    Args:
        first_sample: how many came before it.
    """
    samples = np.frombuffer(frame.data, np.int16).reshape(1, -1)
    found = AudioFrame.from_ndarray(samples, format="s16", layout="mono")
    found.sample_rate = RATE_HZ
    found.pts, found.time_base = first_sample, Fraction(1, RATE_HZ)
    return found


class SoundOut:
    """What an audio track of ours gives, Opus packets or frames, as the mono PCM of the SDK."""

    def __init__(self) -> None:
        self._opus: AudioCodecContext = AudioCodecContext.create("opus", "r")
        self._resampler = AudioResampler(format="s16", layout="mono", rate=RATE_HZ)

    def convert(self, given: "Packet[Any] | AudioFrame") -> list[rtc.AudioFrame]:
        """
        Raises:
            av.FFmpegError: not Opus.
        """
        frames: Iterable[AudioFrame] = (
            [given] if isinstance(given, AudioFrame) else self._decode(given)
        )
        found = []
        for frame in frames:
            for part in self._resampler.resample(frame):
                samples = part.to_ndarray().reshape(-1).astype(np.int16, copy=False)
                found.append(rtc.AudioFrame(samples.tobytes(), RATE_HZ, 1, len(samples)))
        return found

    def _decode(self, packet: "Packet[Any]") -> list[AudioFrame]:
        frames = self._opus.decode(packet)
        for frame in frames:
            frame.pts = None  # the resampler must not fill what the packets' times leave open
        return frames
