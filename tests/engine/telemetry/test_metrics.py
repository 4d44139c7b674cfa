"""What Prometheus gets: names of the catalogue, bounded series, a registry of one's own."""

import re
import subprocess
import threading
from pathlib import Path

import pytest
from prometheus_client import REGISTRY
from prometheus_client.parser import text_string_to_metric_families

from auralink.engine.inference.breaker import BreakerStatistics, State
from auralink.engine.telemetry.catalogue import CATALOGUE, exported_names
from auralink.engine.telemetry.deltas import JobDeltas
from auralink.engine.telemetry.metrics import Metrics
from auralink.engine.telemetry.readings import (
    InferenceReading,
    JobsReading,
    ModelsReading,
    ProcessReading,
    Readings,
    RecordsReading,
    WorkersReading,
)

from .promtool import promtool
from .snapshots import job, up

# The names that the contract gave, which were exported nowhere before.
CONTRACT = {
    "aic_compression_ratio",
    "aic_inference_latency_ms",
    "aic_quality_score",
    "aic_bandwidth_saved_bytes_total",
    "aic_requests_total",
    "aic_fallback_total",
    "aic_errors_total",
    "aic_gpu_utilization_percent",
    "aic_memory_usage_bytes",
}


@pytest.fixture
def metrics() -> Metrics:
    return Metrics(version="1.2.3", started=1_000.0)


def values(metrics: Metrics) -> dict[str, float]:
    """By name and labels, as in a query."""
    found = {}
    for family in text_string_to_metric_families(metrics.page().body.decode()):
        for sample in family.samples:
            labels = ",".join(f'{name}="{value}"' for name, value in sorted(sample.labels.items()))
            found[f"{sample.name}{{{labels}}}" if labels else sample.name] = sample.value
    return found


def breaker(state: State, trips: int = 1) -> BreakerStatistics:
    return BreakerStatistics(
        state=state, generation=1, calls=0, failed=0, slow=0, trips=trips, refused=7, outdated=0,
        probing=0, retry_at_us=None,
    )  # fmt: skip


def everything() -> Readings:
    return Readings(
        at=2_000.0,
        jobs=JobsReading(
            by_state={"running": 2, "failed": 1},
            sessions=4,
            streams={("up", "video"): 3},
            load=0.25,
            rungs={"wished": 2, "native": 1},
            away_s=12.0,
        ),
        inference=InferenceReading(
            queue_depth=3, in_flight=5, outcomes={}, breakers={"restore": breaker(State.OPEN)}
        ),
        workers=WorkersReading(ready=1, wanted=2, lost=4),
        models=ModelsReading(ready=1),
        records=RecordsReading(connected=True, buffered=9, written=100, dropped=2),
        redis=breaker(State.HALF_OPEN),
        process=ProcessReading(
            memory_bytes=1 << 30, gpu_percent=40.0, certificates={"grpc": 5_000.0}
        ),
    )


def use_all(metrics: Metrics) -> None:
    metrics.request(method="GET", route="/health", status=200, seconds=0.01)
    metrics.call(method="CompressFrame", code="OK", seconds=0.01, our_fault=False)
    metrics.frame(
        path="rpc", kind="video", outcome="coded", latency_ms=12.0, waited_ms=1.0,
        quality=0.97, sizes=(1000, 100),
    )  # fmt: skip
    metrics.frame(
        path="rpc", kind="audio", outcome="fell_back", latency_ms=1.0, waited_ms=0.0,
        fallback="late",
    )  # fmt: skip
    deltas = JobDeltas()
    for sizes in ((20_000, 60_000), (100_000, 61_000)):
        for stream in deltas.take([job(up(bytes=sizes[0], original_bytes=sizes[1]))]).streams:
            metrics.stream(stream)
    metrics.jobs(restarts=2, losses=3)
    metrics.step("encode", 0.012)
    metrics.model_refused()
    metrics.lag(0.02)
    metrics.show(everything())


def test_names_of_the_contract_are_in_the_catalogue() -> None:
    assert {metric.name for metric in CATALOGUE} >= CONTRACT


def test_every_metric_of_the_catalogue_is_exported_and_no_other(metrics: Metrics) -> None:
    use_all(metrics)

    families = list(text_string_to_metric_families(metrics.page().body.decode()))

    found = {sample.name for family in families for sample in family.samples}
    assert found == exported_names()
    for metric in CATALOGUE:
        (family,) = [one for one in families if one.name == metric.name.removesuffix("_total")]
        assert family.type == metric.kind
        labels = {name for sample in family.samples for name in sample.labels} - {"le"}
        assert labels == set(metric.labels), metric.name


