"""What a participant publishes through LiveKit's own SDK, kept as wishes that can be repeated."""

import asyncio
import contextlib
from collections import deque
from collections.abc import Callable, Coroutine
from typing import Any, Final, TypeAlias, final

import av
from aiortc import MediaStreamTrack
from aiortc.mediastreams import MediaStreamError
from av import AudioFrame
from av.packet import Packet
from livekit import rtc
from livekit.rtc.participant import UnpublishTrackError

from auralink.codecs.errors import InputError
from auralink.engine.room.data_packet import MAX_BYTES
from auralink.engine.room.sdk_media import RATE_HZ, SoundOut, inspect
from auralink.engine.room.transport import AudioOffer, VideoOffer

# Starts work by a name and keeps it.
Start: TypeAlias = Callable[[Coroutine[Any, Any, None], str], asyncio.Task[None]]

_SOURCES: Final = {
    "camera": rtc.TrackSource.SOURCE_CAMERA,
    "microphone": rtc.TrackSource.SOURCE_MICROPHONE,
    "screen_share": rtc.TrackSource.SOURCE_SCREENSHARE,
    "screen_share_audio": rtc.TrackSource.SOURCE_SCREENSHARE_AUDIO,
}
_CODECS: Final = {"vp8": rtc.VideoCodec.VP8, "h264": rtc.VideoCodec.H264}
# The SDK keeps the newest packet only and says nothing of the others: of twelve at once, one
# arrives; half a millisecond apart, all do.
_SPACING_S: Final = 0.001
_PACKETS: Final = 64  # waiting for their turn
_SOUND_MS: Final = 200  # waiting in the SDK; the track's own queue drops what is beyond


@final
class SdkMedia:
    """One audio or video track: a `Published`."""

    def __init__(
        self, offer: VideoOffer | AudioOffer, start: Start, forget: Callable[["SdkMedia"], None]
    ) -> None:
        if isinstance(offer, VideoOffer) and offer.codec not in _CODECS:
            raise InputError(f"the SDK takes vp8 and h264, not {offer.codec}")
        self.sid = ""
        self._offer = offer
        self._start = start
        self._forget = forget
        self._room: rtc.Room | None = None
        self._local: rtc.LocalTrack | None = None
        self._media: MediaStreamTrack | None = None
        self._task: asyncio.Task[None] | None = None
        self._muted = False

    def announce(self, room: rtc.Room) -> None:
        """Publish it in a room that was joined just now."""
        self.withdraw()
        self._room = room
        work = self._video if isinstance(self._offer, VideoOffer) else self._audio
        self._task = self._start(work(room), f"publish {self._offer.name}")

    def withdraw(self) -> None:
        """The room is gone, or this track shall be."""
        task, self._task = self._task, None
        media, self._media = self._media, None
        if task is not None:
            task.cancel()
        if media is not None:
            media.stop()
        self._local = None
        self.sid = ""

    def mute(self, muted: bool) -> None:
        self._muted = muted
        local = self._local
        if isinstance(local, rtc.LocalVideoTrack | rtc.LocalAudioTrack):
            (local.mute if muted else local.unmute)()

    def unpublish(self) -> None:
        room, sid = self._room, self.sid
        self.withdraw()
        self._forget(self)
        if room is not None and sid:
            self._start(_unpublish(room, sid), f"unpublish {sid}")

    async def _video(self, room: rtc.Room) -> None:
        offer = self._offer
        assert isinstance(offer, VideoOffer)
        size = offer.size
        source = rtc.EncodedVideoSource(*size)
        local = rtc.LocalVideoTrack.create_video_track(offer.name, source)
        options = rtc.TrackPublishOptions(
            source=_SOURCES.get(offer.source, rtc.TrackSource.SOURCE_UNKNOWN),
            simulcast=False,
            video_codec=_CODECS[offer.codec],
            video_encoder=rtc.VideoEncoderBackend.ENCODER_BACKEND_PRE_ENCODED,
            video_encoding=rtc.VideoEncoding(max_bitrate=offer.bitrate_bps, max_framerate=60.0),
        )
        media = await self._publish(room, local, options)
        while True:
            packet = await _next(media)
            if packet is None:
                return
            if not isinstance(packet, Packet) or packet.pts is None or packet.time_base is None:
                raise InputError("through the SDK, video tracks give coded packets with a time")
            data = bytes(packet)
            facts = inspect(data, offer.codec)
            size = facts.size or size
            source.capture_frame(
                rtc.EncodedVideoFrame(
                    data=data,
                    width=size[0],
                    height=size[1],
                    codec=_CODECS[offer.codec],
                    frame_type=rtc.EncodedFrameType.ENCODED_FRAME_KEY
                    if facts.key
                    else rtc.EncodedFrameType.ENCODED_FRAME_DELTA,
                    timestamp_us=round(packet.pts * packet.time_base * 1_000_000),
                )
            )
            if source.take_feedback().keyframe_requested:
                offer.key_wanted()

    async def _audio(self, room: rtc.Room) -> None:
        source = rtc.AudioSource(RATE_HZ, 1, queue_size_ms=_SOUND_MS)
        local = rtc.LocalAudioTrack.create_audio_track(self._offer.name, source)
        options = rtc.TrackPublishOptions(
            source=_SOURCES.get(self._offer.source, rtc.TrackSource.SOURCE_UNKNOWN), red=False
        )
        media = await self._publish(room, local, options)
        out = SoundOut()
        while True:
            given = await _next(media)
            if given is None:
                return
            if not isinstance(given, Packet | AudioFrame):
                raise InputError("audio tracks give Opus packets or frames")
            with contextlib.suppress(av.FFmpegError):  # a broken frame is a gap
                for frame in out.convert(given):
                    await source.capture_frame(frame)

    async def _publish(
        self, room: rtc.Room, local: rtc.LocalTrack, options: rtc.TrackPublishOptions
    ) -> MediaStreamTrack:
        published = await room.local_participant.publish_track(local, options)
        self._local = local
        self.sid = published.sid
        if self._muted:
            self.mute(True)
        self._media = self._offer.make_track()
        return self._media


