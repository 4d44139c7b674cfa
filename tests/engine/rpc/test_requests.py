"""Requests are checked field by field, and the field at fault is named."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from auralink.engine.rpc.failures import FieldError
from auralink.engine.rpc.requests import Media, i420_bytes, read_job
from auralink.engine.rpc.stubs import aic_compression_pb2 as pb

from ...codecs.pictures import moving
from .frames import TINY_BYTES, picture, sound, tiny

BAD = {
    "session_id": [
        {"session_id": "a b"},
        {"session_id": "x" * 129},
        {"session_id": "ä"},
        {"session_id": "a\n"},
    ],
    "call_id": [{"call_id": "x" * 129}, {"call_id": "a\r\nb"}],
    "participant_id": [{"participant_id": "\x00"}],
    "frame_number": [{"frame_number": -1}],
    "timestamp_us": [{"timestamp_us": -1}, {"timestamp_us": (1 << 62) + 1}],
    "frame_data": [{"frame_data": bytes(TINY_BYTES - 1)}, {"frame_data": bytes(TINY_BYTES + 1)}],
    "frame_type": [{"frame_type": 4}, {"frame_type": 77}],
    "mode": [{"mode": 4}, {"mode": -1}],
    "target_compression_ratio": [
        {"target_compression_ratio": -0.1},
        {"target_compression_ratio": 1.0},
        {"target_compression_ratio": math.nan},
        {"target_compression_ratio": math.inf},
    ],
    "max_latency_ms": [{"max_latency_ms": -1}, {"max_latency_ms": 10_001}],
    "metadata.width": [{"metadata": {"width": -16}}, {"metadata": {"width": 4097}}],
    "metadata.height": [
        {"metadata": {"height": -1}},
        {"metadata": {"width": 4096, "height": 4096}},
    ],
    "metadata.fps": [{"metadata": {"fps": 241}}, {"metadata": {"fps": -1}}],
    "metadata.codec": [{"metadata": {"codec": "H264"}}],
    "metadata.bitrate_kbps": [{"metadata": {"bitrate_kbps": -1}}],
    "network.available_bandwidth_kbps": [{"network": {"available_bandwidth_kbps": -1}}],
    "network.rtt_ms": [{"network": {"rtt_ms": -5}}],
    "network.packet_loss_percent": [
        {"network": {"packet_loss_percent": 100.5}},
        {"network": {"packet_loss_percent": math.nan}},
    ],
    "network.jitter_ms": [{"network": {"jitter_ms": -math.inf}}],
}


@pytest.mark.parametrize(
    ("path", "changes"), [(path, change) for path, changes in BAD.items() for change in changes]
)
def test_the_field_at_fault_is_named(path: str, changes: dict) -> None:
    with pytest.raises(FieldError) as refused:
        read_job(tiny(1, **changes), "default")

    assert refused.value.path == path


def test_every_field_that_counts_has_a_bad_value_above() -> None:
    unused = {"metadata", "network"}
    names = {field.name for field in pb.CompressFrameRequest.DESCRIPTOR.fields}

    assert names - unused == {path for path in BAD if "." not in path}


@pytest.mark.parametrize(
    ("path", "changes"),
    [
        ("frame_data", {"frame_data": bytes(1918)}),
        ("metadata.sample_rate", {"metadata": {"sample_rate": 1}}),
        ("metadata.channels", {"metadata": {"channels": 10**6}}),
        ("metadata.codec", {"metadata": {"codec": "opus"}}),
        ("timestamp_us", {"timestamp_us": 1 << 48}),
    ],
)
def test_sound_has_rules_of_its_own(path: str, changes: dict) -> None:
    with pytest.raises(FieldError) as refused:
        read_job(sound(1, np.zeros(960, np.int16), **changes), "default")

    assert refused.value.path == path


def test_a_missing_session_is_refused() -> None:
    request = tiny(1)
    request.ClearField("session_id")

    with pytest.raises(FieldError, match="session_id"):
        read_job(request, "default")


def test_large_sizes_with_a_byte_are_refused_before_anything_is_made() -> None:
    request = pb.CompressFrameRequest(
        session_id="a",
        frame_type=pb.FRAME_TYPE_VIDEO,
        frame_data=b"x",
        metadata=pb.FrameMetadata(width=4096, height=2304),
    )

    with pytest.raises(FieldError, match="14155776"):
        read_job(request, "default")


@given(st.integers(1, 200), st.integers(1, 200))
def test_a_picture_has_the_planes_that_were_sent(width: int, height: int) -> None:
    frame = moving(0, (width, height))

    job = read_job(picture(frame, 7), "acme")

    assert len(job.data) == i420_bytes(frame.size)
    assert job.frame().same_pixels(frame)
    assert job.frame().pts_us == frame.pts_us
    assert (job.key.tenant, job.key.media) == ("acme", Media.VIDEO)


def test_samples_are_those_that_were_sent() -> None:
    samples = np.arange(-480, 480, dtype=np.int16)

    job = read_job(sound(1, samples), "default")

    assert np.array_equal(job.samples(), samples)
    assert job.budget is not None
    assert job.budget.bitrate_bps == 24_000


def test_no_mode_and_no_limit_are_what_is_not_set() -> None:
    request = tiny(1)
    request.ClearField("mode")

    job = read_job(request, "default")

    assert job.budget is None
    assert job.limit_s is None
