"""Hints say what was measured, how often, and nothing where nothing was."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from auralink.engine.rpc import hints
from auralink.engine.rpc.costs import KEPT, Costs
from auralink.engine.rpc.failures import FieldError
from auralink.engine.rpc.requests import Media
from auralink.engine.rpc.stubs import aic_compression_pb2 as pb

SIZE = (640, 360)


def wish(**changes: object) -> pb.CompressionHintRequest:
    request = pb.CompressionHintRequest(
        session_id="call-1",
        metadata=pb.FrameMetadata(width=640, height=360, fps=20),
        mode=pb.MODE_ADAPTIVE,
    )
    request.MergeFrom(pb.CompressionHintRequest(**changes))  # type: ignore[arg-type]
    return request


def ask(costs: Costs, **changes: object) -> pb.CompressionHintResponse:
    return hints.hint(wish(**changes), costs, profile="hybrid")


def measured(count: int, ms: float = 10.0, ssim: float | None = 0.94) -> Costs:
    costs = Costs()
    for _ in range(count):
        costs.note(Media.VIDEO, SIZE, encode_ms=ms, bits_per_pixel=0.0195, ssim=ssim)
    return costs


def test_without_measurements_nothing_is_claimed() -> None:
    response = ask(Costs())

    assert response.confidence_score == 0
    assert response.predicted_latency_ms == 0
    assert response.predicted_quality_score == 0
    assert "encode_ms_p95" not in response.hints
    assert response.hints["bitrate_bps"] == 90_000  # a rule, not a measurement


def test_what_was_measured_is_told() -> None:
    response = ask(measured(30))

    assert response.confidence_score == pytest.approx(0.5)
    assert response.predicted_latency_ms == 10
    assert response.predicted_quality_score == pytest.approx(0.94)
    assert response.recommended_codec == "hybrid"
    assert response.recommended_compression_ratio == pytest.approx(0.8)


def test_time_follows_the_size_of_the_picture() -> None:
    larger = ask(measured(30), metadata=pb.FrameMetadata(width=1280, height=720, fps=20))

    assert larger.predicted_latency_ms == 40


def test_quality_at_other_bits_is_not_claimed() -> None:
    richer = ask(measured(30), metadata=pb.FrameMetadata(bitrate_kbps=8_000))

    assert richer.predicted_quality_score == 0


def test_sound_is_another_matter_than_pictures() -> None:
    request = pb.CompressionHintRequest(
        session_id="a", metadata=pb.FrameMetadata(sample_rate=48_000), mode=pb.MODE_CONSERVATIVE
    )

    response = hints.hint(request, measured(30), profile="hybrid")

    assert response.recommended_codec == "opus"
    assert response.confidence_score == 0


def test_off_is_off() -> None:
    request = wish()
    request.ClearField("mode")

    assert hints.hint(request, measured(9), profile="hybrid").recommended_codec == "none"


@pytest.mark.parametrize(
    ("path", "changes"),
    [
        ("metadata.width", {"metadata": {"width": 5000}}),
        ("metadata.codec", {"metadata": {"codec": "H264"}}),
        ("mode", {"mode": 9}),
        ("network.rtt_ms", {"network": {"rtt_ms": -1}}),
        ("metadata.bitrate_kbps", {"metadata": {"bitrate_kbps": -1}}),
    ],
)
def test_the_field_at_fault_is_named(path: str, changes: dict) -> None:
    with pytest.raises(FieldError) as refused:
        ask(Costs(), **changes)

    assert refused.value.path == path


def test_neither_picture_nor_sound_is_refused() -> None:
    with pytest.raises(FieldError, match="metadata"):
        hints.hint(pb.CompressionHintRequest(session_id="a"), Costs(), profile="hybrid")


@given(st.lists(st.floats(0.1, 500), min_size=1, max_size=50))
def test_a_percentile_is_a_time_that_was_measured(times: list[float]) -> None:
    costs = Costs()
    for ms in times:
        costs.note(Media.AUDIO, (0, 0), encode_ms=ms, bits_per_pixel=0, ssim=None)

    seen = costs.expect(Media.AUDIO, (0, 0), bits_per_pixel=0)

    assert seen.p50_ms in times
    assert seen.p95_ms in times
    assert seen.samples == len(times)


def test_costs_are_bounded() -> None:
    costs = measured(3 * KEPT)

    assert costs.expect(Media.VIDEO, SIZE, bits_per_pixel=0.02).samples == KEPT
    assert costs.frames == 3 * KEPT


@pytest.mark.parametrize(
    ("path", "sample"),
    [
        ("samples[0].bandwidth_kbps", {"bandwidth_kbps": -1}),
        ("samples[0].rtt_ms", {"rtt_ms": -1}),
        ("samples[0].timestamp_us", {"timestamp_us": -1}),
        ("samples[0].packet_loss_percent", {"packet_loss_percent": float("nan")}),
    ],
)
def test_a_bad_sample_is_named(path: str, sample: dict) -> None:
    request = pb.NetworkAnalysisRequest(session_id="a", samples=[pb.NetworkSample(**sample)])

    with pytest.raises(FieldError) as refused:
        hints.network(request)

    assert refused.value.path == path


def test_too_many_samples_are_refused() -> None:
    samples = [pb.NetworkSample()] * (hints.MAX_SAMPLES + 1)

    with pytest.raises(FieldError, match="samples"):
        hints.network(pb.NetworkAnalysisRequest(session_id="a", samples=samples))
