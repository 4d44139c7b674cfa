"""A gRPC server in a process of its own, and its callers."""

import asyncio
import contextlib
import multiprocessing
from collections.abc import AsyncIterator, Awaitable, Coroutine, Iterator
from dataclasses import dataclass
from typing import Any, Final, final

import grpc
import psutil
from grpc import aio

from auralink.bench.fault.values import Trial
from auralink.bench.rpc_server import serve
from auralink.codecs.errors import UnsupportedError
from auralink.engine.rpc.settings import MIB, RpcSettings
from auralink.engine.rpc.stubs import aic_compression_pb2 as pb
from auralink.engine.rpc.stubs import aic_compression_pb2_grpc as rpc

# What a call may end with, by docs/grpc.md; INTERNAL and UNKNOWN are bugs.
DOCUMENTED: Final = frozenset(
    {
        grpc.StatusCode.OK,
        grpc.StatusCode.INVALID_ARGUMENT,
        grpc.StatusCode.NOT_FOUND,
        grpc.StatusCode.ALREADY_EXISTS,
        grpc.StatusCode.OUT_OF_RANGE,
        grpc.StatusCode.RESOURCE_EXHAUSTED,
        grpc.StatusCode.UNAVAILABLE,
    }
)
# Trials follow one another quickly: what one opened is closed before the next one needs the place.
SETTINGS: Final = RpcSettings(port=0, max_streams=64, slow_reader_s=0.5, idle_s=10.0, drain_s=0.5)
_START_S: Final = 60.0


@final
@dataclass(frozen=True, slots=True)
class RpcRig:
    process: psutil.Process
    port: int

    def run(self, trial: Coroutine[Any, Any, Trial]) -> Trial:
        return asyncio.run(trial)

    def megabytes(self) -> float:
        """That the server holds."""
        return float(self.process.memory_info().rss) / MIB

    @contextlib.asynccontextmanager
    async def channel(self) -> AsyncIterator[aio.Channel]:
        """A connection that nobody else has."""
        own = [
            ("grpc.use_local_subchannel_pool", 1),
            ("grpc.max_send_message_length", 64 * MIB),
        ]
        async with aio.insecure_channel(f"127.0.0.1:{self.port}", options=own) as one:
            yield one

    async def is_served(self) -> bool:
        """Another client gets its answer."""
        async with self.channel() as one:
            stub: Any = rpc.AICCompressionServiceStub(one)  # type: ignore[no-untyped-call]
            answer = await stub.AnalyzeNetworkConditions(
                pb.NetworkAnalysisRequest(session_id="good"), timeout=10
            )
        return bool(answer.recommendation)


@contextlib.contextmanager
def rpc_rig() -> Iterator[RpcRig]:
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=serve, args=(theirs, SETTINGS), name="rpc-server", daemon=True)
    process.start()
    theirs.close()
    try:
        if not ours.poll(_START_S):
            raise UnsupportedError("the server's process did not start")
        port, _ = ours.recv()
        yield RpcRig(psutil.Process(process.pid), port)
    finally:
        ours.close()
        process.join(10)
        process.kill()


async def code_of(call: Awaitable[Any]) -> grpc.StatusCode:
    try:
        await call
    except aio.AioRpcError as error:
        return error.code()
    return grpc.StatusCode.OK


def frame(session: str, number: int, **changes: Any) -> pb.CompressFrameRequest:
    """The smallest that makes sense, changed."""
    request = pb.CompressFrameRequest(
        session_id=session,
        frame_number=number,
        timestamp_us=number,
        frame_data=bytes(384),
        frame_type=pb.FRAME_TYPE_VIDEO,
        metadata=pb.FrameMetadata(width=16, height=16, fps=30),
        mode=pb.MODE_ADAPTIVE,
    )
    request.MergeFrom(pb.CompressFrameRequest(**changes))
    return request
