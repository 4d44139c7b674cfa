"""Pictures in: the newest decoded frame of a track, turned into ours in a worker thread."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, final

from av.video.frame import VideoFrame

from auralink.codecs.base.pyav_frames import to_i420
from auralink.codecs.errors import InputError
from auralink.codecs.frame import Frame

# A stream's own clock may be trusted this far against ours; beyond, it is another stream.
_JUMP_US: Final = 2_000_000
_LEAST_STEP_US: Final = 1_000
# Two quartz clocks differ by less than this share; a stream that is early now may be late by then.
_DRIFT: Final = 1 / 1_000


@dataclass(slots=True)
class VideoInCounts:
    taken: int = 0
    replaced: int = 0  # by a newer picture before anybody took them
    unusable: int = 0


@final
class CaptureClock:
    """The capture time of frames on our own clock, monotonic whatever the stream does.  Pure.

    Differences are those of the stream; where its times jump, the arrival says where it stands.
    """

    def __init__(self) -> None:
        self._offset_us: int | None = None
        self._now_us = 0
        self._last_us = -_LEAST_STEP_US

    def at(self, stream_us: int, now_us: int) -> int:
        """
        Args:
            stream_us: the stream's time of the frame.
            now_us: arrival, microseconds of a monotonic clock.
        """
        arrival = now_us - stream_us
        offset = self._offset_us
        if offset is None or abs(offset - arrival) > _JUMP_US:
            offset = arrival
        # Nothing arrives before it was captured, so the least delayed frame is the truest.
        drift = round((now_us - self._now_us) * _DRIFT)
        offset = min(offset + drift, arrival)
        self._offset_us, self._now_us = offset, now_us
        at = max(stream_us + offset, self._last_us + _LEAST_STEP_US)
        self._last_us = at
        return at


@final
class VideoIn:
    """A mailbox of one picture; `push` is a `VideoSink`.

    Args:
        clock: seconds, monotonic; all tracks of a call must share it to stay in step.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self.counts = VideoInCounts()
        self._clock = clock
        self._times = CaptureClock()
        self._newest: tuple[VideoFrame, int] | None = None
        self._arrived = asyncio.Event()

    def push(self, picture: VideoFrame) -> None:
        now_us = round(self._clock() * 1e6)
        stream_us = now_us
        if picture.pts is not None and picture.time_base is not None:
            stream_us = round(picture.pts * picture.time_base * 1_000_000)
        self.counts.replaced += self._newest is not None
        self._newest = picture, self._times.at(stream_us, now_us)
        self._arrived.set()

    async def take(self) -> Frame:
        """The newest picture, as soon as there is one that can be used."""
        while True:
            await self._arrived.wait()
            self._arrived.clear()
            newest, self._newest = self._newest, None
            if newest is None:
                continue
            picture, at_us = newest
            try:
                frame = await asyncio.to_thread(to_i420, picture, at_us)
            except InputError:
                self.counts.unusable += 1
                continue
            self.counts.taken += 1
            return frame
