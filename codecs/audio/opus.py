"""Opus through PyAV's libopus: 20 ms frames of 48 kHz mono speech in, coded frames out."""

from fractions import Fraction
from typing import Final, final

import av
import numpy as np
import numpy.typing as npt
from av.audio.codeccontext import AudioCodecContext

from auralink.codecs.errors import EncoderError, InputError, UnsupportedError

RATE_HZ: Final = 48_000
FRAME_US: Final = 20_000
FRAME_SAMPLES: Final = 960
MIN_BPS: Final = 6_000
MAX_BPS: Final = 64_000

Samples = npt.NDArray[np.int16]  # (FRAME_SAMPLES,)


@final
class OpusEncoder:
    """Speech settings, variable bit rate.

    Args:
        bitrate_bps: 6,000 to 64,000.

    Raises:
        InputError: another bit rate.
        UnsupportedError: this PyAV has no libopus.
    """

    def __init__(self, bitrate_bps: int) -> None:
        if not MIN_BPS <= bitrate_bps <= MAX_BPS:
            raise InputError(f"Opus at {bitrate_bps} bit/s: {MIN_BPS} to {MAX_BPS} can be used")
        try:
            context = av.CodecContext.create("libopus", "w")
        except (ValueError, av.FFmpegError) as missing:
            raise UnsupportedError("this PyAV was built without libopus") from missing
        assert isinstance(context, AudioCodecContext)
        context.sample_rate = RATE_HZ
        context.format = "s16"
        context.layout = "mono"
        context.bit_rate = bitrate_bps
        context.time_base = Fraction(1, RATE_HZ)
        context.options = {
            "application": "voip",
            "frame_duration": "20",
            "vbr": "on",
            "compression_level": "8",
        }
        self._context = context
        self._at = 0

    def encode(self, samples: Samples) -> bytes:
        """One frame for one frame; the library's look-ahead (6.5 ms) delays the signal.

        Raises:
            EncoderError: the library failed.
        """
        frame = av.AudioFrame.from_ndarray(samples.reshape(1, -1), format="s16", layout="mono")
        frame.sample_rate = RATE_HZ
        frame.pts = self._at
        frame.time_base = Fraction(1, RATE_HZ)
        self._at += len(samples)
        try:
            return b"".join(bytes(packet) for packet in self._context.encode(frame))
        except av.FFmpegError as failed:
            raise EncoderError(f"libopus failed: {failed}") from failed
