"""What the engine would do with a stream, and what it measured when it did the like.  Pure."""

from auralink.engine.rpc import requests
from auralink.engine.rpc.costs import Costs
from auralink.engine.rpc.failures import FieldError
from auralink.engine.rpc.network import Analysis, Sample, analyse, recommend
from auralink.engine.rpc.requests import Media
from auralink.engine.rpc.stubs import aic_compression_pb2 as pb

MAX_SAMPLES = 10_000
DEFAULT_WINDOW_S = 30
_MAX_WINDOW_S = 3_600
_MAX_KBPS = 100_000_000


def hint(
    request: pb.CompressionHintRequest, costs: Costs, *, profile: str
) -> pb.CompressionHintResponse:
    """
    Args:
        profile: of pictures.

    Raises:
        FieldError: names the field.
    """
    requests.read_session(request.session_id)
    mode = requests.read_mode(request.mode)
    available_bps = 1000 * requests.read_link(request.network)
    metadata = request.metadata
    native_bps = 1000 * metadata.bitrate_kbps
    if native_bps < 0:
        raise FieldError("metadata.bitrate_kbps", "no negative rate is possible")
    media, size, fps = Media.VIDEO, (0, 0), 50
    if metadata.width or metadata.height:
        size, fps = requests.read_picture(metadata)
    elif metadata.sample_rate:
        media = Media.AUDIO
        requests.check_sound(metadata)
    else:
        raise FieldError("metadata", "a width and height, or a sample_rate, is wanted")
    budget = requests.budget(
        mode, media, size, fps, ratio=0, native_bps=native_bps, available_bps=available_bps
    )
    if budget is None:
        return pb.CompressionHintResponse(recommended_codec="none")
    pixels = size[0] * size[1]
    bits_per_pixel = budget.bitrate_bps / fps / pixels if pixels else 0.0
    seen = costs.expect(media, size, bits_per_pixel=bits_per_pixel)
    response = pb.CompressionHintResponse(
        recommended_compression_ratio=budget.saved,
        predicted_quality_score=seen.quality or 0.0,
        predicted_latency_ms=round(seen.p95_ms or 0.0),
        recommended_codec="opus" if media is Media.AUDIO else profile,
        confidence_score=seen.confidence,
    )
    response.hints["bitrate_bps"] = budget.bitrate_bps
    response.hints["anchor_bps"] = budget.anchor_bps
    response.hints["samples"] = seen.samples
    if seen.p50_ms is not None and seen.p95_ms is not None:
        response.hints["encode_ms_p50"] = seen.p50_ms
        response.hints["encode_ms_p95"] = seen.p95_ms
    return response


def network(request: pb.NetworkAnalysisRequest) -> pb.NetworkAnalysisResponse:
    """
    Raises:
        FieldError: names the field.
    """
    requests.read_session(request.session_id)
    if len(request.samples) > MAX_SAMPLES:
        raise FieldError("samples", f"{len(request.samples)} of them: {MAX_SAMPLES} at most")
    window_s = request.analysis_window_seconds
    if not 0 <= window_s <= _MAX_WINDOW_S:
        raise FieldError("analysis_window_seconds", f"{window_s}: 0 to {_MAX_WINDOW_S} is wanted")
    samples = [_sample(index, sample) for index, sample in enumerate(request.samples)]
    return _response(analyse(samples, window_s=window_s or DEFAULT_WINDOW_S))


def _response(analysis: Analysis) -> pb.NetworkAnalysisResponse:
    return pb.NetworkAnalysisResponse(
        available_bandwidth_kbps=analysis.available_kbps,
        predicted_bandwidth_kbps=analysis.predicted_kbps,
        network_stability_score=analysis.stability,
        quality=analysis.quality.value,
        recommendation=recommend(analysis),
        enable_aggressive_compression=analysis.aggressive,
    )


def _sample(index: int, sample: pb.NetworkSample) -> Sample:
    path = f"samples[{index}]"
    loss = sample.packet_loss_percent
    if sample.timestamp_us < 0:
        raise FieldError(f"{path}.timestamp_us", "no negative time is possible")
    if not 0 <= sample.bandwidth_kbps <= _MAX_KBPS:
        raise FieldError(f"{path}.bandwidth_kbps", f"0 to {_MAX_KBPS} is wanted")
    if sample.rtt_ms < 0:
        raise FieldError(f"{path}.rtt_ms", "no negative time is possible")
    if not 0 <= loss <= 100:  # NaN is not either
        raise FieldError(f"{path}.packet_loss_percent", "0 to 100 is wanted")
    return Sample(
        at_us=sample.timestamp_us,
        bandwidth_kbps=sample.bandwidth_kbps,
        rtt_ms=sample.rtt_ms,
        loss_percent=loss,
    )