@final
class SdkData:
    """One data track: a `PublishedData`."""

    def __init__(self, name: str, start: Start, forget: Callable[["SdkData"], None]) -> None:
        self.sid = ""
        self.dropped = 0
        self._name = name
        self._start = start
        self._forget = forget
        self._track: rtc.LocalDataTrack | None = None
        self._task: asyncio.Task[None] | None = None
        self._waiting: deque[rtc.DataTrackFrame] = deque()
        self._arrived = asyncio.Event()

    @property
    def buffered_bytes(self) -> int:
        return sum(len(frame.payload) for frame in self._waiting)

    def announce(self, room: rtc.Room) -> None:
        self.withdraw()
        self._task = self._start(self._run(room), f"publish {self._name}")

    def withdraw(self) -> None:
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
        self._track, self.sid = None, ""
        self._waiting.clear()

    def send(self, payload: bytes, timestamp: int) -> bool:
        if len(payload) > MAX_BYTES:
            raise InputError(f"data-track packet of {len(payload)} bytes: at most {MAX_BYTES}")
        if self._track is None or len(self._waiting) >= _PACKETS:
            self.dropped += 1
            return False
        # The header's time is the SDK's own, so ours travels beside it, in microseconds.
        frame = rtc.DataTrackFrame(payload=payload, user_timestamp=timestamp * 100 // 9)
        self._waiting.append(frame)
        self._arrived.set()
        return True

    def unpublish(self) -> None:
        track = self._track
        self.withdraw()
        self._forget(self)
        if track is not None:
            self._start(track.unpublish(), f"unpublish {self._name}")

    async def _run(self, room: rtc.Room) -> None:
        track = await room.local_participant.publish_data_track(name=self._name)
        self._track, self.sid = track, track.info.sid
        while True:
            await self._arrived.wait()
            self._arrived.clear()
            while self._waiting:
                try:
                    track.try_push(self._waiting.popleft())
                except rtc.PushFrameError:
                    self.dropped += 1
                await asyncio.sleep(_SPACING_S)


async def _next(media: MediaStreamTrack) -> object | None:
    """None: the track was stopped."""
    try:
        found: object = await media.recv()
    except MediaStreamError:
        return None
    return found


async def _unpublish(room: rtc.Room, sid: str) -> None:
    with contextlib.suppress(UnpublishTrackError):  # the room may be gone already
        await room.local_participant.unpublish_track(sid)
