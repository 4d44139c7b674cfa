"""The control plane under load: answers per second, how late, and how soon it says "not ready".

::

    python -m auralink.bench.control --out bench/results/control.json

`auralink serve` runs in a process of its own, with SQLite and the real codec; two streams of
pictures are coded through it over gRPC all the while.  Requests have arrival times that are fixed
beforehand: latency counts from when a request should have been sent, so a stall is not hidden.
Client, server and codec share the machine's processors.
"""

import argparse
import asyncio
import contextlib
import dataclasses
import json
import math
import os
import re
import signal
import socket
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import aiohttp
import numpy as np
from grpc import aio

from auralink.bench import machine, tables
from auralink.codecs.errors import AuraLinkError, UnsupportedError
from auralink.engine.garbage import spare_what_lives
from auralink.engine.rpc.stubs import aic_compression_pb2 as pb
from auralink.engine.rpc.stubs import aic_compression_pb2_grpc as rpc

DEFAULT_OUT: Final = Path("bench/results/control.json")
_PATHS: Final = {"config": "/api/v1/aic/config", "liveness": "/liveness", "metrics": "/metrics"}
_SIZE: Final = (640, 360)
_FPS: Final = 20
_CONNECTIONS: Final = 32
_START_S: Final = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    per_s: float = 500.0
    seconds: float = 20.0
    streams: int = 2
    ends: int = 5
    out: Path | None = None

    @property
    def command(self) -> str:
        return (
            f"python -m auralink.bench.control --rate {self.per_s:g} --seconds {self.seconds:g} "
            f"--streams {self.streams} --ends {self.ends}"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Latency:
    """Milliseconds from when each request was due.

    Attributes:
        failed: answered by anything but 200, or not at all.
    """

    what: str
    per_s: float
    samples: int
    failed: int
    p50_ms: float
    p99_ms: float
    max_ms: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ControlResult:
    """
    Attributes:
        frames, coded: given to the streams, and answered by the codec.
        flips_ms: from SIGTERM to the first answer of /readiness that was not 200, each time.
    """

    command: str
    machine: dict[str, str]
    latencies: tuple[Latency, ...]
    frames: int
    coded: int
    flips_ms: tuple[float, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Server:
    process: asyncio.subprocess.Process
    url: str
    grpc: str


async def run(options: Options, progress: Callable[[str], None]) -> ControlResult:
    """
    Raises:
        UnsupportedError: the server did not start.
    """
    spare_what_lives()  # the client shall not be what is late
    async with _serving() as server, _session() as session:
        progress("streams")
        stop = asyncio.Event()
        streams = [
            asyncio.create_task(_stream(server.grpc, f"s{n}", stop)) for n in range(options.streams)
        ]
        await asyncio.sleep(2.0)  # until encoders are open
        progress(f"{options.per_s:g} requests a second")
        config, liveness, metrics = await asyncio.gather(
            _open_loop(session, server, "config", options.per_s, options.seconds),
            _open_loop(session, server, "liveness", 20.0, options.seconds),
            _open_loop(session, server, "metrics", 1.0, options.seconds),
        )
        stop.set()
        counts = await asyncio.gather(*streams)
    flips = []
    for number in range(options.ends):
        progress(f"end {number + 1}")
        flips.append(await _flip())
    return ControlResult(
        command=options.command,
        machine=machine.describe(),
        latencies=(config, liveness, metrics),
        frames=sum(given for given, _ in counts),
        coded=sum(coded for _, coded in counts),
        flips_ms=tuple(flips),
    )


@contextlib.asynccontextmanager
async def _serving() -> AsyncIterator[_Server]:
    kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    # As many as come: the limit of requests is not what is measured.
    kept["AURALINK_LIMITS__ENABLED"] = "false"
    with tempfile.TemporaryDirectory() as folder:
        grpc_port = _free_port()
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", "from auralink.engine.cli.main import main; main()"),
            *("serve", "--open", "--port", "0", "--grpc-port", str(grpc_port)),
            *("--log-level", "warning"),
            cwd=folder,
            env=kept,
            stderr=asyncio.subprocess.PIPE,
        )
        try:
            async with asyncio.timeout(_START_S):
                url = await _told(process)
            yield _Server(process=process, url=url, grpc=f"127.0.0.1:{grpc_port}")
        finally:
            with contextlib.suppress(ProcessLookupError):
                process.send_signal(signal.SIGTERM)
            await process.communicate()


async def _told(process: asyncio.subprocess.Process) -> str:
    assert process.stderr is not None
    url = ""
    async for line in process.stderr:
        if found := re.search(rb"http://\S+", line):
            url = found[0].decode()
        if line.strip() == b"ready":
            return url
    raise UnsupportedError("auralink serve did not start")


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as found:
        port: int = found.getsockname()[1]
        return port


def _session() -> aiohttp.ClientSession:
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=_CONNECTIONS),
        timeout=aiohttp.ClientTimeout(total=30),
    )


