"""A real server on a free port, and stock stubs that call it."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any

import pytest
from grpc import aio

from auralink.codecs.video.profiles import open_decoder
from auralink.engine.rpc.parts import ModelFact, Parts, open_in_process, parts_of
from auralink.engine.rpc.server import GrpcServer
from auralink.engine.rpc.settings import RpcSettings
from auralink.engine.rpc.stubs import aic_compression_pb2_grpc as rpc
from auralink.engine.rpc.threads import Threads

MODEL = ModelFact(name="restore-s", version="1", loaded=True)


@dataclass
class Served:
    server: GrpcServer
    channel: aio.Channel
    stub: Any


@pytest.fixture
async def serve() -> AsyncIterator[Callable[..., Awaitable[Served]]]:
    """Start a server, with other parts and settings where they are given; all end with the test."""
    ends: list[Callable[[], Awaitable[Any]]] = []
    threads = Threads(8)

    async def start(
        settings: RpcSettings | None = None, options: Any = None, **changes: Any
    ) -> Served:
        parts = replace(real_parts(threads), **changes)
        wanted = replace(settings or RpcSettings(), port=0, drain_s=0.2)
        server = GrpcServer(parts, wanted, version="9.8.7")
        ends.append(server.stop)
        await server.start()
        channel = aio.insecure_channel(f"127.0.0.1:{server.port}", options=options or [])
        ends.append(channel.close)
        return Served(server, channel, rpc.AICCompressionServiceStub(channel))

    yield start
    for end in reversed(ends):
        await end()
    threads.close()


def real_parts(threads: Threads) -> Parts:
    return parts_of(
        profile="hybrid",
        open_video=open_in_process("hybrid"),
        open_decoder=open_decoder,
        model=lambda: MODEL,
        run=threads,
    )


@asynccontextmanager
async def client(address: str, **options: Any) -> AsyncIterator[Any]:
    async with aio.insecure_channel(address, **options) as channel:
        yield rpc.AICCompressionServiceStub(channel)
