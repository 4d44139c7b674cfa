"""Encoders of one stream each: a checked frame in, one unit out.  They block: never on a loop."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, Protocol, final

from auralink.codecs.audio.opus import OpusEncoder
from auralink.codecs.audio.packet import AudioPacket, write_packet
from auralink.codecs.errors import EncoderError
from auralink.codecs.frame import Frame
from auralink.codecs.video.protocol import (
    Coded,
    Kind,
    Outcome,
    Status,
    VideoDecoder,
    VideoEncoder,
    Wish,
)
from auralink.codecs.video.syntax import parse_config
from auralink.codecs.video.syntax_packet import Packet, parse_packet
from auralink.engine.rpc.framing import join
from auralink.engine.rpc.quality import Quality, measure
from auralink.engine.rpc.requests import Job, Media
from auralink.engine.rpc.stubs import aic_compression_pb2 as pb

Clock = Callable[[], float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Unit:
    """What became of one frame.

    Attributes:
        data: packets, each after its length; empty if there is nothing to send.
        droppable: no later unit needs this one.
        model_id: of the network that the stream asks for, 0 if none.
    """

    outcome: Outcome
    data: bytes = field(default=b"", repr=False)
    droppable: bool = False
    key: bool = False
    profile: str
    model_id: int = 0
    quantizer: int = 0
    base_size: tuple[int, int] = (0, 0)
    bitrate_bps: int
    encode_ms: float
    quality: Quality | None = None
    measure_ms: float = 0.0


class StreamEncoder(Protocol):
    def encode(self, job: Job, *, key: bool) -> Unit:
        """
        Args:
            key: the unit must be decodable alone: what the receiver has is not known.

        Raises:
            EncoderError: it failed; the next call starts anew.
        """
        ...

    def close(self) -> None: ...


class OpenStream(Protocol):
    """Makes the encoder of a new stream, without opening anything that takes time."""

    def __call__(self, media: Media) -> StreamEncoder: ...


class OpenVideo(Protocol):
    def __call__(self, *, fps: float, screen: bool) -> VideoEncoder:
        """May take seconds, and may start a process."""
        ...


@final
class VideoStream:
    """
    Args:
        profile: what `open_video` opens, for people.
        open_decoder: for measuring quality.
    """

    def __init__(
        self,
        profile: str,
        open_video: OpenVideo,
        open_decoder: Callable[[], VideoDecoder],
        *,
        screen: bool,
        clock: Clock = time.perf_counter,
    ) -> None:
        self._profile = profile
        self._open_video = open_video
        self._screen = screen
        self._clock = clock
        self._encoder: VideoEncoder | None = None
        self._fps = 0
        self._model_id = 0
        self._critic = Critic(open_decoder)

    def encode(self, job: Job, *, key: bool) -> Unit:
        assert job.budget is not None
        started = self._clock()
        frame = job.frame()
        fresh = self._encoder is None or self._fps != job.fps
        if fresh:
            self._open(job.fps)
        assert self._encoder is not None
        wish = Wish(bitrate_bps=job.budget.bitrate_bps, key=key or fresh or job.decodable_alone)
        try:
            coded = self._encoder.encode(frame, wish)
        except EncoderError:
            self._critic.forget()  # the next unit is a key from a new process
            raise
        self._note_model(coded)
        coded_at = self._clock()
        quality = self._critic.judge(frame, coded, always=job.mode == pb.MODE_CONSERVATIVE)
        return Unit(
            outcome=coded.outcome,
            data=join(coded.packets),
            droppable=not coded.reference and coded.kind is not Kind.SKIP,
            key=coded.kind is Kind.KEY and bool(coded.packets),
            profile=self._profile,
            model_id=self._model_id,
            quantizer=coded.quantizer,
            base_size=coded.base_size,
            bitrate_bps=job.budget.bitrate_bps,
            encode_ms=(coded_at - started) * 1e3,
            quality=quality,
            measure_ms=(self._clock() - coded_at) * 1e3,
        )

    def close(self) -> None:
        encoder, self._encoder = self._encoder, None
        try:
            if encoder is not None:
                encoder.close()
        finally:
            self._critic.close()

    def _open(self, fps: int) -> None:
        self.close()
        self._encoder = self._open_video(fps=fps, screen=self._screen)
        self._fps = fps

    def _note_model(self, coded: Coded) -> None:
        if coded.kind is not Kind.KEY or not coded.packets:
            return
        head = parse_packet(coded.packets[0])
        if isinstance(head, Packet):
            self._model_id = parse_config(head.data, head.start)[0].model_id


@final
class Critic:
    """Decodes what was coded and compares: every unit, or key units alone.

    A delta unit can be judged only if all it depends on was decoded here; so after units that were
    left out the next key is waited for.
    """

    def __init__(self, open_decoder: Callable[[], VideoDecoder]) -> None:
        self._open_decoder = open_decoder
        self._decoder: VideoDecoder | None = None
        self._follows = False

    def judge(self, frame: Frame, coded: Coded, *, always: bool) -> Quality | None:
        """None if this unit cannot be judged, or need not."""
        if coded.outcome not in (Outcome.CODED, Outcome.SKIPPED):
            return None
        key = coded.kind is Kind.KEY
        if not key and not (always and self._follows):
            self._follows = False
            return None
        self._follows = True
        if self._decoder is None:
            self._decoder = self._open_decoder()
        data = [packet for packet in coded.packets if packet[0] >> 6 != Kind.PARITY]
        picture = self._decoder.decode(data)
        if picture.status is Status.FROZEN or picture.frame is None:
            self._follows = False
            return None
        return measure(frame.y, picture.frame.y)

    def forget(self) -> None:
        self._follows = False

    def close(self) -> None:
        decoder, self._decoder = self._decoder, None
        self._follows = False
        if decoder is not None:
            decoder.close()


@final
class AudioStream:
    """Opus, one frame a packet."""

    PROFILE: Final = "opus"

    def __init__(self, *, clock: Clock = time.perf_counter) -> None:
        self._clock = clock
        self._encoder: OpusEncoder | None = None
        self._bitrate_bps = 0
        self._number = 0
        self._last_us = -1

    def encode(self, job: Job, *, key: bool) -> Unit:
        assert job.budget is not None
        bitrate_bps = job.budget.bitrate_bps
        started = self._clock()
        data, outcome = b"", Outcome.DROPPED_TIME
        if job.pts_us > self._last_us:
            data, outcome = self._code(job, bitrate_bps), Outcome.CODED
        return Unit(
            outcome=outcome,
            data=data,
            key=True,
            profile=self.PROFILE,
            bitrate_bps=bitrate_bps,
            encode_ms=(self._clock() - started) * 1e3,
        )

    def close(self) -> None:
        self._encoder = None

    def _code(self, job: Job, bitrate_bps: int) -> bytes:
        if self._encoder is None or self._bitrate_bps != bitrate_bps:
            self._encoder, self._bitrate_bps = OpusEncoder(bitrate_bps), bitrate_bps
        frame = self._encoder.encode(job.samples())
        packet = AudioPacket(number=self._number, pts_us=job.pts_us, frames=(frame,))
        self._number += 1
        self._last_us = job.pts_us
        return join([write_packet(packet)])
