"""The service as operators see it: health, reflection, its end, spans."""

import asyncio
from typing import Any

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from auralink.engine.rpc.parts import ModelFact
from auralink.engine.rpc.stubs import aic_compression_pb2 as pb

from ...codecs.pictures import moving
from ..spans import recorded
from .calls import Serve, refused
from .frames import Gated, Instant, each, picture, tiny


async def test_health_tells_what_is(serve: Serve) -> None:
    served = await serve()
    await served.stub.CompressFrame(picture(moving(0), 1))

    response = await served.stub.HealthCheck(pb.HealthCheckRequest())

    assert response.status == pb.HEALTH_HEALTHY
    assert response.version == "9.8.7"
    assert response.resources.active_sessions == 1
    assert response.resources.total_frames_processed == 1
    assert response.resources.memory_percent > 0
    assert response.model_status.loaded
    assert response.model_status.avg_inference_ms > 0


async def test_health_without_a_model_is_degraded(serve: Serve) -> None:
    absent = ModelFact(name="restore-s", version="", loaded=False)
    served = await serve(model=lambda: absent)

    response = await served.stub.HealthCheck(pb.HealthCheckRequest())

    assert response.status == pb.HEALTH_DEGRADED


async def test_health_of_a_service_that_is_not_here_is_not_found(serve: Serve) -> None:
    served = await serve()

    error = await refused(served.stub.HealthCheck(pb.HealthCheckRequest(service_name="x.Y")))

    assert error.code() is grpc.StatusCode.NOT_FOUND


async def test_standard_health_follows_the_life_of_the_server(serve: Serve) -> None:
    served = await serve()
    stub: Any = health_pb2_grpc.HealthStub(served.channel)
    name = "auralink.aic.v1.AICCompressionService"
    watch = stub.Watch(health_pb2.HealthCheckRequest(service=name))

    assert (await watch.read()).status == health_pb2.HealthCheckResponse.SERVING
    await served.server.drain()
    assert (await watch.read()).status == health_pb2.HealthCheckResponse.NOT_SERVING

    response = await stub.Check(health_pb2.HealthCheckRequest())
    assert response.status == health_pb2.HealthCheckResponse.NOT_SERVING
    unknown = await refused(stub.Check(health_pb2.HealthCheckRequest(service="x.Y")))
    assert unknown.code() is grpc.StatusCode.NOT_FOUND
    new = await refused(served.stub.CompressFrame(tiny(1)))
    assert new.code() is grpc.StatusCode.FAILED_PRECONDITION
    watch.cancel()


async def test_calls_in_progress_outlive_the_start_of_a_stop(serve: Serve) -> None:
    encoder = Gated()
    served = await serve(open_stream=lambda media: encoder)
    call = asyncio.ensure_future(served.stub.CompressFrame(tiny(1)))
    await asyncio.to_thread(encoder.begun.acquire)

    stopping = asyncio.create_task(served.server.stop())
    encoder.gate.release()

    assert (await call).status == pb.STATUS_SUCCESS
    await stopping
    assert encoder.closed


async def test_reflection_describes_the_service(serve: Serve) -> None:
    served = await serve()
    stub: Any = reflection_pb2_grpc.ServerReflectionStub(served.channel)
    question = reflection_pb2.ServerReflectionRequest(list_services="")

    (answer,) = [one async for one in stub.ServerReflectionInfo(each([question]))]

    names = {service.name for service in answer.list_services_response.service}
    assert "auralink.aic.v1.AICCompressionService" in names
    assert "grpc.health.v1.Health" in names


async def test_calls_are_spans_of_their_callers_trace_and_single_frames_are_not(
    serve: Serve,
) -> None:
    tracer, spans = recorded()
    served = await serve(open_stream=Instant, tracer=tracer)
    trace = "4bf92f3577b34da6a3ce929d0e0e4736"
    parent = [("traceparent", f"00-{trace}-00f067aa0ba902b7-01")]

    await served.stub.CompressFrame(tiny(1), metadata=parent)
    await served.stub.HealthCheck(pb.HealthCheckRequest(), metadata=parent)
    await refused(served.stub.GetCompressionHints(pb.CompressionHintRequest()))
    tracer.close()

    health, hints = spans()
    assert health.name == "auralink.aic.v1.AICCompressionService/HealthCheck"
    assert format(health.context.trace_id, "032x") == trace
    assert health.attributes["rpc.grpc.status_code"] == "OK"
    assert hints.attributes["rpc.grpc.status_code"] == "INVALID_ARGUMENT"
