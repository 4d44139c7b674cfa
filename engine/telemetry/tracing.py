"""Spans for OpenTelemetry, where the extra ``otel`` is installed and a collector is named.

Never per frame: a span is a request, a job, a migration.  Ids of the span go onto the log lines of
its block.  The provider belongs to whoever opened it; nothing global is set.
"""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any, Final, Protocol, TypeAlias, final

from auralink.codecs.errors import UnsupportedError
from auralink.engine.telemetry.logs import context

Fact: TypeAlias = str | int | float | bool

# One batch has so long, with what is tried again; a collector that is away delays an end by no more
# than four of them.
_EXPORT_S: Final = 1.0


class Span(Protocol):
    def tell(self, *, name: str = "", **facts: Fact) -> None:
        """What was known only later.

        Args:
            name: a better one.
            facts: attributes; no secrets, no names of people.
        """


class Tracer(Protocol):
    def span(
        self, name: str, *, parent: str | None = None, **facts: Fact
    ) -> AbstractContextManager[Span]:
        """
        Args:
            parent: a W3C ``traceparent`` header, from a caller that traces too.
            facts: as of `Span.tell`.
        """

    def close(self) -> None:
        """Send what waits.  Blocks: call it in a thread."""


@final
class NoSpan:
    def tell(self, *, name: str = "", **facts: Fact) -> None: ...


@final
class NoTracer:
    """Where nobody collects traces."""

    @contextmanager
    def span(self, name: str, *, parent: str | None = None, **facts: Fact) -> Iterator[NoSpan]:
        yield NoSpan()

    def close(self) -> None: ...


@final
class OtelSpan:
    def __init__(self, span: Any) -> None:
        self._span = span

    def tell(self, *, name: str = "", **facts: Fact) -> None:
        if name:
            self._span.update_name(name)
        self._span.set_attributes(facts)


@final
class OtelTracer:
    """
    Args:
        provider: an ``opentelemetry.sdk.trace.TracerProvider``.
    """

    def __init__(self, provider: Any) -> None:
        self._provider = provider
        self._tracer = provider.get_tracer("auralink.engine")

    @contextmanager
    def span(self, name: str, *, parent: str | None = None, **facts: Fact) -> Iterator[OtelSpan]:
        from opentelemetry.trace import format_span_id, format_trace_id
        from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

        carrier = {"traceparent": parent} if parent else {}
        above = TraceContextTextMapPropagator().extract(carrier) if parent else None
        with self._tracer.start_as_current_span(name, context=above, attributes=facts) as span:
            ids = span.get_span_context()
            with context(
                trace_id=format_trace_id(ids.trace_id), span_id=format_span_id(ids.span_id)
            ):
                yield OtelSpan(span)

    def close(self) -> None:
        self._provider.shutdown()


def open_tracer(endpoint: str, *, version: str, share: float = 0.01) -> OtelTracer:
    """
    Args:
        endpoint: ``http://host:4317`` of a collector that speaks OTLP over gRPC.
        share: of traces that begin here and are kept, 0..1; a caller's own decision goes first.

    Raises:
        UnsupportedError: the extra is not installed.
    """
    try:
        from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
        from opentelemetry.sdk.trace.sampling import ParentBasedTraceIdRatio
    except ImportError as error:
        missing = UnsupportedError("traces need the extra `otel`, which is not installed")
        missing.add_note("pip install 'auralink-aic[otel]'")
        raise missing from error
    provider = TracerProvider(
        sampler=ParentBasedTraceIdRatio(share),
        resource=Resource.create({"service.name": "auralink-aic", "service.version": version}),
        shutdown_on_exit=False,
    )
    exporter = OTLPSpanExporter(
        endpoint=endpoint, insecure=endpoint.startswith("http://"), timeout=_EXPORT_S
    )
    provider.add_span_processor(BatchSpanProcessor(exporter))
    return OtelTracer(provider)
