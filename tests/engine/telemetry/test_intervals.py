"""Rows of jobs and of frames, and the alerts that they raise."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from auralink.engine.relay.job_values import JobState
from auralink.engine.stores.records import IntervalRow, ModelRow, SessionRow
from auralink.engine.telemetry.alerting import Alerting, Thresholds
from auralink.engine.telemetry.deltas import JobDeltas
from auralink.engine.telemetry.frame_sums import (
    AnsweredFrame,
    FrameSums,
    StreamName,
    percentile,
)
from auralink.engine.telemetry.intervals import JobIntervals

from .snapshots import down, job, room, up

NAME = StreamName(owner="acme", session="call", participant="ann", kind="video")
BEGAN = datetime(2026, 3, 1, tzinfo=UTC)
ENDED = BEGAN + timedelta(seconds=10)


def test_a_stream_has_a_row_per_interval_and_its_session_the_sums() -> None:
    deltas, intervals = JobDeltas(), JobIntervals("e1")
    for grown in (1, 2):
        found = job(up(bytes=1_000 * grown, outcomes={"coded": 10 * grown, "dropped_rate": grown}))
        intervals.add(deltas.take([found]).streams)

    rows = intervals.end([found], 2_000.0, 10.0)

    row, session = rows
    assert isinstance(row, IntervalRow)
    assert (row.session_id, row.call_id, row.owner) == ("j1.aic-up", "room", "acme")
    assert (row.frames, row.drops, row.link_bytes) == (22, 2, 2_000)
    assert row.original_bytes is None
    assert row.latency_mean_ms is None
    assert isinstance(session, SessionRow)
    assert (session.session_id, session.frames, session.link_bytes) == ("j1.aic-up", 22, 2_000)
    assert session.ended_at is None
    assert session.seen_at == datetime.fromtimestamp(2_000, UTC)


def test_fallbacks_of_the_ladder_are_in_the_row_with_their_first_reason() -> None:
    intervals = JobIntervals("e1")
    found = job(up(answers={"fell_back_late": 3, "fell_back_refused": 7}))
    intervals.add(JobDeltas().take([found]).streams)

    row, session = intervals.end([found], 2_000.0, 10.0)

    assert isinstance(row, IntervalRow)
    assert (row.fallbacks, row.fallback_reason) == (10, "refused")
    assert isinstance(session, SessionRow)
    assert session.fallbacks == 10


def test_an_interval_in_which_nothing_happened_has_no_row_but_the_session_is_seen() -> None:
    deltas, intervals = JobDeltas(), JobIntervals("e1")
    intervals.add(deltas.take([job(up())]).streams)
    intervals.end([job(up())], 2_000.0, 10.0)

    intervals.add(deltas.take([job(up())]).streams)
    (only,) = intervals.end([job(up())], 2_010.0, 10.0)

    assert isinstance(only, SessionRow)


def test_a_job_that_is_over_ends_its_sessions_once() -> None:
    intervals = JobIntervals("e1")
    over = replace(job(up(), state=JobState.ENDED), since=1_500.0)

    (session,) = intervals.end([over], 2_000.0, 10.0)

    assert isinstance(session, SessionRow)
    assert session.ended_at == datetime.fromtimestamp(1_500, UTC)
    assert session.end_reason == "ended"
    assert intervals.end([over], 2_010.0, 10.0) == []


def test_pictures_that_froze_are_drops_of_the_way_out() -> None:
    intervals = JobIntervals("e1")
    found = job(downs=(down(),), rooms=(room("aic-down"),))
    intervals.add(JobDeltas().take([found]).streams)

    row, _ = intervals.end([found], 2_000.0, 10.0)

    assert isinstance(row, IntervalRow)
    assert (row.session_id, row.frames, row.drops) == ("j1.aic-down", 105, 5)
    assert row.link_bytes is None


def test_frames_are_summed_per_stream_and_model() -> None:
    sums = FrameSums("e1")
    for ms in range(1, 101):
        sums.add(
            NAME,
            AnsweredFrame(
                latency_ms=ms, encode_ms=ms / 2, link_bytes=100, quality=0.9,
                profile="hybrid", version="3",
            ),
        )  # fmt: skip
    for _ in range(20):
        sums.add(NAME, AnsweredFrame(latency_ms=1, fallback="late"))
    sums.add(NAME, AnsweredFrame(latency_ms=1, fallback="busy"))

    row, session, model = sums.end(BEGAN, ENDED)

    assert isinstance(row, IntervalRow)
    assert (row.frames, row.fallbacks, row.fallback_reason) == (121, 21, "late")
    assert (row.link_bytes, row.original_bytes) == (10_000, None)
    assert row.latency_p95_ms == 94
    assert row.latency_mean_ms == pytest.approx((5050 + 21) / 121)
    assert row.quality_score == pytest.approx(0.9)
    assert isinstance(session, SessionRow)
    assert (session.session_id, session.frames) == ("acme.call.ann", 121)
    assert isinstance(model, ModelRow)
    assert (model.model, model.version, model.calls) == ("hybrid", "3", 100)
    assert (model.p50_ms, model.p95_ms, model.p99_ms) == (25.0, 47.5, 49.5)
    assert sums.end(ENDED, ENDED + timedelta(seconds=10)) == [
        replace(session, seen_at=ENDED, started_at=BEGAN)
    ]


def test_a_silent_session_ends_when_it_was_heard_of_last() -> None:
    sums = FrameSums("e1")
    sums.add(NAME, AnsweredFrame(latency_ms=1))
    sums.end(BEGAN, ENDED)
    later = [ENDED + timedelta(seconds=10 * i) for i in range(4)]

    (still,) = sums.end(later[0], later[1])
    (ended,) = sums.end(later[1], later[2])

    assert isinstance(still, SessionRow)
    assert still.ended_at is None
    assert isinstance(ended, SessionRow)
    assert (ended.ended_at, ended.end_reason) == (ENDED, "silent")
    assert sums.end(later[2], later[3]) == []


def test_two_tenants_may_choose_the_same_names() -> None:
    sums = FrameSums("e1")
    sums.add(NAME, AnsweredFrame(latency_ms=1))
    sums.add(replace(NAME, owner="other"), AnsweredFrame(latency_ms=1))

    rows = sums.end(BEGAN, ENDED)

    ids = {row.session_id for row in rows if isinstance(row, SessionRow)}
    assert ids == {"acme.call.ann", "other.call.ann"}


def test_a_flood_of_sessions_takes_bounded_memory() -> None:
    sums = FrameSums("e1")

    for i in range(5_000):
        sums.add(replace(NAME, session=f"s{i}"), AnsweredFrame(latency_ms=1))

    assert sums.left_out == 3_000
    assert len(sums.end(BEGAN, ENDED)) == 4_000  # an interval and a session each


@given(st.lists(st.floats(0, 1e6), min_size=1), st.floats(0.01, 1))
def test_a_percentile_is_a_value_that_the_share_does_not_exceed(
    values: list[float], share: float
) -> None:
    found = percentile(values, share)

    assert found in values
    assert sum(one <= found for one in values) >= share * len(values) - 1e-6
    assert sum(one < found for one in values) < share * len(values) + 1e-6


# -- alerts ----------------------------------------------------------------------------------------


def row(**changes: object) -> IntervalRow:
    return replace(
        IntervalRow(
            session_id="s", call_id="room", participant_id="ann", owner="acme", track_id="TR_1",
            kind="video", profile="hybrid", ended_at=ENDED, interval_s=10.0, frames=200,
        ),
        **changes,
    )  # type: ignore[arg-type]  # fmt: skip


def alerting() -> Alerting:
    return Alerting(Thresholds(), new_id=iter("abcdefgh").__next__)


@pytest.mark.parametrize(
    ("bad", "kind", "severity"),
    [
        ({"latency_p95_ms": 31.0}, "high_latency", "warning"),
        ({"latency_p95_ms": 61.0}, "high_latency", "critical"),
        ({"fallbacks": 11, "fallback_reason": "late"}, "excessive_fallback", "warning"),
        ({"quality_score": 0.79}, "quality_degradation", "warning"),
        ({"original_bytes": 100, "link_bytes": 101}, "bandwidth_anomaly", "warning"),
    ],
)
def test_a_value_past_its_threshold_is_an_alert_of_its_owner(
    bad: dict[str, object], kind: str, severity: str
) -> None:
    (found,) = alerting().judge([row(**bad)])

    assert (found.kind, found.severity, found.owner) == (kind, severity, "acme")
    assert (found.call_id, found.participant_id) == ("room", "ann")
    assert found.resolved_at is None
    assert found.threshold is not None
    assert "TR_1" in found.message


def test_what_was_not_measured_raises_nothing() -> None:
    assert alerting().judge([row(), row(frames=10, fallbacks=10)]) == []


def test_an_alert_is_resolved_when_the_value_is_well_again_and_only_then() -> None:
    watch = alerting()
    watch.judge([row(latency_p95_ms=50.0)])

    still = watch.judge([row(latency_p95_ms=40.0)])
    other = watch.judge([row(latency_p95_ms=5.0, participant_id="bob")])
    well = watch.judge([row(latency_p95_ms=5.0)])
    again = watch.judge([row(latency_p95_ms=5.0)])

    assert [one.resolved_at for one in still] == [None]
    assert other == []
    assert [(one.kind, one.resolved_at, one.resolved_by) for one in well] == [
        ("high_latency", ENDED, "engine")
    ]
    assert again == []
