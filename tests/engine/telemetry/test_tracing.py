"""Spans, where somebody collects them."""

import io
import json
import logging

import pytest

from auralink.engine.telemetry.logs import LogSettings, set_up_logging
from auralink.engine.telemetry.tracing import NoTracer, open_tracer

from ..spans import recorded


def test_without_a_collector_a_span_is_nothing() -> None:
    with NoTracer().span("GET /health", parent="anything", route="/health"):
        pass


def test_a_span_continues_its_callers_trace_and_names_itself_on_log_lines() -> None:
    tracer, spans = recorded()
    root = logging.getLogger()
    before = list(root.handlers), root.level
    stream = io.StringIO()
    set_up_logging(LogSettings(format="json"), stream=stream)
    trace = "4bf92f3577b34da6a3ce929d0e0e4736"
    try:
        with tracer.span("job", parent=f"00-{trace}-00f067aa0ba902b7-01", profile="hybrid"):
            logging.getLogger("auralink").info("inside")
        logging.getLogger("auralink").info("outside")
    finally:
        root.handlers[:], root.level = before
        tracer.close()

    (span,) = spans()
    assert (span.name, span.attributes["profile"]) == ("job", "hybrid")
    assert format(span.context.trace_id, "032x") == trace
    inside, outside = (json.loads(line) for line in stream.getvalue().splitlines())
    assert inside["trace_id"] == trace
    assert inside["span_id"] == format(span.context.span_id, "016x")
    assert "trace_id" not in outside


def test_a_tracer_opens_and_closes_without_its_collector() -> None:
    pytest.importorskip("opentelemetry.sdk.trace", reason="needs the extra `otel`")
    tracer = open_tracer("http://127.0.0.1:9", version="1", share=0.0)

    with tracer.span("never sent"):
        pass

    tracer.close()