async def _open_loop(
    session: aiohttp.ClientSession, server: _Server, what: str, per_s: float, seconds: float
) -> Latency:
    waits: list[float] = []
    started_s = time.perf_counter() + 0.1

    async def one(due_s: float) -> None:
        wait_ms = math.inf
        try:
            async with session.get(server.url + _PATHS[what]) as response:
                await response.read()
                if response.status == 200:
                    wait_ms = (time.perf_counter() - due_s) * 1e3
        except (aiohttp.ClientError, TimeoutError):
            pass  # a failure, as `waits` says
        waits.append(wait_ms)

    async with asyncio.TaskGroup() as tasks:
        for number in range(round(per_s * seconds)):
            due_s = started_s + number / per_s
            await asyncio.sleep(max(0.0, due_s - time.perf_counter()))
            tasks.create_task(one(due_s))
    answered = sorted(wait for wait in waits if math.isfinite(wait)) or [math.inf]
    return Latency(
        what=what,
        per_s=per_s,
        samples=len(waits),
        failed=sum(not math.isfinite(wait) for wait in waits),
        p50_ms=answered[len(answered) // 2],
        p99_ms=answered[min(len(answered) - 1, int(0.99 * len(answered)))],
        max_ms=answered[-1],
    )


async def _stream(target: str, name: str, stop: asyncio.Event) -> tuple[int, int]:
    """Frames given, and coded."""
    width, height = _SIZE
    x, y = np.meshgrid(np.arange(width), np.arange(height))
    chroma = bytes([128]) * (width * height // 2)
    given = coded = 0

    async def frames() -> AsyncIterator[pb.CompressFrameRequest]:
        nonlocal given
        started_s = time.perf_counter()
        while not stop.is_set():
            luma = ((x + 3 * given) // 2 + y).astype(np.uint8)
            given += 1
            yield pb.CompressFrameRequest(
                session_id=name,
                frame_number=given,
                timestamp_us=round(given * 1e6 / _FPS),
                frame_data=luma.tobytes() + chroma,
                frame_type=pb.FRAME_TYPE_VIDEO,
                metadata=pb.FrameMetadata(width=width, height=height, fps=_FPS),
                mode=pb.MODE_ADAPTIVE,
            )
            await asyncio.sleep(max(0.0, started_s + given / _FPS - time.perf_counter()))

    async with aio.insecure_channel(target) as channel:
        stub = rpc.AICCompressionServiceStub(channel)  # type: ignore[no-untyped-call]
        async for answer in stub.CompressStream(frames()):
            coded += not answer.fallback_used
    return given, coded


async def _flip() -> float:
    """Milliseconds from SIGTERM to "not ready", on a connection that is open."""
    async with _serving() as server, _session() as session:
        url = server.url + "/readiness"
        async with session.get(url) as response:
            await response.read()
        server.process.send_signal(signal.SIGTERM)
        sent_s = time.perf_counter()
        status = 200
        while status == 200:
            try:
                async with session.get(url) as response:
                    status = response.status
            except aiohttp.ClientError:
                status = 0  # it has ended already
        return (time.perf_counter() - sent_s) * 1e3


def table(result: ControlResult) -> str:
    """Markdown."""
    rows = [
        [
            one.what,
            f"{one.per_s:g}",
            str(one.samples),
            str(one.failed),
            *(f"{value:.1f}" for value in (one.p50_ms, one.p99_ms, one.max_ms)),
        ]
        for one in result.latencies
    ]
    head = ["GET", "per s", "samples", "failed", "p50 ms", "p99 ms", "max ms"]
    flips = ", ".join(f"{flip:.0f}" for flip in result.flips_ms) or "not measured"
    return "\n".join(
        [
            tables.markdown(head, rows),
            "",
            f"Frames meanwhile: {result.frames}, coded {result.coded}.",
            f"From SIGTERM to not ready, ms: {flips}.",
        ]
    )


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m auralink.bench.control", description=__doc__)
    parser.add_argument("--rate", type=float, default=500.0, help="requests per second")
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--streams", type=int, default=2, help="of 640x360 pictures, over gRPC")
    parser.add_argument("--ends", type=int, default=5, help="times that an engine is ended")
    parser.add_argument("--out", type=Path, default=DEFAULT_OUT)
    given = parser.parse_args(arguments)
    options = Options(
        per_s=given.rate,
        seconds=given.seconds,
        streams=given.streams,
        ends=given.ends,
        out=given.out,
    )
    try:
        result = asyncio.run(run(options, lambda text: print(text, file=sys.stderr, flush=True)))
    except AuraLinkError as failed:
        print(f"error: {failed}", file=sys.stderr)
        return 1
    given.out.parent.mkdir(parents=True, exist_ok=True)
    given.out.write_text(json.dumps(dataclasses.asdict(result), indent=1) + "\n", "utf-8")
    print(table(result))
    return 0


if __name__ == "__main__":
    sys.exit(main())
