"""Answers of the inference engine and steps of pictures, as metrics and rows."""

from datetime import UTC, datetime

import pytest
from prometheus_client.parser import text_string_to_metric_families

from auralink.engine.inference.backend import Media, Request
from auralink.engine.inference.engine import Answered
from auralink.engine.inference.outcome import FrameOutcome
from auralink.engine.stores.records import ModelRow
from auralink.engine.telemetry.frame_sums import FrameSums
from auralink.engine.telemetry.inference_observer import InferenceObserver
from auralink.engine.telemetry.metrics import Metrics
from auralink.engine.telemetry.picture_steps import PictureSteps
from auralink.engine.timeline import Span

BEGAN, NOW = datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 1, 1, 0, 0, 10, tzinfo=UTC)


@pytest.fixture
def metrics() -> Metrics:
    return Metrics(version="1", started=0.0)


def value(metrics: Metrics, name: str, **labels: str) -> float:
    return sum(
        sample.value
        for family in text_string_to_metric_families(metrics.page().body.decode())
        for sample in family.samples
        if sample.name == name and labels.items() <= sample.labels.items()
    )


def request() -> Request[None]:
    return Request(
        stream="a",
        media=Media.VIDEO,
        model="restore-s",
        size=(640, 360),
        captured_us=0,
        deadline_us=33_000,
        payload=None,
        tenant="blue",
    )


def answered(outcome: FrameOutcome, run_us: int) -> Answered[None]:
    return Answered(outcome=outcome, result=None, waited_us=2_000, run_us=run_us, total_us=12_000)


def test_an_answer_is_a_latency_and_a_run_of_its_model(metrics: Metrics) -> None:
    sums = FrameSums("engine-1")
    observer = InferenceObserver(metrics, sums, lambda model: {"restore-s": "1.0.0"}[model])

    for run_us in (8_000, 10_000, 9_000):
        observer(request(), answered(FrameOutcome.CODED, run_us))
    observer(request(), answered(FrameOutcome.REFUSED, 0))
    (row,) = sums.end(BEGAN, NOW)

    assert value(metrics, "aic_inference_latency_ms_count", kind="video") == 4
    assert value(metrics, "aic_inference_latency_ms_sum", kind="video") == pytest.approx(48)
    assert value(metrics, "aic_queue_wait_seconds_sum", kind="video") == pytest.approx(0.008)
    assert isinstance(row, ModelRow)
    assert (row.model, row.version, row.calls, row.p50_ms) == ("restore-s", "1.0.0", 3, 9.0)


def test_spans_are_steps_and_what_is_no_step_is_no_label(metrics: Metrics) -> None:
    steps = PictureSteps(metrics)

    steps.add(Span(row="uplink video 1", name="encode", start_us=1_000, end_us=13_000))
    steps.add(Span(row="uplink video 1", name="wait", start_us=1_000, end_us=900))
    steps.add(Span(row="worker 4711", name="coding a frame", start_us=0, end_us=1))

    assert value(metrics, "aic_picture_step_seconds_sum", step="encode") == pytest.approx(0.012)
    assert value(metrics, "aic_picture_step_seconds_sum", step="wait") == 0
    assert value(metrics, "aic_picture_step_seconds_count") == 2
