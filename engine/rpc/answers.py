"""Values to messages.  Pure."""

from typing import Final

from auralink.codecs.audio.opus import RATE_HZ
from auralink.codecs.video.protocol import Outcome
from auralink.engine.rpc.coding import Answer
from auralink.engine.rpc.decoders import Decoded, Played
from auralink.engine.rpc.encoders import Unit
from auralink.engine.rpc.requests import Job
from auralink.engine.rpc.stubs import aic_compression_pb2 as pb
from auralink.engine.service.wishes import MODES

# The least SSIM that the contract's modes want.
LEAST_QUALITY: Final = {
    pb.MODE_CONSERVATIVE: MODES["conservative"].min_quality,
    pb.MODE_ADAPTIVE: MODES["adaptive"].min_quality,
    pb.MODE_AGGRESSIVE: MODES["aggressive"].min_quality,
}
_OUTCOMES: Final = {
    Outcome.CODED: pb.OUTCOME_CODED,
    Outcome.SKIPPED: pb.OUTCOME_SKIPPED,
    Outcome.DROPPED_RATE: pb.OUTCOME_DROPPED_RATE,
    Outcome.DROPPED_BACKLOG: pb.OUTCOME_DROPPED_BACKLOG,
    Outcome.DROPPED_TIME: pb.OUTCOME_DROPPED_TIME,
}


def passed(job: Job) -> pb.CompressFrameResponse:
    """MODE_OFF."""
    return pb.CompressFrameResponse(
        status=pb.STATUS_SUCCESS,
        compressed_data=job.data,
        original_size_bytes=len(job.data),
        compressed_size_bytes=len(job.data),
        frame_number=job.number,
        outcome=pb.OUTCOME_PASSED,
    )


def compressed(
    job: Job, answer: Answer, *, total_ms: float, now_us: int
) -> pb.CompressFrameResponse:
    """
    Args:
        total_ms: since the request came.
        now_us: since 1970.
    """
    response = pb.CompressFrameResponse(original_size_bytes=len(job.data), frame_number=job.number)
    response.performance.preprocessing_ms = round(answer.waited_ms)
    response.performance.total_latency_ms = round(total_ms)
    if answer.unit is None:
        response.status = pb.STATUS_FALLBACK
        response.outcome = pb.OUTCOME_FELL_BACK
        response.fallback_used = True
        response.fallback_reason = answer.reason
        return response
    unit = answer.unit
    response.status = _status(job, unit)
    response.outcome = _OUTCOMES[unit.outcome]
    if unit.outcome is Outcome.DROPPED_TIME:
        response.error_message = "timestamp_us did not rise"
    response.compressed_data = answer.late + unit.data
    response.compressed_size_bytes = len(unit.data)
    response.actual_compression_ratio = 1 - len(unit.data) / len(job.data)
    response.performance.inference_latency_ms = round(unit.encode_ms)
    response.performance.model_inference_ms = round(unit.encode_ms)
    response.performance.postprocessing_ms = round(unit.measure_ms)
    _describe(response.ai_metadata, unit, response.actual_compression_ratio, now_us)
    return response


def decompressed(number: int, decoded: Decoded) -> pb.DecompressResponse:
    return pb.DecompressResponse(
        status=pb.STATUS_ERROR if decoded.fault else pb.STATUS_SUCCESS,
        error_message=decoded.fault,
        frame_number=number,
        frames=[_frame(played) for played in decoded.frames],
        need_key=decoded.need_key,
    )


def _status(job: Job, unit: Unit) -> pb.CompressionStatus:
    if unit.outcome is Outcome.DROPPED_TIME:
        return pb.STATUS_ERROR
    ssim = unit.quality.ssim if unit.quality else None
    if ssim is not None and ssim < LEAST_QUALITY[job.mode]:
        return pb.STATUS_QUALITY_THRESHOLD_NOT_MET
    return pb.STATUS_SUCCESS


def _describe(metadata: pb.AIMetadata, unit: Unit, ratio: float, now_us: int) -> None:
    metadata.model_type = unit.profile
    if unit.model_id:
        metadata.model_version = str(unit.model_id)
    metadata.compression_ratio = ratio
    metadata.inference_timestamp_us = now_us
    hints = metadata.custom_hints
    hints["bitrate_bps"] = unit.bitrate_bps
    hints["key"] = unit.key
    if unit.base_size != (0, 0):
        hints["quantizer"] = unit.quantizer
        hints["base_width"], hints["base_height"] = unit.base_size
    if unit.quality is not None:
        metadata.psnr_db = unit.quality.psnr_db
        if unit.quality.ssim is not None:
            metadata.ssim = metadata.quality_score = unit.quality.ssim


def _frame(played: Played) -> pb.DecodedFrame:
    frame = pb.DecodedFrame(
        frame_data=played.data,
        timestamp_us=played.pts_us,
        repeated=played.repeated,
        restored=played.restored,
    )
    if played.size == (0, 0):
        frame.metadata.codec = "pcm_s16le"
        frame.metadata.sample_rate, frame.metadata.channels = RATE_HZ, 1
    else:
        frame.metadata.codec = "i420"
        frame.metadata.width, frame.metadata.height = played.size
    return frame
