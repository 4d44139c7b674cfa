"""Data tracks back into ordinary tracks.

::

    link room ──data tracks──► streams ──pictures, Opus──► tracks of the far room
                  │               │
                  │ times         └── feedback ──► aic.ctl
                  └──► estimate of the link ─────►
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Final, TypeAlias, final

from auralink.codecs.base.native import NativeCodec
from auralink.codecs.base.native import open_encoder as open_native
from auralink.codecs.base.protocol import BaseEncoder
from auralink.codecs.errors import BitstreamError, InputError
from auralink.codecs.frame import Frame
from auralink.codecs.video.profiles import open_decoder
from auralink.codecs.video.protocol import VideoDecoder
from auralink.engine.link.budget import OVERHEAD_BYTES
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
from auralink.engine.link.delay_estimate import DelayEstimate
from auralink.engine.link.playout import Playout
from auralink.engine.link.resending import Feedback
from auralink.engine.relay.downlink_streams import (
    AudioDownlink,
    DownlinkStream,
    Restorer,
    VideoDownlink,
)
from auralink.engine.relay.options import AUDIO_PREFIX, RESTORED, VIDEO_PREFIX
from auralink.engine.relay.uplink_streams import now_us
from auralink.engine.room.audio_out import AudioOut
from auralink.engine.room.data_packet import DataPacket
from auralink.engine.room.roster import Change, DataTrackAdded, DataTrackRemoved
from auralink.engine.room.transport import (
    AudioOffer,
    Published,
    RoomTransport,
    VideoOffer,
)
from auralink.engine.room.video_out import VideoOut
from auralink.engine.tasks import spawn
from auralink.engine.timeline import NO_TIMELINE, Timeline

MAX_STREAMS: Final = 32  # of all senders together
_ESTIMATE_S: Final = 0.25
_START_BPS: Final = 150_000  # what a sender tries first, too
_HELLO_S: Final = 1.0  # until a stream's description is there
# What a picture deserves on the last, wide stretch: bits per pixel and frame.
_BITS_PER_PIXEL: Final = 0.12
_LEAST_BPS, _MOST_BPS = 200_000, 4_000_000
_TICKS: Final = 1 << 32

# Of that codec, at so many pictures per second.
OpenNative: TypeAlias = Callable[[NativeCodec, float], BaseEncoder]


@dataclass(slots=True)
class _Stream:
    sender: str
    number: int
    work: DownlinkStream
    task: asyncio.Task[None]
    published: Published | None = None
    out: VideoOut | AudioOut | None = None
    info: StreamInfo | None = None
    hello_us: int = 0


@final
class _Sender:
    """What is common to all streams of one uplink."""

    def __init__(self) -> None:
        self.playout = Playout()
        self.estimate = DelayEstimate(start_bps=_START_BPS)
        self.packets = 0
        self._ticks: int | None = None
        self._sent_ticks = 0
        self._frames: dict[int, int] = {}  # newest data-track frame by handle
        self._expected = 0
        self._got = 0

    def packet(self, packet: DataPacket, at_us: int, size: int) -> None:
        self.packets += 1
        if self._ticks is not None:
            step = (packet.timestamp - self._ticks) % _TICKS
            self._sent_ticks += step if step < _TICKS // 2 else step - _TICKS
        self._ticks = packet.timestamp
        self.estimate.packet(self._sent_ticks * 100 // 9, at_us, size)
        newest = self._frames.get(packet.handle)
        self._got += 1
        if newest is None:
            self._frames[packet.handle] = packet.frame
            self._expected += 1
            return
        step = (packet.frame - newest) % 65_536
        if step < 32_768:
            self._expected += step
            self._frames[packet.handle] = packet.frame

    def loss(self) -> float:
        """Share of packets lost since the last call."""
        expected, got = self._expected, self._got
        self._expected = self._got = 0
        return max(0.0, 1 - got / expected) if expected else 0.0


@final
class Downlink:
    """
    Args:
        link: where the data tracks are.
        far: where the restored tracks are published; may be the same room.
        codec: of the restored video tracks.
        identities: whose data tracks; empty: everybody's.
        restorer: makes the network of a stream, for pictures that the decoder leaves plain.
        native: opens the encoder of a restored track, in a worker thread.
    """

    def __init__(
        self,
        link: RoomTransport,
        far: RoomTransport,
        *,
        codec: NativeCodec = "vp8",
        fps: float = 30.0,
        identities: frozenset[str] = frozenset(),
        decoder: Callable[[], VideoDecoder] = open_decoder,
        restorer: Callable[[], Restorer] | None = None,
        native: OpenNative = open_native,
        timeline: Timeline = NO_TIMELINE,
    ) -> None:
        self._link = link
        self._far = far
        self._codec: NativeCodec = codec
        self._fps = fps
        self._identities = identities
        self._decoder = decoder
        self._restorer = restorer
        self._native = native
        self._timeline = timeline
        self._streams: dict[str, _Stream] = {}  # by sid of the data track
        self._senders: dict[str, _Sender] = {}
        self.left_alone = 0
        self.bad_messages = 0

    @property
    def streams(self) -> dict[str, DownlinkStream]:
        """By sid of the data track."""
        return {sid: stream.work for sid, stream in self._streams.items()}

    def want_key(self, sid: str | None = None) -> int:
        """Ask the sender to make a stream, or all of them, decodable anew; how many it was."""
        wanted = [stream for key, stream in self._streams.items() if sid in (None, key)]
        for stream in wanted:
            self._link.send_control(TOPIC, write(KeyRequest(stream.number)), to=[stream.sender])
        return len(wanted)

    async def run(self) -> None:
        """Report what the link carries, until cancelled."""
        try:
            while True:
                await asyncio.sleep(_ESTIMATE_S)
                for identity, sender in self._senders.items():
                    if sender.packets:
                        rate = round(sender.estimate.rate_bps)
                        message = Estimate(rate, sender.loss())
                        self._link.send_control(
                            TOPIC, write(message), to=[identity], reliable=False
                        )
                for stream in self._streams.values():
                    self._ask(stream)
        finally:
            for sid in list(self._streams):
                self._end(sid)

    # -- the link --------------------------------------------------------------------------------

    def changed(self, change: Change) -> None:
        match change:
            case DataTrackAdded(track):
                kind, number = _kind(track.name)
                wanted = not self._identities or track.identity in self._identities
                if kind and wanted and track.sid not in self._streams:
                    self._begin(track.sid, track.identity, kind, number)
            case DataTrackRemoved(track):
                self._end(track.sid)
            case _:
                pass

    def control(self, identity: str, topic: str, payload: bytes) -> None:
        if topic != TOPIC:
            return
        try:
            message = parse(payload)
        except (BitstreamError, InputError):
            self.bad_messages += 1
            return
        if isinstance(message, StreamInfo):
            for stream in self._streams.values():
                if (stream.sender, stream.number) == (identity, message.stream):
                    self._learn(stream, message)

    def _begin(self, sid: str, identity: str, kind: str, number: int) -> None:
        if len(self._streams) >= MAX_STREAMS:
            self.left_alone += 1
            return
        sender = self._senders.setdefault(identity, _Sender())
        work: DownlinkStream
        if kind == "video":
            work = VideoDownlink(
                number,
                sender.playout,
                self._decoder,
                partial(self._show, sid),
                partial(self._tell, identity, number),
                restorer=None if self._restorer is None else self._restorer(),
                timeline=self._timeline,
                row=f"downlink video {number}",
            )
        else:
            work = AudioDownlink(number, sender.playout, partial(self._play, sid))
        task = spawn(work.run(), f"downlink {sid}", lambda error: self._end(sid))
        stream = _Stream(identity, number, work, task)
        self._streams[sid] = stream
        self._link.subscribe_data(sid, partial(self._packet, stream, sender))
        self._ask(stream)

    def _end(self, sid: str) -> None:
        stream = self._streams.pop(sid, None)
        if stream is None:
            return
        stream.task.cancel()
        if stream.published is not None:
            stream.published.unpublish()
        if not any(other.sender == stream.sender for other in self._streams.values()):
            self._senders.pop(stream.sender, None)

    def _ask(self, stream: _Stream) -> None:
        """Without its description a stream cannot be published."""
        at_us = now_us()
        if stream.info is None and at_us - stream.hello_us > _HELLO_S * 1e6:
            stream.hello_us = at_us
            if not self._link.send_control(TOPIC, write(Hello()), to=[stream.sender]):
                stream.hello_us = 0

    def _learn(self, stream: _Stream, info: StreamInfo) -> None:
        before, stream.info = stream.info, info
        if stream.published is not None and before is not None and before.muted != info.muted:
            stream.published.mute(info.muted)
        if stream.published is None and info.kind == "audio":
            stream.published = self._far.publish_audio(
                AudioOffer(
                    name=f"{RESTORED}{info.identity}/{info.name}",
                    source=info.source,
                    make_track=partial(self._make_audio, stream),
                )
            )

    def _packet(self, stream: _Stream, sender: _Sender, packet: DataPacket) -> None:
        sender.packet(packet, now_us(), len(packet.payload) + OVERHEAD_BYTES)
        stream.work.push(packet.payload)

    def _tell(self, identity: str, number: int, feedback: Feedback) -> None:
        # The next one says all that this one does: waiting for a lost one would only be late.
        message = write(StreamFeedback(number, feedback))
        self._link.send_control(TOPIC, message, to=[identity], reliable=False)

    # -- the far room ----------------------------------------------------------------------------

    def _show(self, sid: str, frame: Frame) -> None:
        stream = self._streams.get(sid)
        if stream is None or stream.info is None:
            return
        if stream.published is None:
            # Not before the first picture: viewers would look at nothing.
            stream.published = self._publish_video(stream, stream.info, frame.size)
        if isinstance(stream.out, VideoOut):
            stream.out.show(frame)

    def _play(self, sid: str, data: bytes, pts_us: int) -> None:
        stream = self._streams.get(sid)
        if stream is not None and isinstance(stream.out, AudioOut):
            stream.out.play(data, pts_us)

    def _publish_video(self, stream: _Stream, info: StreamInfo, size: tuple[int, int]) -> Published:
        rate = round(size[0] * size[1] * self._fps * _BITS_PER_PIXEL)
        bitrate = min(max(rate, _LEAST_BPS), _MOST_BPS)

        def make() -> VideoOut:
            stream.out = VideoOut(
                partial(self._native, self._codec, self._fps), bitrate_bps=bitrate
            )
            return stream.out

        def out() -> VideoOut | None:
            return stream.out if isinstance(stream.out, VideoOut) else None

        def key_wanted() -> None:
            if (video := out()) is not None:
                video.want_key()

        def paused(pause: bool) -> None:
            if (video := out()) is not None:
                video.pause(pause)

        return self._far.publish_video(
            VideoOffer(
                name=f"{RESTORED}{info.identity}/{info.name}",
                source=info.source,
                codec=self._codec,
                size=size,
                bitrate_bps=bitrate,
                make_track=make,
                key_wanted=key_wanted,
                paused=paused,
            )
        )

    def _make_audio(self, stream: _Stream) -> AudioOut:
        stream.out = AudioOut()
        return stream.out


def _kind(name: str) -> tuple[str, int]:
    """Kind and number of the stream; empty for data tracks of others."""
    for prefix, kind in ((VIDEO_PREFIX, "video"), (AUDIO_PREFIX, "audio")):
        digits = name.removeprefix(prefix)
        if digits != name and digits.isascii() and digits.isdigit() and int(digits) <= 0xFFFF:
            return kind, int(digits)
    return "", 0
