"""What is written is what is read, on both databases."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy.ext.asyncio import AsyncConnection

from auralink.engine.stores.database import statements
from auralink.engine.stores.database.connection import Database
from auralink.engine.stores.database.migrate import migrate
from auralink.engine.stores.database.records import (
    DatabaseRecords,
    RecordsSettings,
    open_records,
)
from auralink.engine.stores.database.retention import Retention
from auralink.engine.stores.records import Row, UserConfig

from .rows import NOON, after, alert, interval, session, window

# The rows of these tests are old; that is not what they are about.
FOREVER = Retention(metrics_days=100_000, sessions_days=100_000, alerts_days=100_000)


@pytest.fixture
async def records(database_url: str) -> AsyncIterator[DatabaseRecords]:
    database = Database(database_url)
    await migrate(database)
    await database.close()
    settings = RecordsSettings(url=database_url, required=True, lost_after_s=1e9, keep=FOREVER)
    async with open_records(settings) as records:
        yield records


async def test_rows_come_back_as_they_were_written(records: DatabaseRecords) -> None:
    measured = interval(
        original_bytes=100_000,
        link_bytes=20_000,
        latency_mean_ms=7.25,
        latency_p95_ms=12.5,
        quality_score=0.97,
        psnr_db=38.5,
        available_bps=120_000,
        rtt_ms=80.0,
        loss=0.01,
        fallbacks=2,
        drops=1,
        fallback_reason="deadline",
    )

    records.write(session(), measured, window(), alert())
    await records.flush()

    assert await records.sessions() == [session()]
    assert await records.session("s1") == session()
    assert await records.metrics() == [measured]
    assert await records.models(NOON) == [window()]
    assert await records.alerts() == [alert()]


async def test_writing_twice_is_writing_once(records: DatabaseRecords) -> None:
    for _ in range(2):  # as after an answer that got lost
        records.write(session(), interval(), window(), alert())
        await records.flush()

    assert len(await records.sessions()) == 1
    assert len(await records.metrics()) == 1
    assert len(await records.models(NOON)) == 1
    assert len(await records.alerts()) == 1


async def test_a_config_is_replaced_at_once(records: DatabaseRecords) -> None:
    first = UserConfig(user_id="ann", updated_at=NOON)
    await records.save_config(first)

    await records.save_config(replace(first, mode="off", opt_out=True, updated_at=after(1)))

    found = await records.config("ann")
    assert found is not None
    assert (found.mode, found.opt_out, found.updated_at) == ("off", True, after(1))
    assert await records.config("bob") is None


async def test_a_session_grows_and_stays_ended(records: DatabaseRecords) -> None:
    records.write(session(frames=10), session(frames=20, seen_at=after(20)))
    await records.flush()
    ended = session(frames=30, ended_at=after(30), end_reason="left")
    records.write(ended)
    await records.flush()

    records.write(session(frames=31))  # a late report

    await records.flush()
    (found,) = await records.sessions()
    assert (found.frames, found.ended_at, found.end_reason) == (31, after(30), "left")


async def test_a_call_has_one_open_session_of_a_participant(records: DatabaseRecords) -> None:
    records.write(session("old"))
    await records.flush()

    # Another engine took over; the first still tells of its own, later and in the same batch.
    records.write(session("new", started_at=after(60)), session("old", frames=5))
    await records.flush()
    records.write(session("old", frames=6))
    await records.flush()

    old = await records.session("old")
    assert old is not None
    assert (old.ended_at, old.end_reason, old.frames) == (after(60), "replaced", 6)
    assert [row.session_id for row in await records.sessions(live=True)] == ["new"]
    assert [row.session_id for row in await records.sessions(live=False)] == ["old"]


async def test_reads_are_narrowed_and_newest_first(records: DatabaseRecords) -> None:
    records.write(
        session("s1"),
        session("s2", participant_id="bob", owner="other", started_at=after(5)),
        session("s3", call_id="room2", started_at=after(9)),
        *(interval(at_s=10 * i) for i in range(5)),
        interval(session_id="s2", participant_id="bob", owner="other"),
    )
    await records.flush()

    assert [row.session_id for row in await records.sessions()] == ["s3", "s2", "s1"]
    assert [row.session_id for row in await records.sessions(owner="other")] == ["s2"]
    assert [row.session_id for row in await records.sessions(call_id="room2")] == ["s3"]
    assert await records.session("s2", owner="owner") is None
    newest = await records.metrics(session_id="s1", since=after(20), limit=2)
    assert [row.ended_at for row in newest] == [after(40), after(30)]
    assert len(await records.metrics(participant_id="bob")) == 1
    assert len(await records.metrics(owner="other")) == 1


async def test_the_summary_counts_what_was_measured(records: DatabaseRecords) -> None:
    records.write(
        interval(10, frames=100, latency_mean_ms=10.0, latency_p95_ms=15.0, quality_score=0.9,
                 original_bytes=1_000, link_bytes=200, fallbacks=3),
        interval(20, frames=300, latency_mean_ms=20.0, latency_p95_ms=30.0, quality_score=0.8,
                 original_bytes=1_000, link_bytes=400, drops=2),
        interval(30, frames=600, original_bytes=5_000),  # nobody knows what the link carried
        interval(90),  # not in the window
    )  # fmt: skip
    await records.flush()

    found = await records.performance(NOON, after(60))

    assert (found.sessions, found.intervals, found.frames) == (1, 3, 1000)
    assert (found.fallbacks, found.drops) == (3, 2)
    assert (found.original_bytes, found.link_bytes, found.saved_bytes) == (2_000, 600, 1_400)
    assert found.compression_ratio == pytest.approx(0.7)
    assert found.latency_mean_ms == pytest.approx(17.5)
    assert found.latency_worst_p95_ms == 30.0
    assert found.quality_mean == pytest.approx(0.825)
    assert found.quality_worst == 0.8
    assert found.fallback_rate == pytest.approx(0.003)


async def test_nothing_measured_is_no_figure_and_not_zero(records: DatabaseRecords) -> None:
    found = await records.performance(NOON, after(60), owner="nobody")

    assert (found.frames, found.original_bytes) == (0, 0)
    assert found.compression_ratio is None
    assert found.fallback_rate is None
    assert found.latency_mean_ms is None
    assert found.quality_mean is None
    assert await records.savings(NOON, after(60)) == []
    assert [band.frames for band in await records.quality(NOON, after(60))] == [0] * 5


async def test_savings_are_amounts_and_may_be_losses(records: DatabaseRecords) -> None:
    day = 86_400
    records.write(
        interval(0, original_bytes=3_000_000_000, link_bytes=1_000_000_000),
        interval(60, original_bytes=3_000_000_000, link_bytes=1_000_000_000),
        interval(day, original_bytes=100, link_bytes=350),
        interval(day + 1),
    )
    await records.flush()

    days = await records.savings(NOON - timedelta(days=1), after(2 * day))

    assert [(one.day, one.saved_bytes) for one in days] == [
        ("2026-03-01", 4_000_000_000),
        ("2026-03-02", -250),
    ]


async def test_quality_falls_into_bands(records: DatabaseRecords) -> None:
    scores = [0.0, 0.49, 0.5, 0.85, 0.94, 0.95, 1.0, None]
    records.write(*(interval(i, quality_score=score) for i, score in enumerate(scores)))
    await records.flush()

    bands = await records.quality(NOON, after(60))

    assert [(one.low, one.high) for one in bands] == [
        (0.0, 0.5), (0.5, 0.7), (0.7, 0.85), (0.85, 0.95), (0.95, 1.0),
    ]  # fmt: skip
    assert [one.intervals for one in bands] == [2, 1, 0, 2, 2]
    assert [one.frames for one in bands] == [400, 200, 0, 400, 400]


async def test_an_open_alert_is_updated_and_a_resolved_one_may_come_again(
    records: DatabaseRecords,
) -> None:
    records.write(alert("a1", value=25.0))
    await records.flush()
    records.write(alert("a2", created_at=after(9), severity="critical", value=60.0))
    await records.flush()
    (found,) = await records.alerts(resolved=False)
    assert (found.alert_id, found.created_at) == ("a1", NOON)
    assert (found.severity, found.value) == ("critical", 60.0)

    resolved = await records.resolve_alert("a1", by="ann", now=after(20), note="more cores")
    records.write(alert("a3", created_at=after(30)))
    await records.flush()

    assert resolved is not None
    assert (resolved.resolved_at, resolved.resolved_by) == (after(20), "ann")
    assert resolved.resolution == "more cores"
    assert [row.alert_id for row in await records.alerts(resolved=False)] == ["a3"]
    assert [row.alert_id for row in await records.alerts(resolved=True)] == ["a1"]
    assert [row.alert_id for row in await records.alerts(severity="critical")] == ["a1"]


async def test_the_engine_resolves_an_alert_whose_cause_is_gone(records: DatabaseRecords) -> None:
    records.write(alert("a1", call_id="room"), alert("a2", call_id="room2"))

    records.write(alert("later", call_id="room", resolved_at=after(5), resolved_by="engine"))

    await records.flush()
    assert [row.alert_id for row in await records.alerts(resolved=True)] == ["a1"]
    assert [row.alert_id for row in await records.alerts(resolved=False)] == ["a2"]


async def test_another_owner_cannot_resolve_an_alert(records: DatabaseRecords) -> None:
    records.write(alert("a1"), alert("service", kind="model_failure", owner=None))
    await records.flush()

    assert await records.resolve_alert("a1", by="eve", now=after(1), owner="eve") is None
    assert await records.resolve_alert("service", by="eve", now=after(1), owner="eve") is None
    assert await records.resolve_alert("no such", by="ann", now=after(1)) is None

    assert len(await records.alerts(resolved=False)) == 2
    first = await records.resolve_alert("a1", by="ann", now=after(2), owner="owner")
    again = await records.resolve_alert("a1", by="bob", now=after(3), owner="owner")
    assert first is not None
    assert again == first


async def test_a_row_that_the_database_refuses_does_not_hold_up_the_others(
    records: DatabaseRecords,
) -> None:
    bad = interval(5, quality_score=7.0)
    records.write(*(interval(at_s=100 + i) for i in range(20)), bad, interval(200))

    await records.flush()

    assert len(await records.metrics()) == 21
    status = records.status()
    assert (status.written, status.dropped, status.buffered) == (21, 1, 0)
    assert status.connected


async def test_a_fault_of_our_own_does_not_end_the_writing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    tries = 0
    write = statements.write

    async def stumble(connection: AsyncConnection, rows: Sequence[Row]) -> None:
        nonlocal tries
        tries += 1
        if tries < 3:
            raise RuntimeError("a bug")
        await write(connection, rows)

    async def short(seconds: float) -> None:
        await asyncio.sleep(min(seconds, 0.01))

    monkeypatch.setattr(statements, "write", stumble)
    settings = RecordsSettings(url=f"sqlite:///{tmp_path}/aic.db", required=True, keep=FOREVER)
    async with open_records(settings, sleep=short) as records:
        records.write(interval())
        async with asyncio.timeout(10):
            while records.status().buffered:  # noqa: ASYNC110 - a count has no event
                await asyncio.sleep(0.01)

        assert len(await records.metrics()) == 1
    assert "a bug" in caplog.text
