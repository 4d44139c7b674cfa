"""A room's tracks into data tracks: which ones, at what rate, and what the other end says.

::

    near room ──tracks──► streams ──AIC packets──► data tracks of the link room
                            ▲ rates                        │
                            └── budget ◄── feedback ◄──────┘ aic.ctl
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Final, final

from auralink.codecs.errors import BitstreamError, InputError
from auralink.codecs.video.profiles import open_encoder
from auralink.codecs.video.protocol import VideoEncoder
from auralink.engine.inference.base import open_remote_base
from auralink.engine.inference.fallback_ladder import Move
from auralink.engine.link.budget import OVERHEAD_BYTES, Budget, Share, allot
from auralink.engine.link.control import (
    TOPIC,
    Estimate,
    Hello,
    KeyRequest,
    StreamFeedback,
    StreamInfo,
    parse,
    write,
)
from auralink.engine.relay.layers import LayerChoice
from auralink.engine.relay.options import AUDIO_PREFIX, VIDEO_PREFIX, RelayOptions
from auralink.engine.relay.uplink_fallback import OpenFor, VideoFallback
from auralink.engine.relay.uplink_streams import AudioUplink, UplinkStream, VideoUplink, now_us
from auralink.engine.room.capture_time import ClockOffset
from auralink.engine.room.roster import (
    Change,
    RemoteTrack,
    TrackAdded,
    TrackChanged,
    TrackRefused,
    TrackRemoved,
)
from auralink.engine.room.transport import PublishedData, RoomTransport, VideoSink
from auralink.engine.room.video_in import VideoIn
from auralink.engine.tasks import spawn
from auralink.engine.timeline import NO_TIMELINE, Timeline
from auralink.models.codec_runtime import open_codec

_STEER_S: Final = 0.25
_KEY_EVERY_US: Final = 500_000  # requests of several receivers become one key
_LISTENER_US: Final = 3_000_000  # a receiver that was silent for so long may be replaced


@dataclass(slots=True)
class _Stream:
    info: StreamInfo
    data: PublishedData
    work: UplinkStream
    task: asyncio.Task[None]
    layers: LayerChoice | None = None  # of video
    listener: str = ""  # whose feedback steers repair: one receiver, the first
    heard_us: int = 0
    key_us: int = 0
    paused: bool = False  # sound only: the ladder is at its end


@dataclass(slots=True)
class UplinkCounts:
    left_alone: int = 0  # tracks beyond the bound, which had to wait for a place
    refused: int = 0  # tracks that the server does not send us
    bad_messages: int = 0


@final
class Uplink:
    """
    Args:
        near: where the tracks come from.
        link: where the data tracks go; may be the same room.
        encoder: opens a video encoder, always the same: there is no ladder of fallbacks then.
        open_for: opens the encoders of the ladder's upper rungs; by default with their native code
            in a process of its own.
    """

    def __init__(
        self,
        near: RoomTransport,
        link: RoomTransport,
        options: RelayOptions,
        *,
        encoder: Callable[[], VideoEncoder] | None = None,
        open_for: OpenFor | None = None,
        clock: Callable[[], float],
        timeline: Timeline = NO_TIMELINE,
    ) -> None:
        self.counts = UplinkCounts()
        self._near = near
        self._link = link
        self._options = options
        self._clock = clock
        self._timeline = timeline
        self._encoder = encoder
        self._open_for = open_for or self._in_own_process
        self._streams: dict[str, _Stream] = {}  # by track sid
        self._waiting: dict[str, RemoteTrack] = {}  # for a place, in the order they came
        self._publishers: dict[str, ClockOffset] = {}
        self._next = 1
        self._budget = Budget(most_bps=options.rate_bps, start_bps=options.start_bps)

    @property
    def streams(self) -> dict[str, UplinkStream]:
        """By sid of the original track."""
        return {sid: stream.work for sid, stream in self._streams.items()}

    @property
    def budget(self) -> Budget:
        return self._budget

    def want_key(self, sid: str | None = None) -> int:
        """Make a stream, or all of them, decodable anew; how many it was."""
        wanted = [stream for key, stream in self._streams.items() if sid in (None, key)]
        for stream in wanted:
            self._key(stream)
        return len(wanted)

    def force_rung(self, sid: str, name: str | None) -> bool:
        """Hold a video track on a rung of its ladder, or let it move by itself again.

        Raises:
            KeyError: no rung has that name.
        """
        stream = self._streams.get(sid)
        work = None if stream is None else stream.work
        if not isinstance(work, VideoUplink) or work.fallback is None:
            return False
        work.fallback.force(name)
        return True

    async def run(self) -> None:
        """Steer the rates, until cancelled."""
        try:
            while True:
                await asyncio.sleep(_STEER_S)
                self._budget.tick(now_us())
                self._fill()
                self._steer()
                self._choose_layers()
        finally:
            for sid in list(self._streams):
                self._end(sid)

    # -- the near room ---------------------------------------------------------------------------

    def changed(self, change: Change) -> None:
        match change:
            case TrackAdded(track) if self._options.takes(track):
                self._begin(track)
            case TrackChanged(track) if track.sid in self._streams:
                self._announce(self._streams[track.sid], track)
            case TrackChanged(track) if track.sid in self._waiting:
                self._waiting[track.sid] = track
            case TrackRemoved(track):
                self._waiting.pop(track.sid, None)
                self._end(track.sid)
            case TrackRefused(sid) if sid in self._streams:
                self.counts.refused += 1
                self._end(sid)
            case _:
                pass

    def _begin(self, track: RemoteTrack) -> None:
        if track.sid in self._streams:
            return
        if len(self._streams) >= self._options.max_streams:
            self.counts.left_alone += 1
            self._waiting[track.sid] = track
            return
        number, self._next = self._next, self._next % 0xFFFF + 1
        publisher = self._publishers.setdefault(track.identity, ClockOffset())
        work: UplinkStream
        if track.kind == "video":
            data = self._link.publish_data(f"{VIDEO_PREFIX}{number}")
            video = VideoIn(self._clock, publisher)
            share = self._budget.total_bps // 2
            fallback = VideoFallback(self._options, self._open_for, now_us())
            work = VideoUplink(
                video,
                data,
                self._encoder or fallback.open,
                bitrate_bps=share,
                fallback=None if self._encoder else fallback,
                moved=partial(self._moved, track.sid, video.push),
                timeline=self._timeline,
                row=f"uplink video {number}",
            )
            self._near.subscribe_video(track.sid, video.push)
            self._near.wish_size(track.sid, self._options.size, round(self._options.fps))
        else:
            data = self._link.publish_data(f"{AUDIO_PREFIX}{number}")
            work = AudioUplink(
                data,
                publisher,
                bitrate_bps=self._options.audio_bps,
                frames_per_packet=self._options.frames_per_packet,
            )
            self._near.subscribe_audio(track.sid, work.push)
        task = spawn(work.run(), f"uplink {track.sid}", lambda error: self._end(track.sid))
        layers = LayerChoice(self._options.size) if track.kind == "video" else None
        stream = _Stream(_info(number, track), data, work, task, layers)
        self._streams[track.sid] = stream
        self._steer()
        self._link.send_control(TOPIC, write(_told(stream)))

    def _fill(self) -> None:
        """Give free places to those who wait; not at once, for after a loss all tracks go."""
        while self._waiting and len(self._streams) < self._options.max_streams:
            sid = next(iter(self._waiting))
            self._begin(self._waiting.pop(sid))

    def _moved(self, sid: str, sink: VideoSink, move: Move) -> None:
        """A smaller picture need not come in full from the room, and an unwanted one not at all."""
        stream = self._streams.get(sid)
        if stream is None or not isinstance(stream.work, VideoUplink):
            return
        fallback = stream.work.fallback
        order = None if fallback is None else fallback.order
        if order is None:
            self._near.unsubscribe(sid)
        elif not move.before.video:
            self._near.subscribe_video(sid, sink)
        if order is not None:
            self._near.wish_size(sid, order.size, round(order.fps))
        stream.paused = order is None
        self._link.send_control(TOPIC, write(_told(stream)))

    def _in_own_process(self, options: RelayOptions) -> VideoEncoder:
        return open_encoder(
            options.profile,
            fps=options.fps,
            options=options.encoder,
            base=open_remote_base,
            clock=self._clock,
            neural=open_codec,
        )

    def _end(self, sid: str) -> None:
        stream = self._streams.pop(sid, None)
        if stream is None:
            return
        stream.task.cancel()
        stream.data.unpublish()
        self._near.unsubscribe(sid)
        if not any(s.info.identity == stream.info.identity for s in self._streams.values()):
            self._publishers.pop(stream.info.identity, None)
        self._steer()

    def _announce(self, stream: _Stream, track: RemoteTrack) -> None:
        stream.info = _info(stream.info.stream, track)
        self._link.send_control(TOPIC, write(_told(stream)))

    # -- the link --------------------------------------------------------------------------------

    def control(self, identity: str, topic: str, payload: bytes) -> None:
        if topic != TOPIC:
            return
        try:
            message = parse(payload)
        except (BitstreamError, InputError):
            self.counts.bad_messages += 1
            return
        match message:
            case Hello():
                for stream in self._streams.values():
                    self._link.send_control(TOPIC, write(_told(stream)), to=[identity])
                    self._key(stream)
            case KeyRequest(number):
                if (found := self._numbered(number)) is not None:
                    self._key(found)
            case StreamFeedback(number, feedback):
                found = self._numbered(number)
                if found is None:
                    return
                at_us = now_us()
                if found.listener != identity and at_us - found.heard_us > _LISTENER_US:
                    found.listener = identity
                if found.listener == identity:
                    found.heard_us = at_us
                    found.work.hear(feedback)
                elif feedback.report.stuck:
                    self._key(found)
            case Estimate(rate_bps, loss):
                self._budget.hear(now_us(), estimate_bps=rate_bps, loss=loss)
                self._steer()
            case _:
                pass

    def _key(self, stream: _Stream) -> None:
        if now_us() - stream.key_us >= _KEY_EVERY_US:
            stream.key_us = now_us()
            stream.work.want_key()

    def _choose_layers(self) -> None:
        at_us, fps = now_us(), round(self._options.fps)
        for sid, stream in self._streams.items():
            work, layers = stream.work, stream.layers
            if layers is None or not isinstance(work, VideoUplink) or work.sizes is None:
                continue
            frame, coded = work.sizes
            if layers.update(at_us, frame=frame, coded=coded, bitrate_bps=work.bitrate_bps):
                self._near.wish_size(sid, layers.size, fps)

    def _numbered(self, number: int) -> _Stream | None:
        for stream in self._streams.values():
            if stream.info.stream == number:
                return stream
        return None

    def _steer(self) -> None:
        video = [s for s in self._streams.values() if s.info.kind == "video" and not s.info.muted]
        audio = sum(s.info.kind == "audio" for s in self._streams.values())
        given = allot(
            self._budget.total_bps,
            audio * _audio_bps(self._options),
            {stream.info.stream: Share() for stream in video},
        )
        for stream in video:
            stream.work.steer(given[stream.info.stream])


def _audio_bps(options: RelayOptions) -> int:
    """Of one track, headers included."""
    packets = 50 / options.frames_per_packet
    return round(options.audio_bps + packets * 8 * (OVERHEAD_BYTES + 9 + options.frames_per_packet))


def _told(stream: _Stream) -> StreamInfo:
    """To its receivers a stream without pictures is a muted one."""
    return replace(stream.info, muted=stream.info.muted or stream.paused)


def _info(number: int, track: RemoteTrack) -> StreamInfo:
    return StreamInfo(
        stream=number,
        kind=track.kind,
        track=track.sid,
        identity=track.identity,
        name=track.name[:200],
        source=track.source,
        width=min(track.width, 65_535),
        height=min(track.height, 65_535),
        muted=track.muted,
    )
