"""Requests to send, and encoders that do what a test wants."""

import threading
from collections.abc import AsyncIterator, Iterable
from typing import Any

import numpy as np

from auralink.codecs.errors import EncoderError
from auralink.codecs.frame import Frame
from auralink.codecs.video.protocol import Outcome
from auralink.engine.rpc.encoders import Unit
from auralink.engine.rpc.framing import join
from auralink.engine.rpc.requests import Job, Media
from auralink.engine.rpc.stubs import aic_compression_pb2 as pb

TINY = (16, 16)
TINY_BYTES = 16 * 16 * 3 // 2


def packed(frame: Frame) -> bytes:
    return b"".join(plane.tobytes() for plane in frame.planes)


def luma(data: bytes, size: tuple[int, int]) -> np.ndarray:
    width, height = size
    return np.frombuffer(data[: width * height], np.uint8).reshape(height, width)


def picture(frame: Frame, number: int, **changes: Any) -> pb.CompressFrameRequest:
    """A request for a frame at 30 a second."""
    request = pb.CompressFrameRequest(
        session_id="call-1",
        participant_id="ann",
        frame_number=number,
        timestamp_us=frame.pts_us,
        frame_data=packed(frame),
        frame_type=pb.FRAME_TYPE_VIDEO,
        metadata=pb.FrameMetadata(width=frame.width, height=frame.height, fps=30),
        mode=pb.MODE_ADAPTIVE,
    )
    request.MergeFrom(pb.CompressFrameRequest(**changes))
    return request


def tiny(number: int, **changes: Any) -> pb.CompressFrameRequest:
    """The smallest request that makes sense."""
    request = pb.CompressFrameRequest(
        session_id="call-1",
        frame_number=number,
        timestamp_us=number * 33_333,
        frame_data=bytes(TINY_BYTES),
        frame_type=pb.FRAME_TYPE_VIDEO,
        metadata=pb.FrameMetadata(width=16, height=16, fps=30),
        mode=pb.MODE_ADAPTIVE,
    )
    request.MergeFrom(pb.CompressFrameRequest(**changes))
    return request


def sound(number: int, samples: np.ndarray, **changes: Any) -> pb.CompressFrameRequest:
    request = pb.CompressFrameRequest(
        session_id="call-1",
        frame_number=number,
        timestamp_us=number * 20_000,
        frame_data=samples.astype("<i2").tobytes(),
        frame_type=pb.FRAME_TYPE_AUDIO,
        mode=pb.MODE_CONSERVATIVE,
    )
    request.MergeFrom(pb.CompressFrameRequest(**changes))
    return request


async def each(items: Iterable[Any]) -> AsyncIterator[Any]:
    for item in items:
        yield item


class Gated:
    """A `StreamEncoder` that codes a frame when it is let to."""

    def __init__(self, media: Media = Media.VIDEO, size: int = 20) -> None:
        self.gate = threading.Semaphore(0)
        self.begun = threading.Semaphore(0)
        self.keys: list[bool] = []
        self.numbers: list[int] = []
        self.closed = False
        self._size = size

    def encode(self, job: Job, *, key: bool) -> Unit:
        self.keys.append(key)
        self.numbers.append(job.number)
        self.begun.release()
        self.gate.acquire()
        return unit_of(job, key=key, size=self._size)

    def close(self) -> None:
        self.closed = True


class Instant:
    """One that answers at once; every second unit is droppable."""

    def __init__(self, media: Media = Media.VIDEO, size: int = 20) -> None:
        self._size = size
        self.keys: list[bool] = []
        self.closed = False

    def encode(self, job: Job, *, key: bool) -> Unit:
        self.keys.append(key)
        return unit_of(job, key=key, size=self._size)

    def close(self) -> None:
        self.closed = True


class Failing:
    def __init__(self, media: Media = Media.VIDEO) -> None:
        self.keys: list[bool] = []

    def encode(self, job: Job, *, key: bool) -> Unit:
        self.keys.append(key)
        raise EncoderError("the library refused")

    def close(self) -> None: ...


def unit_of(job: Job, *, key: bool, size: int = 20) -> Unit:
    return Unit(
        outcome=Outcome.CODED,
        data=join([job.number.to_bytes(4) + bytes(size)]),
        droppable=job.number % 2 == 1,
        key=key,
        profile="null",
        bitrate_bps=1000,
        encode_ms=1.0,
    )
