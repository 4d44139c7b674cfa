"""The six methods, each from a checked request to a response."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial
from typing import Any, Final, final

import psutil

from auralink.engine.rpc import answers, hints, requests
from auralink.engine.rpc.access import SERVICE
from auralink.engine.rpc.compressing import CompressCall
from auralink.engine.rpc.decoders import AudioUnpacker, StreamDecoder, VideoUnpacker
from auralink.engine.rpc.decoding import Decoding
from auralink.engine.rpc.failures import FieldError
from auralink.engine.rpc.limits import FrameRate
from auralink.engine.rpc.methods import Bidirectional, Call, Unary
from auralink.engine.rpc.parts import Parts
from auralink.engine.rpc.replies import Replies
from auralink.engine.rpc.requests import Media
from auralink.engine.rpc.settings import RpcSettings
from auralink.engine.rpc.streams import Streams
from auralink.engine.rpc.stubs import aic_compression_pb2 as pb
from auralink.engine.service.errors import Limited, NotFound

# Of a response, for everything but pictures and samples.
_ENVELOPE_BYTES: Final = 64 << 10
# Analysing so many samples takes less than a millisecond; more are taken off the event loop.
_FEW_SAMPLES: Final = 50
_CLOSING_S: Final = 5.0


@final
class CompressionService:
    def __init__(self, parts: Parts, settings: RpcSettings, streams: Streams, version: str) -> None:
        self._parts = parts
        self._settings = settings
        self._streams = streams
        self._version = version
        self._started_s = time.monotonic()
        self._decoding = 0
        self._ending: set[asyncio.Task[None]] = set()
        self.serving = True

    def methods(self) -> list[Unary[Any, Any] | Bidirectional[Any, Any]]:
        return [
            Unary(
                name="CompressFrame",
                request=pb.CompressFrameRequest,
                handler=self.compress_frame,
            ),
            Bidirectional(
                name="CompressStream",
                request=pb.CompressFrameRequest,
                handler=self.compress_stream,
            ),
            Bidirectional(
                name="DecompressStream",
                request=pb.DecompressRequest,
                handler=self.decompress_stream,
            ),
            Unary(
                name="GetCompressionHints",
                request=pb.CompressionHintRequest,
                handler=self.compression_hints,
            ),
            Unary(
                name="AnalyzeNetworkConditions",
                request=pb.NetworkAnalysisRequest,
                handler=self.analyze_network,
            ),
            Unary(
                name="HealthCheck",
                request=pb.HealthCheckRequest,
                handler=self.health_check,
            ),
        ]

    async def compress_frame(
        self, request: pb.CompressFrameRequest, call: Call
    ) -> pb.CompressFrameResponse:
        arrived_s, remaining_s = time.monotonic(), call.remaining_s()
        job = requests.read_job(request, call.principal.tenant)
        live = self._streams.admit(job)
        response, _ = await self._streams.compress(
            live, job, arrived_s=arrived_s, remaining_s=remaining_s
        )
        return response

    async def compress_stream(
        self,
        frames: AsyncIterator[pb.CompressFrameRequest],
        write: Callable[[pb.CompressFrameResponse], Awaitable[None]],
        call: Call,
    ) -> None:
        tenant = call.principal.tenant
        await CompressCall(
            self._streams,
            Replies(write, patience_s=self._settings.slow_reader_s),
            lambda request: requests.read_job(request, tenant),
            call.remaining_s,
            time.monotonic,
        ).run(frames)

    async def decompress_stream(
        self,
        units: AsyncIterator[pb.DecompressRequest],
        write: Callable[[pb.DecompressResponse], Awaitable[None]],
        call: Call,
    ) -> None:
        if self._decoding >= self._settings.max_streams:
            raise Limited(f"{self._decoding} streams are being decoded")
        self._decoding += 1
        decoding: Decoding | None = None
        try:
            media: Media | None = None
            rate = FrameRate(self._settings.frames_per_s)
            async for request in units:
                requests.read_session(request.session_id)
                wanted = requests.read_media(request.frame_type)
                if media is not None and wanted is not media:
                    raise FieldError("frame_type", "a call is for one type of frame")
                media = wanted
                await self._pace(rate)
                if decoding is None:
                    opening = partial(self._open_decoder, wanted)
                    decoding = Decoding(opening, self._parts.run)
                decoded = await decoding.decode(request.compressed_data)
                await self._write(write, answers.decompressed(request.frame_number, decoded))
        finally:
            self._retire(decoding)

    def _retire(self, decoding: Decoding | None) -> None:
        """Its place is free when its decoder has ended."""

        def ended(task: asyncio.Task[None]) -> None:
            self._ending.discard(task)
            self._decoding -= 1

        closing = _nothing() if decoding is None else decoding.close()
        task = asyncio.create_task(closing, name="rpc-close-decoder")
        self._ending.add(task)
        task.add_done_callback(ended)

    async def close(self) -> None:
        """Wait for decoders, but not for ever."""
        if self._ending:
            await asyncio.wait(self._ending, timeout=_CLOSING_S)

    async def compression_hints(
        self, request: pb.CompressionHintRequest, call: Call
    ) -> pb.CompressionHintResponse:
        return hints.hint(request, self._streams.costs, profile=self._settings.profile)

    async def analyze_network(
        self, request: pb.NetworkAnalysisRequest, call: Call
    ) -> pb.NetworkAnalysisResponse:
        if len(request.samples) <= _FEW_SAMPLES:
            return hints.network(request)
        return await self._parts.run(lambda: hints.network(request))

    async def health_check(
        self, request: pb.HealthCheckRequest, call: Call
    ) -> pb.HealthCheckResponse:
        if request.service_name not in ("", SERVICE):
            raise NotFound(f"no service {request.service_name[:128]!r} is here")
        cpu, memory = await self._parts.run(_machine)
        model = self._parts.model()
        streams = self._streams
        status = pb.HEALTH_HEALTHY if self.serving else pb.HEALTH_UNHEALTHY
        if self.serving and (streams.in_flight.full or not model.loaded):
            status = pb.HEALTH_DEGRADED
        return pb.HealthCheckResponse(
            status=status,
            version=self._version,
            uptime_seconds=round(time.monotonic() - self._started_s),
            resources=pb.ResourceUsage(
                cpu_percent=cpu,
                memory_percent=memory,
                active_sessions=streams.sessions,
                total_frames_processed=streams.costs.frames,
            ),
            model_status=pb.ModelStatus(
                model_type=model.name,
                version=model.version,
                loaded=model.loaded,
                inference_queue_length=streams.in_flight.count,
                avg_inference_ms=streams.costs.mean_ms,
            ),
        )

    def _open_decoder(self, media: Media) -> StreamDecoder:
        if media is Media.AUDIO:
            return AudioUnpacker()
        most = self._settings.max_message_bytes - _ENVELOPE_BYTES
        return VideoUnpacker(self._parts.open_decoder, most_bytes=most)

    async def _pace(self, rate: FrameRate) -> None:
        """A file may come faster than it may be decoded: it waits, as its client does."""
        try:
            rate.take(time.monotonic())
        except Limited as limited:
            await asyncio.sleep(limited.retry_after_s)

    async def _write(
        self,
        write: Callable[[pb.DecompressResponse], Awaitable[None]],
        response: pb.DecompressResponse,
    ) -> None:
        try:
            async with asyncio.timeout(self._settings.slow_reader_s):
                await write(response)
        except TimeoutError:
            seconds = self._settings.slow_reader_s
            error = Limited(f"no response was read for {seconds:g} s")
            error.add_note("read responses while you write requests")
            raise error from None


async def _nothing() -> None: ...


def _machine() -> tuple[float, float]:
    """Processor and memory in use, percent.  Reads files: not for an event loop."""
    return psutil.cpu_percent(), psutil.virtual_memory().percent
