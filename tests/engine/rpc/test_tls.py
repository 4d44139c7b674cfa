"""TLS and mutual TLS from files, and a new certificate without a restart."""

from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import grpc
import pytest
from grpc import aio

from auralink.engine.rpc.server import GrpcServer, check_exposure, is_loopback
from auralink.engine.rpc.settings import RpcSettings
from auralink.engine.rpc.stubs import aic_compression_pb2 as pb
from auralink.engine.rpc.stubs import aic_compression_pb2_grpc as rpc
from auralink.engine.rpc.threads import Threads
from auralink.engine.rpc.tls import server_credentials
from auralink.engine.service.errors import ConfigError, StartError
from auralink.engine.service.tls import TlsFiles

from ..certificates import Pair, make_pair, write
from .conftest import real_parts


@pytest.fixture
async def secured() -> AsyncIterator[Callable[[TlsFiles], Any]]:
    threads, servers = Threads(2), []

    async def start(files: TlsFiles) -> int:
        settings = RpcSettings(port=0, tls=files, drain_s=0.1)
        server = GrpcServer(real_parts(threads), settings, version="1")
        servers.append(server)
        await server.start()
        return server.port

    yield start
    for server in servers:
        await server.stop()
    threads.close()


async def call(port: int, root: bytes, own: Pair | None = None) -> pb.HealthCheckResponse:
    credentials = grpc.ssl_channel_credentials(
        root, own.key if own else None, own.certificate if own else None
    )
    async with aio.secure_channel(f"localhost:{port}", credentials) as channel:
        stub: Any = rpc.AICCompressionServiceStub(channel)
        response: pb.HealthCheckResponse = await stub.HealthCheck(
            pb.HealthCheckRequest(), timeout=5
        )
        return response


async def test_who_trusts_the_certificate_gets_in_and_others_do_not(
    tmp_path: Path, secured: Any
) -> None:
    ours, other = make_pair(), make_pair()
    port = await secured(write(tmp_path, ours))

    assert (await call(port, ours.certificate)).version == "1"
    with pytest.raises(aio.AioRpcError) as caught:
        await call(port, other.certificate)
    assert caught.value.code() is grpc.StatusCode.UNAVAILABLE


async def test_plain_text_does_not_get_in(tmp_path: Path, secured: Any) -> None:
    port = await secured(write(tmp_path, make_pair()))

    async with aio.insecure_channel(f"localhost:{port}") as channel:
        stub: Any = rpc.AICCompressionServiceStub(channel)
        with pytest.raises(aio.AioRpcError) as caught:
            await stub.HealthCheck(pb.HealthCheckRequest(), timeout=5)
    assert caught.value.code() is grpc.StatusCode.UNAVAILABLE


async def test_mutual_tls_wants_a_certificate_of_the_clients_authority(
    tmp_path: Path, secured: Any
) -> None:
    ours, client, stranger = make_pair(), make_pair("ann"), make_pair("eve")
    port = await secured(write(tmp_path, ours, clients=client.certificate))

    assert (await call(port, ours.certificate, client)).version == "1"
    for nobody in (None, stranger):
        with pytest.raises(aio.AioRpcError) as caught:
            await call(port, ours.certificate, nobody)
        assert caught.value.code() is grpc.StatusCode.UNAVAILABLE


async def test_a_new_certificate_is_served_without_a_restart(tmp_path: Path, secured: Any) -> None:
    old, new = make_pair(), make_pair()
    port = await secured(write(tmp_path, old))
    assert (await call(port, old.certificate)).version == "1"

    write(tmp_path, new)

    assert (await call(port, new.certificate)).version == "1"
    with pytest.raises(aio.AioRpcError):
        await call(port, old.certificate)


async def test_a_broken_new_certificate_leaves_the_old_one_in_use(
    tmp_path: Path, secured: Any, caplog: pytest.LogCaptureFixture
) -> None:
    pair = make_pair()
    files = write(tmp_path, pair)
    port = await secured(files)

    files.certificate.write_text("half a file")

    assert (await call(port, pair.certificate)).version == "1"
    assert "the old certificate stays in use" in caplog.text
    assert "PRIVATE" not in caplog.text


@pytest.mark.parametrize("missing", ["certificate", "key", "clients"])
def test_a_file_that_is_missing_is_named_at_start(tmp_path: Path, missing: str) -> None:
    files = write(tmp_path, make_pair(), clients=make_pair().certificate)
    getattr(files, missing).unlink()

    with pytest.raises(ConfigError, match=getattr(files, missing).name):
        server_credentials(files)


def test_a_file_with_something_else_is_refused_and_not_shown(tmp_path: Path) -> None:
    files = write(tmp_path, make_pair())
    files.key.write_text("hunter2")

    with pytest.raises(ConfigError) as refused:
        server_credentials(files)

    assert "hunter2" not in str(refused.value)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "::1", "[::1]", "127.8.8.8"])
def test_loopback_may_be_plain(host: str) -> None:
    assert is_loopback(host)
    check_exposure(RpcSettings(host=host, production=True), authenticated=True)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "10.0.0.1", "aic.example", ""])
def test_production_does_not_start_plain_outside_loopback(host: str) -> None:
    with pytest.raises(ConfigError, match="TLS"):
        check_exposure(RpcSettings(host=host, production=True), authenticated=True)


def test_production_does_not_start_without_authentication() -> None:
    with pytest.raises(ConfigError, match="authentication"):
        check_exposure(RpcSettings(production=True), authenticated=False)


async def test_a_refused_start_opens_no_port() -> None:
    threads = Threads(1)
    settings = RpcSettings(host="0.0.0.0", port=0, production=True)
    server = GrpcServer(real_parts(threads), settings, version="1")

    with pytest.raises(ConfigError):
        await server.start()

    assert server.port == 0
    await server.stop()
    threads.close()


async def test_a_port_in_use_stops_the_start_loudly() -> None:
    threads = Threads(1)
    parts = real_parts(threads)
    first = GrpcServer(parts, RpcSettings(port=0, drain_s=0.1), version="1")
    await first.start()
    second = GrpcServer(parts, replace(RpcSettings(), port=first.port), version="1")

    with pytest.raises(StartError, match=str(first.port)) as refused:
        await second.start()

    assert "GRPC_PORT" in refused.value.__notes__[0]
    await first.stop()
    await second.stop()
    threads.close()


async def test_a_server_starts_once() -> None:
    threads = Threads(1)
    server = GrpcServer(real_parts(threads), RpcSettings(port=0, drain_s=0.1), version="1")
    await server.start()

    with pytest.raises(StartError, match="before"):
        await server.start()

    await server.stop()
    await server.stop()
    threads.close()
