"""Spans that are kept for a test to look at."""

from collections.abc import Callable, Sequence
from typing import Any

import pytest

from auralink.engine.telemetry.tracing import OtelTracer


def recorded() -> tuple[OtelTracer, Callable[[], Sequence[Any]]]:
    """A tracer, and what it has recorded; skips where the extra is not installed."""
    sdk = pytest.importorskip("opentelemetry.sdk.trace", reason="needs the extra `otel`")
    export = pytest.importorskip("opentelemetry.sdk.trace.export")
    memory = pytest.importorskip("opentelemetry.sdk.trace.export.in_memory_span_exporter")
    exporter = memory.InMemorySpanExporter()
    provider = sdk.TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(export.SimpleSpanProcessor(exporter))
    return OtelTracer(provider), exporter.get_finished_spans
