"""gRPC in the engine's process: started, guarded and stopped with everything else."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from grpc import aio
from grpc_health.v1 import health_pb2, health_pb2_grpc

from auralink.engine.inference.pool import PoolSettings, WorkerPool
from auralink.engine.rpc.hosting import Hosting, rpc_settings
from auralink.engine.rpc.server import GrpcServer
from auralink.engine.rpc.stubs import aic_compression_pb2 as pb
from auralink.engine.rpc.stubs import aic_compression_pb2_grpc as rpc
from auralink.engine.service.auth.principal import Role
from auralink.engine.service.context import Context
from auralink.engine.service.errors import StartError
from auralink.engine.service.settings.tree import Grpc, Settings

from ...codecs.pictures import moving, psnr
from ..service.services import API, Wanted, service_in, token_of
from .frames import each, luma, picture


@pytest.fixture(scope="module")
def pool() -> Any:
    workers = WorkerPool(PoolSettings(workers=1, spares=0))
    yield workers
    workers.close()


class Spying:
    """A `MakePhase` that keeps the server of a `Hosting`."""

    def __init__(self, hosting: Hosting) -> None:
        self._hosting = hosting
        self.phase: Any = None

    def __call__(self, context: Context) -> Any:
        self.phase = self._hosting(context)
        return self.phase

    @property
    def server(self) -> GrpcServer:
        found: GrpcServer = self.phase.part.get()
        return found


@pytest.fixture
async def hosted(tmp_path: Path, pool: WorkerPool) -> AsyncIterator[Any]:
    spying = Spying(Hosting(host=pool))
    wanted = Wanted(settings={"GRPC_PORT": "0"}, works={"further": (spying,)})
    async with (
        service_in(tmp_path, wanted) as service,
        aio.insecure_channel(f"127.0.0.1:{spying.server.port}") as channel,
    ):
        yield service, channel


async def test_pictures_are_coded_and_decoded_at_workers(hosted: Any, pool: WorkerPool) -> None:
    _, channel = hosted
    stub: Any = rpc.AICCompressionServiceStub(channel)
    metadata = [("authorization", f"Bearer {token_of()}")]
    frames = [moving(number) for number in range(6)]

    requests = [picture(frame, number) for number, frame in enumerate(frames, 1)]
    call = stub.CompressStream(each(requests), metadata=metadata)
    answers = [one async for one in call]
    units = [
        pb.DecompressRequest(
            session_id="far", frame_type=pb.FRAME_TYPE_VIDEO, compressed_data=one.compressed_data
        )
        for one in answers
    ]
    shown = [one async for one in stub.DecompressStream(each(units), metadata=metadata)]

    assert {one.status for one in answers} == {pb.STATUS_SUCCESS}
    for frame, response in zip(frames, shown, strict=True):
        assert psnr(frame.y, luma(response.frames[0].frame_data, frame.size)) > 24
    assert pool.statistics().started >= 1


async def test_the_engines_tokens_open_it_and_nothing_else_does(hosted: Any) -> None:
    _, channel = hosted
    stub: Any = rpc.AICCompressionServiceStub(channel)

    with pytest.raises(aio.AioRpcError) as caught:
        await stub.HealthCheck(pb.HealthCheckRequest())
    assert caught.value.code() is grpc.StatusCode.UNAUTHENTICATED

    viewer = [("authorization", f"Bearer {token_of(role=Role.VIEWER)}")]
    response = await stub.HealthCheck(pb.HealthCheckRequest(), metadata=viewer)
    assert response.status == pb.HEALTH_HEALTHY
    assert response.model_status.model_type == "restore-s"


async def test_guessing_is_bounded_for_http_and_grpc_together(
    tmp_path: Path, pool: WorkerPool
) -> None:
    spying = Spying(Hosting(host=pool))
    wanted = Wanted(
        settings={"GRPC_PORT": "0", "AURALINK_LIMITS__ATTEMPTS_PER_MINUTE": "4"},
        works={"further": (spying,)},
    )
    async with (
        service_in(tmp_path, wanted) as service,
        aio.insecure_channel(f"127.0.0.1:{spying.server.port}") as channel,
    ):
        stub: Any = rpc.AICCompressionServiceStub(channel)
        for _ in range(2):
            assert (await service.ask("GET", f"{API}/config", token="bad")).status == 401
        codes = []
        for _ in range(3):
            with pytest.raises(aio.AioRpcError) as caught:
                await stub.HealthCheck(pb.HealthCheckRequest())
            codes.append(caught.value.code())

    assert codes == [grpc.StatusCode.UNAUTHENTICATED] * 2 + [grpc.StatusCode.RESOURCE_EXHAUSTED]


async def test_health_says_not_serving_when_the_engine_is_asked_to_end(hosted: Any) -> None:
    service, channel = hosted
    stub: Any = health_pb2_grpc.HealthStub(channel)
    watch = stub.Watch(health_pb2.HealthCheckRequest())
    assert (await watch.read()).status == health_pb2.HealthCheckResponse.SERVING

    service.context.ending.ask()

    assert (await watch.read()).status == health_pb2.HealthCheckResponse.NOT_SERVING
    watch.cancel()


async def test_a_port_that_is_taken_fails_the_engines_start(
    tmp_path: Path, pool: WorkerPool
) -> None:
    taken = await asyncio.start_server(lambda reader, writer: None, "127.0.0.1", 0)
    port = taken.sockets[0].getsockname()[1]
    wanted = Wanted(settings={"GRPC_PORT": str(port)}, works={"further": (Hosting(host=pool),)})

    with pytest.raises(StartError, match=str(port)):
        async with service_in(tmp_path, wanted):
            pass

    taken.close()
    await taken.wait_closed()


def test_settings_of_the_engine_reach_the_server(tmp_path: Path) -> None:
    certificate, key = tmp_path / "tls.crt", tmp_path / "tls.key"
    tree = Settings(
        environment="production",
        grpc=Grpc(host="0.0.0.0", port=6000, tls=True, certificate=certificate, key=key),
    )

    settings = rpc_settings(tree, "hybrid")

    assert (settings.host, settings.port, settings.production) == ("0.0.0.0", 6000, True)
    assert settings.tls is not None
    assert settings.tls.certificate == certificate
    assert settings.tls.clients is None
