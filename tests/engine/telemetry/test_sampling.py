"""From jobs to a scrape and to rows of a real database."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from auralink.engine.inference.outcome import FrameOutcome
from auralink.engine.relay.job_values import JobSnapshot
from auralink.engine.stores.database.records import RecordsSettings, open_records
from auralink.engine.stores.database.retention import Retention
from auralink.engine.stores.records import IntervalRow, RecordsStatus, Row, SessionRow
from auralink.engine.telemetry.alerting import Alerting, Thresholds
from auralink.engine.telemetry.frame_sums import AnsweredFrame, FrameSums, StreamName
from auralink.engine.telemetry.metrics import Metrics
from auralink.engine.telemetry.process import read_process
from auralink.engine.telemetry.sampling import InferenceCounts, Sampler, Sources, sampling

from .snapshots import job, room, up


class Jobs:
    def __init__(self, *listed: JobSnapshot) -> None:
        self.listed = list(listed)
        self.load = 0.5

    def list(self) -> list[JobSnapshot]:
        return self.listed


class Clock:
    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


def sampler(metrics: Metrics, clock: Clock, **sources: Any) -> tuple[Sampler, FrameSums]:
    frames = FrameSums("e1")
    made = Sampler(
        metrics,
        Sources(wall=clock, **sources),
        engine_id="e1",
        frames=frames,
        alerting=Alerting(Thresholds(), iter(str(i) for i in range(100)).__next__),
    )
    return made, frames


def scraped(metrics: Metrics, name: str) -> dict[tuple[str, ...], float]:
    """By the values of the labels, in the order of their names."""
    return {
        tuple(sample.labels.values()): sample.value
        for family in text_string_to_metric_families(metrics.page().body.decode())
        for sample in family.samples
        if sample.name == name
    }


@pytest.fixture
def metrics() -> Metrics:
    return Metrics(version="1", started=0.0)


def test_a_look_shows_jobs_streams_and_load(metrics: Metrics) -> None:
    jobs = Jobs(
        job(up(rung="plain"), up("TR_2", rung="plain")), job(up(kind="audio", packets=5), name="j2")
    )
    made, _ = sampler(metrics, Clock(), jobs=lambda: jobs)

    made.look()

    assert scraped(metrics, "aic_jobs")[("running",)] == 2
    assert scraped(metrics, "aic_jobs")[("failed",)] == 0
    assert scraped(metrics, "aic_streams") == {("up", "video"): 2, ("up", "audio"): 1}
    assert scraped(metrics, "aic_streams_on_rung") == {("plain",): 2}
    assert scraped(metrics, "aic_sessions") == {(): 2}
    assert scraped(metrics, "aic_engine_load_ratio") == {(): 0.5}


def test_a_room_that_stays_away_is_timed_from_the_first_look(metrics: Metrics) -> None:
    clock, jobs = Clock(), Jobs(job(rooms=(room(connected=False),)))
    made, _ = sampler(metrics, clock, jobs=lambda: jobs)
    made.look()
    clock.now += 45

    made.look()
    away = scraped(metrics, "aic_room_away_seconds")
    jobs.listed = [job(rooms=(room(),))]
    made.look()

    assert away == {(): 45}
    assert scraped(metrics, "aic_room_away_seconds") == {(): 0}


def test_outcomes_of_the_inference_engine_are_counted_on(metrics: Metrics) -> None:
    counts = {FrameOutcome.CODED: 10, FrameOutcome.LATE: 2, FrameOutcome.STALE: 1}

    def inference() -> InferenceCounts:
        return InferenceCounts(waiting=3, open=4, outcomes=counts, breakers={})

    made, _ = sampler(metrics, Clock(), inference=inference)
    made.look()
    counts[FrameOutcome.LATE] = 7
    made.look()

    assert scraped(metrics, "aic_frames_total") == {
        ("any", "coded", "inference"): 10,
        ("any", "fell_back", "inference"): 7,
        ("any", "dropped", "inference"): 1,
    }
    assert scraped(metrics, "aic_fallback_total") == {("inference", "late"): 7}
    assert scraped(metrics, "aic_queue_depth") == {(): 3}


async def test_intervals_become_rows_of_the_database(metrics: Metrics, tmp_path: Path) -> None:
    clock, jobs = Clock(), Jobs(job(up()))
    keep = Retention(metrics_days=100_000)
    settings = RecordsSettings(
        url=f"sqlite:///{tmp_path}/aic.db", required=True, lost_after_s=1e12, keep=keep
    )
    async with open_records(settings) as records:
        made, frames = sampler(metrics, clock, jobs=lambda: jobs, records=lambda: records)
        made.look()
        frames.add(
            StreamName(owner="acme", session="call", participant="ann", kind="audio"),
            AnsweredFrame(latency_ms=99.0),
        )
        clock.now += 10
        made.end_interval()
        await records.flush()

        rows = await records.metrics()
        sessions = await records.sessions()
        alerts = await records.alerts()
        made.look()

    assert {(row.session_id, row.frames, row.interval_s) for row in rows} == {
        ("j1.aic-up", 115, 10.0),
        ("acme.call.ann", 1, 10.0),
    }
    assert {row.session_id for row in sessions} == {"j1.aic-up", "acme.call.ann"}
    assert [(one.kind, one.value, one.owner) for one in alerts] == [("high_latency", 99.0, "acme")]
    assert scraped(metrics, "aic_records_written_total")[()] >= 5


async def test_sampling_goes_on_after_a_bad_look_and_writes_the_last_interval(
    metrics: Metrics, caplog: pytest.LogCaptureFixture
) -> None:
    looks = 0
    written: list[Row] = []

    class Records:
        def write(self, *rows: Row) -> None:
            written.extend(rows)

        def status(self) -> RecordsStatus:
            return RecordsStatus(
                backend="none", connected=True, buffered=0, capacity=1, written=0, dropped=0
            )

    def jobs() -> Jobs:
        nonlocal looks
        looks += 1
        if looks < 3:
            raise RuntimeError("a bad look")
        return Jobs(job(up()))

    made, _ = sampler(metrics, Clock(), jobs=jobs, records=Records)
    enough = asyncio.Event()

    async def sleep(seconds: float) -> None:
        if looks > 3:
            enough.set()
        await asyncio.sleep(0.001 if seconds < 100 else seconds)

    async with sampling(made, interval_s=1e9, sleep=sleep):
        async with asyncio.timeout(5):
            await enough.wait()

    assert "a bad look" in caplog.text
    assert scraped(metrics, "aic_frames_total")[("video", "coded", "relay")] == 100
    assert [type(row) for row in written] == [IntervalRow, SessionRow]


def test_memory_is_that_of_this_process_at_least() -> None:
    found = read_process({})

    assert found.memory_bytes is not None
    assert found.memory_bytes > 10_000_000
    assert found.certificates == {}


def test_a_file_that_is_no_certificate_is_named(tmp_path: Path) -> None:
    (tmp_path / "bad.pem").write_text("nothing")

    with pytest.raises(OSError, match=r"bad\.pem"):
        read_process({"grpc": tmp_path / "bad.pem"})
