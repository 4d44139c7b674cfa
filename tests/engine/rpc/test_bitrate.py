"""Modes and ratios to bit rates."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from auralink.engine.rpc.bitrate import (
    LEAST_BPS,
    MOST_BPS,
    SHARES,
    audio_budget,
    video_budget,
)
from auralink.engine.rpc.stubs import aic_compression_pb2 as pb

MODES = st.sampled_from(sorted(SHARES))


def video(mode: pb.CompressionMode = pb.MODE_ADAPTIVE, **changes: float) -> int:
    wishes = {"ratio": 0.0, "fps": 20.0, "native_bps": 0, "available_bps": 0} | changes
    return video_budget(mode, size=(640, 360), **wishes).bitrate_bps


def test_adaptive_at_the_anchors_size_is_the_measured_comparison() -> None:
    # bench/results/thin.json: hybrid at 90k beside VP8 at 450k.
    assert video() == 90_000


def test_a_ratio_is_the_share_of_the_callers_own_bits() -> None:
    assert video(ratio=0.75, native_bps=1_000_000) == 250_000
    assert video_budget(
        pb.MODE_ADAPTIVE, ratio=0.75, size=(640, 360), fps=20, native_bps=10**6, available_bps=0
    ).saved == pytest.approx(0.75)


def test_modes_differ() -> None:
    rates = [video(mode) for mode in (pb.MODE_CONSERVATIVE, pb.MODE_ADAPTIVE, pb.MODE_AGGRESSIVE)]

    assert rates == sorted(rates, reverse=True)
    assert len(set(rates)) == 3


def test_a_thin_link_bounds_the_rate() -> None:
    assert video(available_bps=60_000) == 54_000


@given(
    mode=MODES,
    ratio=st.floats(0, 0.99),
    fps=st.integers(1, 240),
    native_bps=st.integers(0, 10**10),
    available_bps=st.integers(0, 10**10),
    size=st.tuples(st.integers(1, 4096), st.integers(1, 2304)),
)
def test_every_wish_gives_a_rate_that_encoders_take(
    mode: pb.CompressionMode, size: tuple[int, int], **wishes: float
) -> None:
    budget = video_budget(mode, size=size, **wishes)

    assert LEAST_BPS <= budget.bitrate_bps <= MOST_BPS
    assert budget.anchor_bps > 0


@given(
    mode=MODES,
    ratio=st.floats(0, 0.99),
    native_bps=st.integers(0, 10**10),
    available_bps=st.integers(0, 10**10),
)
def test_every_wish_gives_a_rate_that_opus_takes(mode: pb.CompressionMode, **wishes: float) -> None:
    budget = audio_budget(mode, **wishes)

    assert 6_000 <= budget.bitrate_bps <= 64_000
