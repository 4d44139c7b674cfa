"""Sound in: frames of any layout and length to blocks of 20 ms, 48 kHz, mono."""

from dataclasses import dataclass
from typing import Final, final

import numpy as np
import numpy.typing as npt
from av.audio.frame import AudioFrame
from av.audio.resampler import AudioResampler

RATE_HZ: Final = 48_000
BLOCK: Final = 960
# A gap in the stream that is longer than this is not filled: the clock jumps.
_MOST_FILLED: Final = 5 * BLOCK


@dataclass(frozen=True, slots=True)
class Block:
    samples: npt.NDArray[np.int16]  # (BLOCK,)
    stream_us: int  # of the first sample, on the stream's own clock


@final
class AudioBlocks:
    def __init__(self) -> None:
        self._resampler = AudioResampler(format="s16", layout="mono", rate=RATE_HZ)
        self._rest = np.zeros(0, np.int16)
        self._next: int | None = None  # time of the sample after the rest, in samples

    def push(self, frame: AudioFrame) -> list[Block]:
        """Enter a decoded frame; small gaps become silence."""
        samples = np.concatenate(
            [part.to_ndarray().reshape(-1) for part in self._resampler.resample(frame)]
            or [np.zeros(0, np.int16)]
        ).astype(np.int16, copy=False)
        at = self._time(frame)
        if self._next is not None and at != self._next:
            gap = at - self._next
            if 0 < gap <= _MOST_FILLED:
                samples = np.concatenate([np.zeros(gap, np.int16), samples])
                at = self._next
            else:
                self._rest = np.zeros(0, np.int16)
        at -= len(self._rest)
        samples = np.concatenate([self._rest, samples])
        blocks = []
        whole = len(samples) // BLOCK * BLOCK
        for start in range(0, whole, BLOCK):
            stream_us = round((at + start) * 1_000_000 / RATE_HZ)
            blocks.append(Block(samples[start : start + BLOCK], stream_us))
        self._rest = samples[whole:]
        self._next = at + len(samples)
        return blocks

    def _time(self, frame: AudioFrame) -> int:
        if frame.pts is None or frame.time_base is None:
            return self._next or 0
        return round(frame.pts * frame.time_base * RATE_HZ)
