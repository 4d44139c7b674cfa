"""The server that `auralink.bench.rpc` measures, in a process of its own."""

import asyncio
import contextlib
from multiprocessing.connection import Connection
from typing import Any, Final

import grpc
from grpc import aio

from auralink.codecs.video.profiles import open_decoder
from auralink.codecs.video.protocol import Outcome
from auralink.engine.rpc.encoders import Unit
from auralink.engine.rpc.parts import ModelFact, Parts
from auralink.engine.rpc.requests import Job, Media
from auralink.engine.rpc.server import GrpcServer
from auralink.engine.rpc.settings import RpcSettings
from auralink.engine.rpc.threads import Threads

_UNIT: Final = b"\x64" + bytes(100)  # one packet
MOST_STREAMS: Final = 1_600


class NullStream:
    """A `StreamEncoder` that answers at once."""

    def encode(self, job: Job, *, key: bool) -> Unit:
        return Unit(
            outcome=Outcome.CODED,
            data=_UNIT,
            key=key,
            profile="null",
            bitrate_bps=0,
            encode_ms=0.0,
        )

    def close(self) -> None: ...


FAST: Final = RpcSettings(port=0, max_streams=MOST_STREAMS, frames_per_s=1_000_000, drain_s=1.0)


def serve(ready: Connection, settings: RpcSettings = FAST) -> None:
    """Entry point of the server's process; ends when the pipe does."""
    loop()(_serve(ready, settings))


async def _serve(ready: Connection, settings: RpcSettings) -> None:
    threads = Threads(4)
    parts = Parts(
        open_stream=_null,
        open_decoder=open_decoder,
        run=threads,
        model=lambda: ModelFact(name="null", version="", loaded=True),
    )
    server = GrpcServer(parts, settings, version="bench")
    await server.start()
    bare = aio.server()
    bare.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("bare", _ECHO),))
    bare_port = bare.add_insecure_port("127.0.0.1:0")
    await bare.start()
    ready.send((server.port, bare_port))
    await asyncio.to_thread(_until_closed, ready)
    await bare.stop(None)
    await server.stop()
    threads.close()


async def _echo(request: bytes, context: object) -> bytes:
    return request


_ECHO: Final[dict[str, Any]] = {"Echo": grpc.unary_unary_rpc_method_handler(_echo)}


def _null(media: Media) -> NullStream:
    return NullStream()


def _until_closed(ready: Connection) -> None:
    with contextlib.suppress(EOFError):
        ready.recv()


def loop() -> Any:
    try:
        import uvloop
    except ImportError:  # no wheel for Windows
        return asyncio.run
    return uvloop.run
