"""What the gRPC service is built from: the things that do the work, given from outside."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol, final

import grpc

from auralink.codecs.video.options import EncoderOptions
from auralink.codecs.video.profiles import open_encoder
from auralink.codecs.video.protocol import VideoDecoder, VideoEncoder
from auralink.engine.rpc.access import Door
from auralink.engine.rpc.coding import Run
from auralink.engine.rpc.encoders import (
    AudioStream,
    OpenStream,
    OpenVideo,
    StreamEncoder,
    VideoStream,
)
from auralink.engine.rpc.requests import Job, Media
from auralink.engine.rpc.stubs import aic_compression_pb2 as pb
from auralink.engine.telemetry.tracing import NoTracer, Tracer
from auralink.models.codec_runtime import open_codec


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelFact:
    """The network that restores pictures, as `HealthCheck` tells it."""

    name: str
    version: str
    loaded: bool


class Observer(Protocol):
    """Hears of what happened; for metrics.  Must not block."""

    def frame_answered(self, job: Job, response: pb.CompressFrameResponse) -> None: ...

    def call_ended(self, method: str, code: grpc.StatusCode, elapsed_s: float) -> None: ...


@final
class Unobserved:
    def frame_answered(self, job: Job, response: pb.CompressFrameResponse) -> None: ...

    def call_ended(self, method: str, code: grpc.StatusCode, elapsed_s: float) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """
    Attributes:
        run: where what blocks is run.
        door: None where everybody may do everything: on loopback.
        tracer: takes a span per call, but for those of single frames.
    """

    open_stream: OpenStream
    open_decoder: Callable[[], VideoDecoder]
    run: Run
    model: Callable[[], ModelFact]
    door: Door | None = None
    observer: Observer = field(default_factory=Unobserved)
    tracer: Tracer = field(default_factory=NoTracer)


def parts_of(
    *,
    profile: str,
    open_video: OpenVideo,
    open_decoder: Callable[[], VideoDecoder],
    model: Callable[[], ModelFact],
    run: Run,
    door: Door | None = None,
    observer: Observer | None = None,
    tracer: Tracer | None = None,
) -> Parts:
    """
    Args:
        profile: what `open_video` opens, for people.
        open_video: of pictures; sound is coded in a thread, which takes 0.2 ms a frame.
    """

    def stream(media: Media) -> StreamEncoder:
        if media is Media.AUDIO:
            return AudioStream()
        return VideoStream(profile, open_video, open_decoder, screen=media is Media.SCREEN)

    return Parts(
        open_stream=stream,
        open_decoder=open_decoder,
        run=run,
        model=model,
        door=door,
        observer=observer or Unobserved(),
        tracer=tracer or NoTracer(),
    )


def open_in_process(profile: str) -> OpenVideo:
    """Encoders in the threads of this process, which a crash of native code would end."""

    def opening(*, fps: float, screen: bool) -> VideoEncoder:
        options = EncoderOptions(screen=True if screen else None)
        return open_encoder(
            profile, fps=fps, options=options, clock=time.perf_counter, neural=open_codec
        )

    return opening
