"""Calls per second through the gRPC service over a backend that does nothing.

::

    python -m auralink.bench.rpc --out bench/results/rpc.json

The server runs in a process of its own, as a stock client does; frames have 16x16 pixels, so what
counts is the service: gRPC, checks, limits, the way through a thread and back.  First as fast as it
goes (closed loop), then unary calls at 70 % of that with arrival times that are fixed beforehand:
latency counts from when a frame should have been sent, so a stall is not hidden.

``bare`` is a call of grpc.aio that gives back the request's bytes, in the same server process: what
no service in Python is faster than.  Processor time per call says most where the machine has other
things to do, as it does not count the time that others had the core.
"""

import argparse
import asyncio
import contextlib
import dataclasses
import math
import multiprocessing
import sys
import time
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from typing import Any, Final

import psutil
from grpc import aio

from auralink.bench import machine
from auralink.bench.rpc_records import (
    Options,
    Round,
    RpcResult,
    latency_of,
    peak_of,
    save,
    table,
)
from auralink.bench.rpc_server import loop, serve
from auralink.codecs.errors import AuraLinkError, UnsupportedError
from auralink.engine.rpc.stubs import aic_compression_pb2 as pb
from auralink.engine.rpc.stubs import aic_compression_pb2_grpc as rpc

DEFAULT_OUT: Final = Path("bench/results/rpc.json")
SESSIONS: Final = 16
CONNECTIONS: Final = 4
SHARE: Final = 0.7  # of the peak, for latency
_WINDOW: Final = 16  # frames of a stream under way
_START_S: Final = 60.0


def run(options: Options, progress: Callable[[str], None] = lambda text: None) -> RpcResult:
    """
    Raises:
        UnsupportedError: the server did not start.
    """
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=serve, args=(theirs,), name="rpc-server", daemon=True)
    process.start()
    theirs.close()
    try:
        if not ours.poll(_START_S):
            raise UnsupportedError("the server's process did not start")
        result: RpcResult = loop()(
            _measure(options, ours.recv(), psutil.Process(process.pid), progress)
        )
    finally:
        ours.close()
        process.join(10)
        process.kill()
    if options.out:
        save(result, options.out)
    return result


async def _measure(
    options: Options,
    ports: tuple[int, int],
    server: psutil.Process,
    progress: Callable[[str], None],
) -> RpcResult:
    async with contextlib.AsyncExitStack() as stack:
        service, bare = [
            [await stack.enter_async_context(_connect(port)) for _ in range(CONNECTIONS)]
            for port in ports
        ]
        stubs = [rpc.AICCompressionServiceStub(one) for one in service]  # type: ignore[no-untyped-call]
        shapes: tuple[tuple[str, Caller, list[Any]], ...] = (
            ("bare", _bare, [one.unary_unary("/bare/Echo") for one in bare]),
            ("unary", _unary, stubs),
            ("bidirectional", _stream, stubs),
        )
        rounds: dict[str, list[Round]] = {name: [] for name, _, _ in shapes}
        for number in range(options.rounds):  # in turn, so that all meet the same neighbours
            for name, one, targets in shapes:
                progress(f"{name}, round {number + 1}")
                before_s = _cpu_s(server)
                found = await _closed(one, targets, f"{name}{number}", options.seconds)
                rounds[name].append(dataclasses.replace(found, cpu_s=_cpu_s(server) - before_s))
        peaks = tuple(peak_of(name, found) for name, found in rounds.items())
        per_s = SHARE * peaks[1].worst_per_s
        waits: list[float] = []
        for number in range(options.rounds):
            progress(f"latency at {per_s:.0f} a second, round {number + 1}")
            waits += await _open(stubs, f"open{number}", per_s, options.seconds)
    return RpcResult(
        command=options.command,
        machine=machine.describe(),
        frame_bytes=len(_request("", 1).frame_data),
        sessions=SESSIONS,
        peaks=peaks,
        latency=latency_of(per_s, waits),
    )


