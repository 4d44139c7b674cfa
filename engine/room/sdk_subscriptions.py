"""What a participant takes through LiveKit's own SDK."""

import asyncio
import time
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, final

from livekit import rtc

from auralink.codecs.errors import InputError
from auralink.engine.room.data_packet import DataPacket
from auralink.engine.room.sdk_media import RATE_HZ, picture, sound
from auralink.engine.room.sdk_publications import Start
from auralink.engine.room.sdk_roster import SdkRoster
from auralink.engine.room.subscriptions import MAX_SUBSCRIBED
from auralink.engine.room.transport import AudioSink, DataSink, VideoSink

_PICTURES: Final = 2  # waiting; older ones are dropped by the SDK
_SOUNDS: Final = 50  # of 10 ms
_PACKETS: Final = 512
# A wish as a share of the track's height, and the simulcast layer next to it.
_HIGH, _MEDIUM = 0.75, 0.4
_TICKS: Final = 1 << 32


@dataclass(slots=True)
class _Taken:
    read: Callable[[rtc.RemoteTrack], Coroutine[Any, Any, None]]
    task: asyncio.Task[None] | None = None


@final
class SdkSubscriptions:
    """
    Args:
        roster: knows the SDK's object of every track.
        start: runs what reads a track.
    """

    def __init__(self, roster: SdkRoster, start: Start) -> None:
        self._roster = roster
        self._start = start
        self._media: dict[str, _Taken] = {}
        self._data: dict[str, asyncio.Task[None]] = {}
        self._next_handle = 1

    @property
    def count(self) -> int:
        return len(self._media) + len(self._data)

    def follow(self, room: rtc.Room) -> None:
        """Before it connects."""
        room.on("track_subscribed", self._subscribed)

    def video(self, sid: str, sink: VideoSink) -> None:
        self._check()
        self._media[sid] = _Taken(partial(_read_video, sink))
        self._ask(sid, wanted=True)

    def audio(self, sid: str, sink: AudioSink) -> None:
        self._check()
        self._media[sid] = _Taken(partial(_read_audio, sink))
        self._ask(sid, wanted=True)

    def data(self, sid: str, sink: DataSink) -> None:
        self._check()
        track = self._roster.data_track(sid)
        if track is not None and sid not in self._data:
            handle, self._next_handle = self._next_handle, self._next_handle % 0xFFFF + 1
            self._data[sid] = self._start(_read_data(track, handle, sink), f"data track {sid}")

    def end(self, sid: str) -> None:
        taken = self._media.pop(sid, None)
        task = self._data.pop(sid, None) if taken is None else taken.task
        if task is not None:
            task.cancel()
        if taken is not None:
            self._ask(sid, wanted=False)

    def wish_size(self, sid: str, size: tuple[int, int]) -> None:
        publication = self._roster.publication(sid)
        if publication is None or not publication.simulcasted or not publication.height:
            return
        share = size[1] / publication.height
        quality = rtc.VideoQuality.VIDEO_QUALITY_LOW
        if share >= _HIGH:
            quality = rtc.VideoQuality.VIDEO_QUALITY_HIGH
        elif share >= _MEDIUM:
            quality = rtc.VideoQuality.VIDEO_QUALITY_MEDIUM
        publication.set_video_quality(quality)

    async def close(self) -> None:
        """The room is gone: nothing is taken any more."""
        tasks = [taken.task for taken in self._media.values() if taken.task is not None]
        tasks += self._data.values()
        self._media.clear()
        self._data.clear()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _ask(self, sid: str, *, wanted: bool) -> None:
        publication = self._roster.publication(sid)
        if publication is not None:
            publication.set_subscribed(wanted)

    def _subscribed(
        self,
        track: rtc.RemoteTrack,
        publication: rtc.RemoteTrackPublication,
        person: rtc.RemoteParticipant,
    ) -> None:
        taken = self._media.get(publication.sid)
        if taken is None:
            return
        if taken.task is not None:
            taken.task.cancel()
        taken.task = self._start(taken.read(track), f"track {publication.sid}")

    def _check(self) -> None:
        if self.count >= MAX_SUBSCRIBED:
            raise InputError(f"a participant takes at most {MAX_SUBSCRIBED} tracks here")


async def _read_video(sink: VideoSink, track: rtc.RemoteTrack) -> None:
    stream = rtc.VideoStream(track, capacity=_PICTURES, format=rtc.VideoBufferType.I420)
    try:
        async for event in stream:
            if event.frame.width < 2 or event.frame.height < 2:
                continue
            # Copies of large pictures: not on the event loop.
            found = await asyncio.to_thread(picture, event.frame, event.timestamp_us)
            sink(found, None)
    finally:
        await stream.aclose()


async def _read_audio(sink: AudioSink, track: rtc.RemoteTrack) -> None:
    stream = rtc.AudioStream(track, sample_rate=RATE_HZ, num_channels=1, capacity=_SOUNDS)
    samples = 0
    try:
        async for event in stream:
            sink(sound(event.frame, samples), None)
            samples += event.frame.samples_per_channel
    finally:
        await stream.aclose()


async def _read_data(track: rtc.RemoteDataTrack, handle: int, sink: DataSink) -> None:
    """The SDK gives payloads only: numbers count what arrived, so losses do not show."""
    number = 0
    stream = track.subscribe(buffer_size=_PACKETS)
    try:
        async for frame in stream:
            user_us = frame.user_timestamp
            at_us = round(time.monotonic() * 1e6) if user_us is None else user_us
            sink(
                DataPacket(
                    handle=handle,
                    sequence=number & 0xFFFF,
                    frame=number & 0xFFFF,
                    timestamp=at_us * 9 // 100 % _TICKS,
                    user_us=user_us,
                    payload=frame.payload,
                )
            )
            number += 1
    finally:
        stream.close()
