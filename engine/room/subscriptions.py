"""Tracks that this participant takes: which section carries which, and who gets the frames."""

import asyncio
from collections.abc import Callable
from itertools import filterfalse
from typing import Final, final

from aiortc import MediaStreamTrack, RTCRtpReceiver
from aiortc.mediastreams import MediaStreamError
from av.audio.frame import AudioFrame
from av.video.frame import VideoFrame
from livekit.protocol import rtc

from auralink.engine.room.compat import PublisherClock, count_bytes
from auralink.engine.room.data_packet import DataPacket
from auralink.engine.room.lossy_tracks import is_lossy
from auralink.engine.room.transport import AudioSink, DataSink, VideoSink
from auralink.engine.tasks import spawn

MAX_SUBSCRIBED: Final = 100
# The server fills a section that lost its track with pictures of this size at most.
_LEAST_SIDE: Final = 16
_VIDEO_HZ: Final = 90_000
_AUDIO_HZ: Final = 48_000


@final
class Subscriptions:
    """
    Args:
        request: sends a signal request, now or when it can be sent.
    """

    def __init__(self, request: Callable[[rtc.SignalRequest], None]) -> None:
        self._request = request
        self._video: dict[str, VideoSink] = {}
        self._audio: dict[str, AudioSink] = {}
        self._data: dict[str, DataSink] = {}
        self._mapping: dict[str, str] = {}  # section -> track sid
        self._handles: dict[int, str] = {}  # of data tracks
        self._readers: dict[str, asyncio.Task[None]] = {}
        self._clocks: dict[str, tuple[RTCRtpReceiver, PublisherClock]] = {}  # by section
        self._bytes: dict[str, int] = {}  # by track sid
        self.unknown_packets = 0  # data packets of handles nobody announced

    @property
    def count(self) -> int:
        return len(self._video) + len(self._audio) + len(self._data)

    def video(self, sid: str, sink: VideoSink) -> None:
        self._video[sid] = sink
        self._subscribe(sid, wanted=True)

    def audio(self, sid: str, sink: AudioSink) -> None:
        self._audio[sid] = sink
        self._subscribe(sid, wanted=True)

    def data(self, sid: str, sink: DataSink) -> None:
        self._data[sid] = sink
        self._subscribe_data(sid, wanted=True)

    def end(self, sid: str) -> None:
        if self._data.pop(sid, None) is not None:
            self._subscribe_data(sid, wanted=False)
            return
        self._bytes.pop(sid, None)
        if self._video.pop(sid, None) or self._audio.pop(sid, None):
            self._subscribe(sid, wanted=False)

    def received_bytes(self, sid: str) -> int | None:
        return self._bytes.get(sid)

    def gone(self, sid: str) -> None:
        """The publisher ended the track: there is nothing to tell the server."""
        self._bytes.pop(sid, None)
        for table in (self._video, self._audio, self._data):
            table.pop(sid, None)

    def sync(self, state: rtc.SyncState) -> None:
        state.subscription.track_sids.extend([*self._video, *self._audio])
        for sid in filterfalse(is_lossy, self._data):
            state.data_subscription.updates.add(track_sid=sid, subscribe=True)

    # -- what arrives ------------------------------------------------------------------------------

    def mapped(self, tracks: dict[str, str]) -> None:
        self._mapping = tracks

    def section(self, mid: str, receiver: RTCRtpReceiver, track: MediaStreamTrack) -> None:
        """A section that receives: read it for as long as it lives, whatever it carries."""
        before = self._readers.pop(mid, None)
        if before is not None:
            before.cancel()
        clock = self._clock(mid, receiver)
        # A sink of ours that fails must not stop what else comes through its section.
        self._readers[mid] = spawn(
            self._read(mid, track, clock),
            f"section {mid}",
            lambda error: self.section(mid, receiver, track),
        )

    def handles(self, message: rtc.DataTrackSubscriberHandles) -> None:
        self._handles = {handle: info.track_sid for handle, info in message.sub_handles.items()}

    def packet(self, packet: DataPacket) -> None:
        self.packet_of(self._handles.get(packet.handle, ""), packet)

    def packet_of(self, sid: str, packet: DataPacket) -> None:
        sink = self._data.get(sid)
        if sink is None:
            self.unknown_packets += 1
        else:
            sink(packet)

    async def close(self) -> None:
        """The peer connection is gone, and everything that was subscribed over it."""
        readers, self._readers = list(self._readers.values()), {}
        for reader in readers:
            reader.cancel()
        await asyncio.gather(*readers, return_exceptions=True)
        for table in (self._video, self._audio, self._data, self._mapping, self._handles):
            table.clear()
        self._clocks.clear()
        self._bytes.clear()

    # -- inside ------------------------------------------------------------------------------------

    def _clock(self, mid: str, receiver: RTCRtpReceiver) -> PublisherClock:
        """What listens to a receiver does so once: a section is read anew whenever a sink fails."""
        known = self._clocks.get(mid)
        if known is not None and known[0] is receiver:
            return known[1]
        count_bytes(receiver, lambda cost: self._count(mid, cost))
        clock = PublisherClock(receiver)
        self._clocks[mid] = receiver, clock
        return clock

    async def _read(self, mid: str, track: MediaStreamTrack, clock: PublisherClock) -> None:
        while True:
            try:
                frame = await track.recv()
            except MediaStreamError:
                return
            sid = self._mapping.get(mid, "")
            if isinstance(frame, VideoFrame):
                sink = self._video.get(sid)
                if sink and frame.width >= _LEAST_SIDE and frame.height >= _LEAST_SIDE:
                    sink(frame, clock.capture_us(frame.pts, _VIDEO_HZ))
            elif isinstance(frame, AudioFrame) and (listener := self._audio.get(sid)):
                listener(frame, clock.capture_us(frame.pts, _AUDIO_HZ))

    def _count(self, mid: str, cost: int) -> None:
        sid = self._mapping.get(mid, "")
        if sid in self._video or sid in self._audio:
            self._bytes[sid] = self._bytes.get(sid, 0) + cost

    def _subscribe(self, sid: str, *, wanted: bool) -> None:
        request = rtc.UpdateSubscription(track_sids=[sid], subscribe=wanted)
        self._request(rtc.SignalRequest(subscription=request))

    def _subscribe_data(self, sid: str, *, wanted: bool) -> None:
        if is_lossy(sid):
            return  # its packets come to everybody, unasked
        request = rtc.UpdateDataSubscription()
        request.updates.add(track_sid=sid, subscribe=wanted)
        self._request(rtc.SignalRequest(update_data_subscription=request))
