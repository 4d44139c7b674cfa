"""What a tenant wants, and what jobs and refusals make of it."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from auralink.engine.service.errors import Conflict, Unusable
from auralink.engine.service.job_order import JobOrder, JobRequest
from auralink.engine.service.settings.tree import Compression, LiveKit, Settings
from auralink.engine.service.wishes import (
    MODES,
    FieldRefused,
    anchor_bps,
    applied,
    changed,
    defaults,
)
from auralink.engine.stores.records import Mode, Model, UserConfig

NOW = datetime(2026, 1, 1, tzinfo=UTC)
CONFIG = UserConfig(user_id="blue", updated_at=NOW)


def wanted(**more: Any) -> JobRequest:
    return JobRequest(room="standup", **more)


def test_every_mode_but_off_has_figures_of_its_own() -> None:
    assert set(MODES) == set(get_args(Mode)) - {"off"}
    assert len({(one.ratio, one.max_latency_ms, one.min_quality) for one in MODES.values()}) == 3


def test_the_defaults_are_the_modes_where_the_operator_named_no_figure() -> None:
    plain = defaults(Compression(mode="aggressive"), "blue", NOW)
    named = defaults(Compression(mode="aggressive", target_ratio=0.6), "blue", NOW)

    assert (plain.target_compression_ratio, plain.max_latency_ms) == (0.9, 25)
    assert plain.min_quality_score == 0.7
    assert (named.target_compression_ratio, named.max_latency_ms) == (0.6, 25)


def test_a_model_of_the_contract_that_is_not_here_is_taken_for_the_one_that_is() -> None:
    assert defaults(Compression(model_type="encodec"), "blue", NOW).model_type == "hybrid"


def test_with_a_mode_come_its_figures_unless_they_are_given() -> None:
    whole = changed(CONFIG, {"mode": "conservative"}, NOW)
    part = changed(CONFIG, {"mode": "conservative", "target_compression_ratio": 0.7}, NOW)
    kept = changed(part, {"max_latency_ms": 9}, NOW)

    assert (whole.target_compression_ratio, whole.max_latency_ms) == (0.5, 15)
    assert (part.target_compression_ratio, part.min_quality_score) == (0.7, 0.95)
    assert (kept.mode, kept.target_compression_ratio, kept.max_latency_ms) == (
        "conservative",
        0.7,
        9,
    )


@pytest.mark.parametrize("model", [name for name in get_args(Model) if name != "hybrid"])
def test_models_that_are_not_here_are_refused_by_field(model: str) -> None:
    with pytest.raises(FieldRefused, match=r"^model_type: .*hybrid") as refused:
        changed(CONFIG, {"model_type": model}, NOW)

    assert refused.value.field == "model_type"


def test_a_quality_that_nobody_would_hold_is_refused_by_field() -> None:
    with pytest.raises(FieldRefused, match=r"^min_quality_score: .*conservative 0\.95"):
        changed(CONFIG, {"min_quality_score": 0.9}, NOW)

    assert changed(CONFIG, {"mode": "aggressive", "min_quality_score": 0.7}, NOW).mode


@given(
    mode=st.sampled_from(get_args(Mode)),
    ratio=st.floats(0.1, 0.95),
    quality=st.floats(0.5, 1.0),
    model=st.sampled_from(get_args(Model)),
)
def test_what_is_posted_back_as_it_was_changes_nothing(
    mode: Mode, ratio: float, quality: float, model: Model
) -> None:
    kept = replace(
        CONFIG,
        mode=mode,
        target_compression_ratio=ratio,
        min_quality_score=quality,
        model_type=model,
    )
    fields = {
        name: getattr(kept, name)
        for name in ("mode", "target_compression_ratio", "max_latency_ms", "model_type", "enabled")
    }

    assert replace(changed(kept, fields, NOW), min_quality_score=quality) == kept


def test_a_job_gets_the_bits_that_the_ratio_leaves_of_its_pictures() -> None:
    small = wanted(width=640, height=360, fps=20.0)

    rates = [
        applied(replace(CONFIG, target_compression_ratio=ratio), small).rate_bps
        for ratio in (0.5, 0.8, 0.9)
    ]

    assert anchor_bps((640, 360), 20.0) == 450_000
    assert rates == [225_000 + 16_000, 90_000 + 16_000, 45_000 + 16_000]


def test_what_a_request_names_is_left_alone() -> None:
    named = wanted(rate_bps=123_000, max_latency_ms=7, profile="native-av1")

    found = applied(replace(CONFIG, model_type="encodec"), named)

    assert (found.rate_bps, found.max_latency_ms, found.profile) == (123_000, 7, "native-av1")


def test_the_least_rate_is_one_that_carries_a_call() -> None:
    tiny = wanted(width=16, height=16, fps=1.0, audio_bps=6_000)

    assert applied(CONFIG, tiny).rate_bps == 20_000


def test_a_latency_bounds_the_share_of_a_core_and_never_raises_it() -> None:
    options = [
        _options(applied(replace(CONFIG, max_latency_ms=latency), wanted(fps=30.0)))
        for latency in (5, 10, 100)
    ]

    assert [round(one.encoder.cores, 3) for one in options] == [0.15, 0.3, 0.4]


@pytest.mark.parametrize(
    ("off", "field"),
    [({"enabled": False}, "enabled"), ({"opt_out": True}, "opt_out"), ({"mode": "off"}, "mode")],
)
def test_switched_off_is_refused_by_field(off: dict[str, Any], field: str) -> None:
    with pytest.raises(Conflict, match=f"tenant: {field}\n"):
        applied(replace(CONFIG, **off), wanted())


def test_a_kept_model_that_is_not_here_is_refused_by_field() -> None:
    with pytest.raises(Unusable, match=r"^model_type"):
        applied(replace(CONFIG, model_type="lyra"), wanted())


def _options(request: JobRequest) -> Any:
    server = LiveKit(url="ws://127.0.0.1:7880", api_key="key")
    order = JobOrder.parse(JobOrder(tenant="blue", request=request).model_dump_json())
    return order.spec("a", Settings(livekit=server)).settings.options
