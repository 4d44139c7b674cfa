"""What gRPC answered, as metrics and rows: an `Observer` of `engine.rpc`."""

from typing import Final, final

import grpc

from auralink.engine.rpc.requests import Job, Media
from auralink.engine.rpc.stubs import aic_compression_pb2 as pb
from auralink.engine.stores.records import Kind
from auralink.engine.telemetry.frame_sums import AnsweredFrame, FrameSums, StreamName
from auralink.engine.telemetry.metrics import Metrics

_KINDS: Final[dict[Media, Kind]] = {
    Media.VIDEO: "video",
    Media.AUDIO: "audio",
    Media.SCREEN: "screen",
}
# First words of `fallback_reason`; the rest of it is for people and has no bound.
_REASONS: Final = frozenset({"late", "busy", "overloaded", "failed"})
_OUR_FAULT: Final = frozenset(
    {
        grpc.StatusCode.INTERNAL,
        grpc.StatusCode.UNKNOWN,
        grpc.StatusCode.DATA_LOSS,
        grpc.StatusCode.UNAVAILABLE,
    }
)


@final
class RpcObserver:
    def __init__(self, metrics: Metrics, sums: FrameSums) -> None:
        self._metrics = metrics
        self._sums = sums

    def frame_answered(self, job: Job, response: pb.CompressFrameResponse) -> None:
        kind = _KINDS[job.key.media]
        times = response.performance
        fallback = _reason(response) if response.fallback_used else ""
        coded = response.outcome == pb.OUTCOME_CODED
        quality = response.ai_metadata.ssim if coded and response.ai_metadata.ssim > 0 else None
        self._metrics.frame(
            path="rpc",
            kind=kind,
            outcome=pb.FrameOutcome.Name(response.outcome).removeprefix("OUTCOME_").lower(),
            latency_ms=times.total_latency_ms,
            waited_ms=times.preprocessing_ms,
            fallback=fallback,
            quality=quality,
            sizes=(response.original_size_bytes, response.compressed_size_bytes) if coded else None,
        )
        name = StreamName(
            owner=job.key.tenant,
            session=job.key.session,
            participant=job.key.participant,
            kind=kind,
        )
        frame = AnsweredFrame(
            latency_ms=times.total_latency_ms,
            fallback=fallback,
            dropped=not (coded or fallback or response.outcome == pb.OUTCOME_SKIPPED),
            encode_ms=times.model_inference_ms if coded else None,
            link_bytes=response.compressed_size_bytes,
            quality=quality,
            profile=response.ai_metadata.model_type,
            version=response.ai_metadata.model_version,
        )
        self._sums.add(name, frame)

    def call_ended(self, method: str, code: grpc.StatusCode, elapsed_s: float) -> None:
        self._metrics.call(
            method=method, code=code.name, seconds=elapsed_s, our_fault=code in _OUR_FAULT
        )


def _reason(response: pb.CompressFrameResponse) -> str:
    first = response.fallback_reason.partition(":")[0]
    return first if first in _REASONS else "other"
