"""One track on its way into the link: video through an AIC encoder, sound as Opus frames."""

import asyncio
import logging
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Protocol, final

from av.audio.frame import AudioFrame

from auralink.codecs.audio.opus import OpusEncoder
from auralink.codecs.audio.packet import AudioPacket, write_packet
from auralink.codecs.errors import AuraLinkError
from auralink.codecs.frame import Frame
from auralink.codecs.video.protocol import Outcome, VideoEncoder
from auralink.engine.inference.fallback_ladder import Move
from auralink.engine.inference.outcome import FrameOutcome
from auralink.engine.link.budget import OVERHEAD_BYTES
from auralink.engine.link.resending import Feedback
from auralink.engine.link.sender import BURST_S, Sending, Sent, StreamSender
from auralink.engine.relay.uplink_fallback import VideoFallback
from auralink.engine.room.audio_in import RATE_HZ, AudioBlocks
from auralink.engine.room.capture_time import CaptureTimes, ClockOffset
from auralink.engine.room.transport import PublishedData
from auralink.engine.room.video_in import VideoIn
from auralink.engine.timeline import NO_TIMELINE, Span, Timeline

log = logging.getLogger(__name__)

# Packets leave at this multiple of the target: as fast as a link's estimate may be too low.
_PACE: Final = 1.5
_FLUSH_S: Final = 0.005
# Of a stream's bits; where headers want more, the frame rate is the thing to lower, and the rate
# ladder does so when the payload no longer pays for pictures.
_LEAST_PAYLOAD: Final = 0.4
_AUDIO_WAITING: Final = 10  # decoded frames that wait for the coder; more is lag
_RETRY_S: Final = 1.0  # after an encoder could not be opened


def now_us() -> int:
    """The clock that all streams of this process share."""
    return round(time.monotonic() * 1e6)


def stamp(at_us: int) -> int:
    """Time of sending for a data-track header, 90 kHz."""
    return at_us * 9 // 100 & 0xFFFF_FFFF


class UplinkStream(Protocol):
    async def run(self) -> None: ...

    def steer(self, bitrate_bps: int) -> None: ...

    def hear(self, feedback: Feedback) -> None: ...

    def want_key(self) -> None: ...

    def close(self) -> None: ...


@dataclass(slots=True)
class VideoCounts:
    outcomes: dict[str, int]
    failed: int = 0
    bytes: int = 0  # given to the data track
    refused: int = 0  # packets that the data track did not take