def test_figures_are_what_happened(metrics: Metrics) -> None:
    use_all(metrics)

    found = values(metrics)

    assert found['aic_requests_total{api="http",code="200",method="GET /health"}'] == 1
    assert found['aic_fallback_total{path="rpc",reason="late"}'] == 1
    assert found['aic_streams_on_rung{rung="native"}'] == 1
    assert found['aic_inference_latency_ms_bucket{kind="video",le="15.0"}'] == 1
    assert found['aic_inference_latency_ms_bucket{kind="video",le="10.0"}'] == 0
    assert found['aic_compression_ratio{kind="video",path="rpc"}'] == pytest.approx(0.9)
    # 20 kB instead of 60, then 80 instead of 1: no counter goes down, the ratio tells the truth.
    assert found['aic_bandwidth_saved_bytes_total{kind="video"}'] == 40_000
    assert found['aic_bandwidth_overspent_bytes_total{kind="video"}'] == 79_000
    assert found['aic_compression_ratio{kind="video",path="relay"}'] == pytest.approx(1 - 100 / 61)
    assert found['aic_frames_total{kind="video",outcome="coded",path="relay"}'] == 100
    assert found['aic_breaker_state{name="restore"}'] == 2
    assert found['aic_breaker_state{name="redis"}'] == 1
    assert found["aic_redis_available"] == 0
    assert found["aic_records_dropped_total"] == 2
    assert found["aic_room_away_seconds"] == 12
    assert found['aic_certificate_expiry_timestamp_seconds{api="grpc"}'] == 5_000


def test_what_an_engine_does_not_have_is_not_zero_but_absent(metrics: Metrics) -> None:
    metrics.show(Readings(at=1.0))

    found = values(metrics)

    assert not [
        name for name in found if name.startswith(("aic_redis", "aic_model_ready", "aic_gpu"))
    ]
    assert found["aic_sample_timestamp_seconds"] == 1.0


@pytest.mark.parametrize(("status", "errors"), [(200, 0), (404, 0), (429, 0), (500, 1), (503, 1)])
def test_only_our_own_faults_are_errors(metrics: Metrics, status: int, errors: int) -> None:
    metrics.request(method="GET", route="/x", status=status, seconds=0.01)

    assert values(metrics)['aic_errors_total{api="http"}'] == errors


def test_applications_do_not_share_a_registry(metrics: Metrics) -> None:
    other = Metrics(version="1.2.3", started=1_000.0)

    metrics.jobs(restarts=1, losses=0)

    assert values(other)["aic_job_restarts_total"] == 0
    assert not [one for one in REGISTRY.collect() if one.name.startswith("aic_")]


def test_a_thousand_sessions_are_no_more_series_than_one(metrics: Metrics) -> None:
    for number in range(1_000):
        deltas = JobDeltas()
        for stream in deltas.take([job(up(f"TR_{number}"), name=f"job-{number}")]).streams:
            metrics.stream(stream)
    use_all(metrics)

    lines = metrics.page().body.decode().splitlines()

    assert len([line for line in lines if not line.startswith("#")]) < 300
    assert "TR_7" not in metrics.page().body.decode()


@pytest.mark.parametrize("hostile", ['"} evil 1', "line\nbreak", "\\", "ünï\u202e", "x" * 500])
def test_hostile_values_stay_one_label(metrics: Metrics, hostile: str) -> None:
    metrics.request(method=hostile, route=hostile, status=200, seconds=0.0)

    families = list(text_string_to_metric_families(metrics.page().body.decode()))

    (requests,) = [one for one in families if one.name == "aic_requests"]
    labels = [one.labels["method"] for one in requests.samples if one.name.endswith("_total")]
    assert labels == [f"{hostile} {hostile}"]


def test_a_scrape_beside_counting_is_consistent(metrics: Metrics) -> None:
    ended = threading.Event()
    failures: list[BaseException] = []

    def scrape() -> None:
        try:
            while not ended.is_set():
                metrics.page()
        except BaseException as error:
            failures.append(error)

    thread = threading.Thread(target=scrape)
    thread.start()
    for number in range(2_000):
        metrics.request(method="GET", route=f"/r{number % 50}", status=200, seconds=0.01)
        metrics.show(everything())
    ended.set()
    thread.join()

    assert failures == []


def test_promtool_finds_nothing_wrong_with_the_page(metrics: Metrics) -> None:
    use_all(metrics)
    done = subprocess.run(
        [promtool(), "check", "metrics"],
        input=metrics.page().body,
        capture_output=True,
        check=False,
    )

    complaints = [
        line for line in (done.stdout + done.stderr).decode().splitlines() if line.strip()
    ]
    allowed = re.compile(
        # The contract's units.
        r"aic_inference_latency_ms .*(base unit|abbreviated)"
        r"|aic_gpu_utilization_percent .*base unit"
    )
    assert [line for line in complaints if not allowed.search(line)] == []


def test_the_handbook_lists_the_catalogue() -> None:
    handbook = (Path(__file__).parents[3] / "docs" / "operations.md").read_text("utf-8")
    table = handbook.partition("<!-- metrics:begin -->")[2].partition("<!-- metrics:end -->")[0]

    listed = [line for line in table.splitlines() if line.startswith("| `")]

    assert listed == [
        f"| `{one.name}` | {one.kind} | {', '.join(one.labels) or '–'} | {one.help} |"
        for one in CATALOGUE
    ]
