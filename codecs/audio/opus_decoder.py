"""Opus frames of 20 ms back to samples, through PyAV's libopus."""

from typing import final

import av
import numpy as np
from av.audio.codeccontext import AudioCodecContext

from auralink.codecs.audio.opus import FRAME_SAMPLES, RATE_HZ, Samples
from auralink.codecs.errors import DecoderError, UnsupportedError


@final
class OpusDecoder:
    """
    Raises:
        UnsupportedError: this PyAV has no libopus.
    """

    def __init__(self) -> None:
        try:
            context = av.CodecContext.create("libopus", "r")
        except (ValueError, av.FFmpegError) as missing:
            raise UnsupportedError("this PyAV was built without libopus") from missing
        assert isinstance(context, AudioCodecContext)
        context.sample_rate = RATE_HZ
        context.layout = "mono"
        self._context = context

    def decode(self, data: bytes) -> Samples:
        """
        Raises:
            DecoderError: these bytes are no Opus frame of 20 ms.
        """
        try:
            frames = self._context.decode(av.Packet(data))
        except av.FFmpegError as refused:
            raise DecoderError(f"no Opus frame: {refused.strerror}") from refused
        samples = [frame.to_ndarray().reshape(-1) for frame in frames]
        count = sum(map(len, samples))
        if count != FRAME_SAMPLES:
            raise DecoderError(f"an Opus frame of {count} samples: {FRAME_SAMPLES} are 20 ms")
        return np.concatenate(samples).astype(np.int16, copy=False)