@final
class VideoUplink:
    """
    Args:
        open_encoder: called in a worker thread, and again after the encoder failed.
        fallback: opens the encoder instead, by the rung of its ladder.
        moved: hears of every move on the ladder.
        timeline: takes a frame's spans, on that row.
    """

    def __init__(
        self,
        video: VideoIn,
        data: PublishedData,
        open_encoder: Callable[[], VideoEncoder],
        *,
        bitrate_bps: int,
        fallback: VideoFallback | None = None,
        moved: Callable[[Move], None] = lambda move: None,
        timeline: Timeline = NO_TIMELINE,
        row: str = "uplink",
    ) -> None:
        self.counts = VideoCounts({})
        self.fallback = fallback
        self._moved = moved
        self._video = video
        self._data = data
        self._open = open_encoder if fallback is None else fallback.open
        self._timeline = timeline
        self._row = row
        self._bitrate_bps = bitrate_bps
        self._sender: StreamSender | None = None
        self._key_wanted = False
        self.sizes: tuple[tuple[int, int], tuple[int, int]] | None = None  # came in, was coded
        self._coding = False
        self._flusher: asyncio.Task[None] | None = None
        self._packets_per_s = 0.0
        self._counted = 0
        self._counted_us = now_us()

    @property
    def name(self) -> str:
        """The encoder in use."""
        return "" if self._sender is None else self._sender.name

    @property
    def bitrate_bps(self) -> int:
        """Allowed, headers of all layers included."""
        return self._bitrate_bps

    @property
    def answers(self) -> dict[str, int]:
        """How every picture that came has ended, by `FrameOutcome`; empty without a ladder."""
        if self.fallback is None:
            return {}
        answers = Counter(self.fallback.answers)
        answers[FrameOutcome.STALE] += self._video.counts.replaced
        return {outcome.value: count for outcome, count in answers.items() if count}

    def steer(self, bitrate_bps: int) -> None:
        """
        Args:
            bitrate_bps: for everything, headers of all layers included.
        """
        self._bitrate_bps = bitrate_bps
        if self.fallback is not None and self.fallback.order is None:
            self._wake(self.fallback)
        if self._sender is not None:
            headers = self._packets_per_s * OVERHEAD_BYTES * 8
            payload = round(max(bitrate_bps - headers, _LEAST_PAYLOAD * bitrate_bps))
            self._sender.steer(bitrate_bps=payload, pacing_bps=_PACE * payload)

    def hear(self, feedback: Feedback) -> None:
        if self._sender is not None:
            self._sender.hear(feedback)
            self._sender.answer(now_us())
            self._flush()

    def want_key(self) -> None:
        self._key_wanted = True

    async def run(self) -> None:
        """Code what comes, until cancelled."""
        try:
            while True:
                await self._one()
        finally:
            if self._coding and self.fallback is not None:
                self.fallback.answers[FrameOutcome.CLOSING] += 1
            await asyncio.to_thread(self.close)

    def close(self) -> None:
        if self._flusher is not None:
            self._flusher.cancel()
        sender, self._sender = self._sender, None
        if sender is not None:
            sender.close()

    async def _one(self) -> None:
        frame = await self._video.take()
        taken_us = now_us()
        self._coding = True
        await self._code(frame, taken_us)
        self._coding = False

    async def _code(self, frame: Frame, taken_us: int) -> None:
        if self.fallback is not None:
            await self._look(self.fallback, taken_us)
            if self.fallback.sets_aside() is not None:
                return
        try:
            if self._sender is None:
                encoder = await asyncio.to_thread(self._open)
                self._sender = StreamSender(
                    encoder, bitrate_bps=self._bitrate_bps, sending=Sending(burst_s=BURST_S)
                )
                self.steer(self._bitrate_bps)
            if self._key_wanted:
                self._key_wanted = False
                self._sender.want_key()
            sent = await asyncio.to_thread(self._encode, self._sender, frame)
        except AuraLinkError:
            self.counts.failed += 1
            self._coding = False
            self.close()
            if self.fallback is None or self.fallback.failed(now_us()):
                await asyncio.sleep(_RETRY_S)
            return
        outcome = sent.coded.outcome
        if outcome is Outcome.CODED:
            self.sizes = frame.size, sent.coded.base_size
        if self.fallback is not None:
            self.fallback.coded(sent.coded, sent.encode_ms, now_us())
        self.counts.outcomes[outcome.value] = self.counts.outcomes.get(outcome.value, 0) + 1
        if outcome in (Outcome.CODED, Outcome.SKIPPED):
            self._flush()
        if self._timeline.on:
            self._draw(sent, taken_us)

    def _encode(self, sender: StreamSender, frame: Frame) -> Sent:
        if self.fallback is not None:
            frame = self.fallback.fit(frame)
        return sender.encode(frame, now_us)

    def _wake(self, fallback: VideoFallback) -> None:
        """No picture comes while there are to be none, so the ladder is looked at here."""
        move = fallback.look(self._bitrate_bps, now_us())
        if move is not None:
            log.info("video comes back to %s: %s", move.after.name, move.cause.value)
            self._moved(move)

    async def _look(self, fallback: VideoFallback, at_us: int) -> None:
        move = fallback.look(self._bitrate_bps, at_us)
        if move is not None:
            before, after = move.before.name, move.after.name
            log.info("video moves from %s to %s: %s", before, after, move.cause.value)
            self._moved(move)
            await asyncio.to_thread(self.close)

    def _draw(self, sent: Sent, taken_us: int) -> None:
        """On the timeline: a frame's wait for the encoder, and its coding."""
        frame_us, coded = sent.frame.pts_us, sent.coded
        add, row = self._timeline.add, self._row
        add(Span(row=row, name="wait", start_us=frame_us, end_us=taken_us, frame=frame_us))
        facts = {"unit": coded.number, "outcome": coded.outcome.value, "bytes": coded.size}
        add(
            Span(
                row=row,
                name="encode",
                start_us=taken_us,
                end_us=sent.at_us,
                frame=frame_us,
                facts=facts,
            )
        )

    def _flush(self) -> None:
        """Hand over what is due; the rest in a moment."""
        sender = self._sender
        if sender is None:
            return
        self._hand_over(sender)
        waiting = self._flusher is not None and not self._flusher.done()
        if not sender.idle and not waiting:
            self._flusher = asyncio.create_task(self._flush_later(sender))

    async def _flush_later(self, sender: StreamSender) -> None:
        while sender is self._sender and not sender.idle:
            await asyncio.sleep(_FLUSH_S)
            self._hand_over(sender)

    def _hand_over(self, sender: StreamSender) -> None:
        at_us = now_us()
        for packet in sender.take(at_us):
            if self._data.send(packet, stamp(at_us)):
                self.counts.bytes += len(packet) + OVERHEAD_BYTES
                self._counted += 1
            else:
                self.counts.refused += 1
        elapsed_us = at_us - self._counted_us
        if elapsed_us >= 1_000_000:
            self._packets_per_s = self._counted * 1e6 / elapsed_us
            self._counted, self._counted_us = 0, at_us