def _connect(port: int) -> aio.Channel:
    own = [("grpc.use_local_subchannel_pool", 1)]
    return aio.insecure_channel(f"127.0.0.1:{port}", options=own)


def _cpu_s(server: psutil.Process) -> float:
    times = server.cpu_times()
    return float(times.user + times.system)


Caller = Callable[[Any, str, float], Any]


async def _closed(one: Caller, targets: list[Any], name: str, seconds: float) -> Round:
    """All sessions at once."""
    started_s = time.perf_counter()
    until_s = started_s + seconds
    found = await asyncio.gather(
        *(one(targets[n % CONNECTIONS], f"{name}-{n}", until_s) for n in range(SESSIONS))
    )
    elapsed_s = time.perf_counter() - started_s
    return Round(
        answered=sum(count for count, _ in found),
        fell_back=sum(fell_back for _, fell_back in found),
        elapsed_s=elapsed_s,
    )


async def _bare(call: Any, session: str, until_s: float) -> tuple[int, int]:
    request = _request(session, 1).SerializeToString()
    number = 0
    while time.perf_counter() < until_s:
        number += 1
        await call(request)
    return number, 0


async def _unary(stub: Any, session: str, until_s: float) -> tuple[int, int]:
    number = fell_back = 0
    while time.perf_counter() < until_s:
        number += 1
        answer = await stub.CompressFrame(_request(session, number))
        fell_back += answer.fallback_used
    return number, fell_back


async def _stream(stub: Any, session: str, until_s: float) -> tuple[int, int]:
    room = asyncio.Semaphore(_WINDOW)

    async def frames() -> AsyncIterator[pb.CompressFrameRequest]:
        number = 0
        while time.perf_counter() < until_s:
            await room.acquire()
            number += 1
            yield _request(session, number)

    answered = fell_back = 0
    async for answer in stub.CompressStream(frames()):
        room.release()
        answered += 1
        fell_back += answer.fallback_used
    return answered, fell_back


async def _open(stubs: list[Any], name: str, per_s: float, seconds: float) -> list[float]:
    """Milliseconds from when each frame was due to its answer; infinite if it was refused."""
    waits: list[float] = []
    started_s = time.perf_counter() + 0.1

    async def one(number: int) -> None:
        due_s = started_s + number / per_s
        await asyncio.sleep(due_s - time.perf_counter())
        session = f"{name}-{number % SESSIONS}"
        request = _request(session, number // SESSIONS + 1)
        try:
            await stubs[number % CONNECTIONS].CompressFrame(request)
        except aio.AioRpcError:
            waits.append(math.inf)
        else:
            waits.append((time.perf_counter() - due_s) * 1e3)

    async with asyncio.TaskGroup() as tasks:
        for number in range(round(per_s * seconds)):
            tasks.create_task(one(number))
    return waits


def _request(session: str, number: int) -> pb.CompressFrameRequest:
    return pb.CompressFrameRequest(
        session_id=session,
        frame_number=number,
        timestamp_us=number,
        frame_data=bytes(384),
        frame_type=pb.FRAME_TYPE_VIDEO,
        metadata=pb.FrameMetadata(width=16, height=16, fps=30),
        mode=pb.MODE_ADAPTIVE,
    )


def parse(arguments: Sequence[str]) -> Options:
    parser = argparse.ArgumentParser(prog="python -m auralink.bench.rpc", description=__doc__)
    parser.add_argument("--seconds", type=float, default=5.0, help="of each round")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--out", type=Path, default=DEFAULT_OUT)
    given = parser.parse_args(arguments)
    return Options(seconds=given.seconds, rounds=given.rounds, out=given.out)


def main(arguments: Sequence[str] | None = None) -> int:
    options = parse(sys.argv[1:] if arguments is None else arguments)
    try:
        result = run(options, lambda text: print(text, file=sys.stderr, flush=True))
    except AuraLinkError as failed:
        print(f"error: {failed}", file=sys.stderr)
        return 1
    print(table(result))
    return 0


if __name__ == "__main__":
    sys.exit(main())
