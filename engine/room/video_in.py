"""Pictures in: the newest decoded frame of a track, turned into ours in a worker thread."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import final

from av.video.frame import VideoFrame

from auralink.codecs.base.pyav_frames import to_i420
from auralink.codecs.errors import InputError
from auralink.codecs.frame import Frame
from auralink.engine.room.capture_time import CaptureTimes, ClockOffset


@dataclass(slots=True)
class VideoInCounts:
    taken: int = 0
    replaced: int = 0  # by a newer picture before anybody took them
    unusable: int = 0


@final
class VideoIn:
    """A mailbox of one picture; `push` is a `VideoSink`.

    Args:
        clock: seconds, monotonic; all tracks of a call must share it to stay in step.
        publisher: offset of the publisher's clock, common to its tracks.
    """

    def __init__(self, clock: Callable[[], float], publisher: ClockOffset | None = None) -> None:
        self.counts = VideoInCounts()
        self._clock = clock
        self._times = CaptureTimes(publisher or ClockOffset())
        self._newest: tuple[VideoFrame, int] | None = None
        self._arrived = asyncio.Event()

    def push(self, picture: VideoFrame, capture_us: int | None = None) -> None:
        now_us = round(self._clock() * 1e6)
        stream_us = now_us
        if picture.pts is not None and picture.time_base is not None:
            stream_us = round(picture.pts * picture.time_base * 1_000_000)
        self.counts.replaced += self._newest is not None
        self._newest = picture, self._times.at(stream_us, capture_us, now_us)
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