@dataclass(slots=True)
class AudioCounts:
    packets: int = 0
    bytes: int = 0
    lagging: int = 0  # decoded frames dropped because coding was behind
    refused: int = 0


@final
class AudioUplink:
    """
    Args:
        publisher: offset of the publisher's clock, common to its tracks.
        frames_per_packet: of 20 ms each.
    """

    def __init__(
        self,
        data: PublishedData,
        publisher: ClockOffset,
        *,
        bitrate_bps: int,
        frames_per_packet: int,
    ) -> None:
        self.counts = AudioCounts()
        self._data = data
        self._encoder = OpusEncoder(bitrate_bps)
        self._per_packet = frames_per_packet
        self._blocks = AudioBlocks()
        self._times = CaptureTimes(publisher)
        self._waiting: asyncio.Queue[tuple[AudioFrame, int | None, int]] = asyncio.Queue(
            _AUDIO_WAITING
        )
        self._frames: list[bytes] = []
        self._first_us = 0
        self._number = 0

    def push(self, frame: AudioFrame, capture_us: int | None = None) -> None:
        """An `AudioSink`."""
        if self._waiting.full():
            self._waiting.get_nowait()
            self.counts.lagging += 1
        self._waiting.put_nowait((frame, capture_us, now_us()))

    def steer(self, bitrate_bps: int) -> None:
        pass  # sound keeps its rate: it is what a call can least do without

    def hear(self, feedback: Feedback) -> None:
        pass

    def want_key(self) -> None:
        pass  # every frame stands alone

    def close(self) -> None:
        pass

    async def run(self) -> None:
        while True:
            frame, capture_us, arrived_us = await self._waiting.get()
            start_us = _stream_us(frame)
            coded = await asyncio.to_thread(self._code, frame)
            for data, stream_us in coded:
                # A block may have begun in the frame before.
                captured = None if capture_us is None else capture_us + stream_us - start_us
                self._enter(data, self._times.at(stream_us, captured, arrived_us))

    def _code(self, frame: AudioFrame) -> list[tuple[bytes, int]]:
        return [
            (self._encoder.encode(block.samples), block.stream_us)
            for block in self._blocks.push(frame)
        ]

    def _enter(self, data: bytes, at_us: int) -> None:
        if not self._frames:
            self._first_us = at_us
        self._frames.append(data)
        if len(self._frames) < self._per_packet:
            return
        packet = write_packet(
            AudioPacket(number=self._number, pts_us=self._first_us, frames=tuple(self._frames))
        )
        self._number += len(self._frames)
        self._frames.clear()
        if self._data.send(packet, stamp(now_us())):
            self.counts.packets += 1
            self.counts.bytes += len(packet) + OVERHEAD_BYTES
        else:
            self.counts.refused += 1


def _stream_us(frame: AudioFrame) -> int:
    rate = frame.sample_rate or RATE_HZ
    return round((frame.pts or 0) * 1_000_000 / rate)
