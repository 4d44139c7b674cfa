"""Spans of requests and jobs, sent to a collector as `auralink serve` sends them."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from grpc import aio

from auralink.engine.running import tracer_of
from auralink.engine.service.settings.tree import Settings, Traces
from auralink.engine.telemetry.tracing import NoTracer

from .services import API, Wanted, service_in, token_of, until

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
CALLER = {"traceparent": f"00-{TRACE}-00f067aa0ba902b7-01"}


class Collector:
    """OpenTelemetry's own service, which keeps what it is sent."""

    def __init__(self) -> None:
        self.spans: list[Any] = []
        self.port = 0

    async def Export(self, request: Any, context: Any) -> Any:  # noqa: N802
        service = pytest.importorskip("opentelemetry.proto.collector.trace.v1.trace_service_pb2")
        for resource in request.resource_spans:
            for scope in resource.scope_spans:
                self.spans += scope.spans
        return service.ExportTraceServiceResponse()

    def named(self, name: str) -> Any:
        (found,) = [span for span in self.spans if span.name == name]
        return found


@pytest.fixture
async def collector() -> AsyncIterator[Collector]:
    stubs = pytest.importorskip("opentelemetry.proto.collector.trace.v1.trace_service_pb2_grpc")
    found, server = Collector(), aio.server()
    stubs.add_TraceServiceServicer_to_server(found, server)
    found.port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    yield found
    await server.stop(None)


def facts(span: Any) -> dict[str, Any]:
    return {one.key: one.value.string_value or one.value.int_value for one in span.attributes}


async def test_requests_and_jobs_are_spans_of_their_callers_trace(
    tmp_path: Path, collector: Collector
) -> None:
    traces = Traces(endpoint=f"http://127.0.0.1:{collector.port}", share=0.0)
    tracer = tracer_of(Settings(traces=traces))
    async with service_in(tmp_path, Wanted(works={"tracer": tracer})) as service:
        answer = await service.ask(
            "POST", f"{API}/jobs", json={"room": "secret-room"}, headers=CALLER
        )
        await service.ask("GET", "/liveness")  # begins here: of those none is kept
        await until(lambda: bool(service.relays) and service.relays[0].connected)
        await service.ask("DELETE", f"{API}/jobs/{answer.json['id']}", headers=CALLER)
    await asyncio.to_thread(tracer.close)

    request, relay = collector.named(f"POST {API}/jobs"), collector.named("relay")
    assert {span.trace_id.hex() for span in collector.spans} == {TRACE}
    assert len(collector.spans) == 3
    assert facts(request)["http.response.status_code"] == 201
    assert facts(request)["request.id"] == answer.response.headers["X-Request-ID"]
    assert relay.parent_span_id == request.span_id
    assert facts(relay)["profile"] == "hybrid"
    assert relay.end_time_unix_nano > request.end_time_unix_nano
    assert collector.named(f"DELETE {API}/jobs/{{job_id}}")
    everything = str(collector.spans)
    assert "secret-room" not in everything
    assert token_of().split(".")[0] not in everything


def test_without_a_collector_nothing_is_traced() -> None:
    assert isinstance(tracer_of(Settings()), NoTracer)
