"""Decoders of one call each: packets in, pictures or samples out.  They block: never on a loop."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Protocol, final

import numpy as np

from auralink.codecs.audio.opus import FRAME_US
from auralink.codecs.audio.opus_decoder import OpusDecoder
from auralink.codecs.audio.packet import parse_packet as parse_audio_packet
from auralink.codecs.errors import BitstreamError, DecoderError
from auralink.codecs.frame import Frame
from auralink.codecs.video.protocol import Kind, Picture, Status, VideoDecoder
from auralink.codecs.video.receiver import Receiver
from auralink.codecs.video.syntax import parse_config
from auralink.codecs.video.syntax_packet import Packet, parse_packet
from auralink.engine.rpc.framing import MAX_AUDIO_PACKET_BYTES, split
from auralink.engine.rpc.requests import i420_bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Played:
    """
    Attributes:
        data: packed I420 or samples; empty for a repeated picture.
        size: (0, 0) for sound.
    """

    data: bytes = field(repr=False)
    size: tuple[int, int]
    pts_us: int
    repeated: bool = False
    restored: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Decoded:
    """What a request's bytes made available, and what was wrong with them."""

    frames: tuple[Played, ...] = ()
    fault: str = ""
    need_key: bool = False


class StreamDecoder(Protocol):
    def decode(self, data: bytes) -> Decoded:
        """Never raises on bad bytes: it says what is wrong and goes on."""
        ...

    def close(self) -> None: ...


@final
class VideoUnpacker:
    """
    Args:
        most_bytes: of one response; the declared size of a picture is held against it before
            anything is decoded.
    """

    def __init__(self, open_decoder: Callable[[], VideoDecoder], *, most_bytes: int) -> None:
        self._receiver = Receiver(open_decoder())
        self._most_bytes = most_bytes

    def decode(self, data: bytes) -> Decoded:
        frames: list[Played] = []
        fault = ""
        try:
            for picture in self._pictures(data):
                if picture.status is Status.FROZEN or picture.frame is None:
                    fault = fault or f"unit {picture.number}: {picture.reason or 'no picture'}"
                    continue
                frames.append(_played(picture, picture.frame))
                if sum(len(frame.data) for frame in frames) > self._most_bytes:
                    frames.pop()
                    raise BitstreamError("more pictures than one response holds: send fewer units")
        except BitstreamError as error:
            fault = str(error)
        return Decoded(frames=tuple(frames), fault=fault, need_key=self._receiver.stuck)

    def close(self) -> None:
        self._receiver.close()

    def _pictures(self, data: bytes) -> Iterator[Picture]:
        for packet in split(data):
            self._check_size(packet)
            yield from self._receiver.push(packet)

    def _check_size(self, data: bytes) -> None:
        head = parse_packet(data)
        if not isinstance(head, Packet) or head.kind is not Kind.KEY or head.index:
            return
        config, _ = parse_config(head.data, head.start)
        if i420_bytes((config.width, config.height)) > self._most_bytes:
            raise BitstreamError(
                f"a picture of {config.width}x{config.height} does not fit into a response of "
                f"{self._most_bytes} bytes"
            )


@final
class AudioUnpacker:
    """Plays packets in the order they come; what is missing is missing."""

    def __init__(self) -> None:
        self._decoder = OpusDecoder()

    def decode(self, data: bytes) -> Decoded:
        frames: list[Played] = []
        try:
            for packet in split(data, longest=MAX_AUDIO_PACKET_BYTES):
                frames += self._play(packet)
        except (BitstreamError, DecoderError) as error:
            return Decoded(frames=tuple(frames), fault=str(error))
        return Decoded(frames=tuple(frames))

    def close(self) -> None: ...

    def _play(self, data: bytes) -> Iterator[Played]:
        packet = parse_audio_packet(data)
        for index, frame in enumerate(packet.frames):
            if frame:
                samples = self._decoder.decode(frame).astype("<i2", copy=False).tobytes()
                pts_us = packet.pts_us + index * FRAME_US
                yield Played(data=samples, size=(0, 0), pts_us=pts_us)


def _played(picture: Picture, frame: Frame) -> Played:
    repeated = picture.status is Status.REPEATED
    planes = [np.ascontiguousarray(plane).tobytes() for plane in frame.planes]
    return Played(
        data=b"" if repeated else b"".join(planes),
        size=frame.size,
        pts_us=frame.pts_us,
        repeated=repeated,
        restored=picture.restored,
    )
