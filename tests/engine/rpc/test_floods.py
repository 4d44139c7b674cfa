"""Too much of everything: bounded, refused with the documented code, and others are served."""

import asyncio
import contextlib
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from typing import Any, Final

import grpc
import pytest
from grpc import aio

from auralink.engine.rpc.access import SERVICE
from auralink.engine.rpc.requests import read_job
from auralink.engine.rpc.settings import RpcSettings
from auralink.engine.rpc.streams import Streams
from auralink.engine.rpc.stubs import aic_compression_pb2 as pb
from auralink.engine.rpc.threads import Threads
from auralink.engine.service.errors import Limited

from ...codecs.pictures import moving
from .conftest import Served, client, real_parts
from .frames import Gated, Instant, each, picture, tiny

Serve = Callable[..., Awaitable[Served]]

PREFACE: Final = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
SETTINGS, PING, GOAWAY, HEADERS, RST_STREAM = 4, 6, 7, 1, 3
ENHANCE_YOUR_CALM: Final = 11


class Listener:
    """An `Observer` that tells when a call has ended."""

    def __init__(self) -> None:
        self.ended = asyncio.Event()
        self.codes: list[grpc.StatusCode] = []

    def frame_answered(self, job: Any, response: Any) -> None: ...

    def call_ended(self, method: str, code: grpc.StatusCode, elapsed_s: float) -> None:
        self.codes.append(code)
        self.ended.set()


async def code_of(call: Awaitable[Any]) -> grpc.StatusCode:
    try:
        await call
    except aio.AioRpcError as error:
        return error.code()
    return grpc.StatusCode.OK


async def is_served(served: Served) -> None:
    """A client of its own gets its answers."""
    apart = [("grpc.use_local_subchannel_pool", 1)]  # a connection of its own
    async with client(f"127.0.0.1:{served.server.port}", options=apart) as stub:
        response = await stub.AnalyzeNetworkConditions(
            pb.NetworkAnalysisRequest(session_id="good"), timeout=10
        )
        assert response.recommendation


async def test_a_flood_of_session_ids_opens_no_more_streams_than_there_may_be(
    serve: Serve,
) -> None:
    opened: list[Instant] = []

    def opening(media: Any) -> Instant:
        opened.append(Instant())
        return opened[-1]

    served = await serve(RpcSettings(max_streams=8), open_stream=opening)

    codes = [
        await code_of(served.stub.CompressFrame(tiny(1, session_id=f"s{number}")))
        for number in range(500)
    ]

    assert set(codes) == {grpc.StatusCode.OK, grpc.StatusCode.RESOURCE_EXHAUSTED}
    assert len(opened) == served.server.streams.count == 4  # half of all, for one tenant


async def test_idle_streams_make_room_for_others() -> None:
    now_s = 0.0
    threads = Threads(2)
    encoders: list[Instant] = []

    def opening(media: Any) -> Instant:
        encoders.append(Instant())
        return encoders[-1]

    parts = replace(real_parts(threads), open_stream=opening)
    streams = Streams(parts, RpcSettings(max_streams=2, idle_s=30), clock=lambda: now_s)
    streams.admit(read_job(tiny(1, session_id="a"), "t"))
    with pytest.raises(Limited):
        streams.admit(read_job(tiny(1, session_id="b"), "t"))

    now_s = 30.0
    streams.sweep()
    streams.admit(read_job(tiny(1, session_id="b"), "t"))

    await streams.close_all()
    assert [encoder.closed for encoder in encoders] == [True, True]
    threads.close()


async def test_more_frames_a_second_than_allowed_end_the_stream(serve: Serve) -> None:
    listener = Listener()
    served = await serve(RpcSettings(frames_per_s=1), open_stream=Instant, observer=listener)
    call = served.stub.CompressStream()
    # The stock client calls an end that meets it in the middle of a write INTERNAL; so this one
    # writes one by one, and no more than it takes.
    for number in range(1, 10):
        await call.write(tiny(number, max_latency_ms=1000))
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(0.1):
                await listener.ended.wait()
                break

    with pytest.raises(aio.AioRpcError) as caught:
        [one async for one in call]

    assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert "1 frames a second" in (caught.value.details() or "")
    assert int(dict(caught.value.trailing_metadata() or ())["retry-after-ms"]) <= 1000


async def test_more_calls_a_second_than_allowed_are_refused(serve: Serve) -> None:
    served = await serve(RpcSettings(frames_per_s=1), open_stream=Instant)

    codes = [await code_of(served.stub.CompressFrame(tiny(number))) for number in range(1, 21)]

    assert set(codes) == {grpc.StatusCode.OK, grpc.StatusCode.RESOURCE_EXHAUSTED}


async def test_calls_beyond_the_limit_are_refused_in_every_wave(serve: Serve) -> None:
    # grpc.aio once let its count underflow, after which nothing was limited any more.
    encoders: list[Gated] = []

    def opening(media: Any) -> Gated:
        encoders.append(Gated())
        return encoders[-1]

    served = await serve(RpcSettings(max_calls=4, max_streams=500), open_stream=opening)
    for wave in range(4):
        calls = [
            asyncio.ensure_future(
                code_of(served.stub.CompressFrame(tiny(wave + 1, session_id=f"{wave}-{number}")))
            )
            for number in range(40)
        ]
        refused, running = await asyncio.wait(calls, return_when=asyncio.FIRST_COMPLETED)
        while len(running) > 4:
            done, running = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
            refused |= done
        for encoder in encoders:
            encoder.gate.release()
        codes = await asyncio.gather(*calls)
        assert codes.count(grpc.StatusCode.OK) == 4
        assert codes.count(grpc.StatusCode.RESOURCE_EXHAUSTED) == 36


async def test_frames_beyond_what_is_in_flight_fall_back_at_once(serve: Serve) -> None:
    encoders: list[Gated] = []

    def opening(media: Any) -> Gated:
        encoders.append(Gated())
        return encoders[-1]

    served = await serve(RpcSettings(frames_in_flight=3, max_streams=64), open_stream=opening)
    calls = [
        asyncio.ensure_future(served.stub.CompressFrame(tiny(1, session_id=f"s{number}")))
        for number in range(12)
    ]
    done: set[Any] = set()
    while len(done) < 9:
        done, _ = await asyncio.wait(calls, return_when=asyncio.FIRST_COMPLETED)
        await asyncio.sleep(0.001)

    assert all(call.result().fallback_reason.startswith("overloaded") for call in done)
    for encoder in encoders:
        encoder.gate.release()
    answers = await asyncio.gather(*calls)
    assert sum(answer.status == pb.STATUS_SUCCESS for answer in answers) == 3


@pytest.mark.parametrize("limit_ms", [1000, 0], ids=["live", "file"])
async def test_a_reader_that_takes_nothing_is_hung_up_on(serve: Serve, limit_ms: int) -> None:
    listener = Listener()
    served = await serve(
        RpcSettings(slow_reader_s=0.3),
        open_stream=lambda media: Instant(size=200_000),
        observer=listener,
    )
    call = served.stub.CompressStream()
    for number in range(1, 101):
        await call.write(tiny(number, max_latency_ms=limit_ms))

    await listener.ended.wait()

    assert listener.codes == [grpc.StatusCode.RESOURCE_EXHAUSTED]
    assert served.server.streams.count == 0
    await is_served(served)
    with pytest.raises(aio.AioRpcError) as caught:
        [answer async for answer in call]
    assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert "was read" in (caught.value.details() or "")


async def test_a_decoders_reader_that_takes_nothing_is_hung_up_on(serve: Serve) -> None:
    listener = Listener()
    served = await serve(RpcSettings(slow_reader_s=0.3), observer=listener)
    requests = [picture(moving(number, (640, 360)), number + 1) for number in range(20)]
    units = [one.compressed_data async for one in served.stub.CompressStream(each(requests))]
    await listener.ended.wait()
    listener.ended.clear()
    call = served.stub.DecompressStream()
    for unit in units:
        await call.write(
            pb.DecompressRequest(
                session_id="far", frame_type=pb.FRAME_TYPE_VIDEO, compressed_data=unit
            )
        )

    await listener.ended.wait()

    assert listener.codes[-1] is grpc.StatusCode.RESOURCE_EXHAUSTED
    call.cancel()


async def test_a_message_that_is_too_large_is_refused(serve: Serve) -> None:
    served = await serve(RpcSettings(max_message_bytes=100_000), open_stream=Instant)

    code = await code_of(served.stub.CompressFrame(tiny(1, frame_data=bytes(200_000))))

    assert code is grpc.StatusCode.RESOURCE_EXHAUSTED
    await is_served(served)


async def test_metadata_that_is_too_large_is_refused(serve: Serve) -> None:
    served = await serve(open_stream=Instant)

    code = await code_of(
        served.stub.CompressFrame(tiny(1), metadata=[("x-padding", "a" * (64 << 10))])
    )

    assert code is grpc.StatusCode.RESOURCE_EXHAUSTED
    await is_served(served)


async def test_a_connection_full_of_streams_leaves_others_alone(serve: Serve) -> None:
    served = await serve(RpcSettings(max_calls=512), open_stream=Instant)
    released = asyncio.Event()

    async def silent() -> AsyncIterator[Any]:
        await released.wait()
        return
        yield

    calls = [served.stub.CompressStream(silent()) for _ in range(300)]
    tasks = [asyncio.ensure_future(code_of(call.read())) for call in calls]

    await is_served(served)

    released.set()
    # A connection has a hundred; gRPC refuses what comes beyond before we see it.
    assert set(await asyncio.gather(*tasks)) <= {grpc.StatusCode.OK, grpc.StatusCode.UNAVAILABLE}


def frame(kind: int, payload: bytes, *, flags: int = 0, stream: int = 0) -> bytes:
    """One frame of HTTP/2 (RFC 9113, 4.1)."""
    return len(payload).to_bytes(3) + bytes([kind, flags]) + stream.to_bytes(4) + payload


async def goaway_of(reader: asyncio.StreamReader) -> int | None:
    """The error code that the connection ends with."""
    while True:
        try:
            head = await reader.readexactly(9)
            payload = await reader.readexactly(int.from_bytes(head[:3]))
        except (asyncio.IncompleteReadError, ConnectionResetError):
            return None
        if head[3] == GOAWAY:
            code: int = struct.unpack(">I", payload[4:8])[0]
            return code


async def test_a_flood_of_pings_ends_the_connection(serve: Serve) -> None:
    served = await serve(open_stream=Instant)
    reader, writer = await asyncio.open_connection("127.0.0.1", served.server.port)
    writer.write(PREFACE + frame(SETTINGS, b"") + frame(PING, bytes(8)) * 50)

    async with asyncio.timeout(10):
        assert await goaway_of(reader) == ENHANCE_YOUR_CALM

    writer.close()
    await is_served(served)


def literal(name: bytes, value: bytes) -> bytes:
    """A header field without indexing (RFC 7541, 6.2.2)."""
    return b"\x00" + bytes([len(name)]) + name + bytes([len(value)]) + value


async def test_calls_that_are_reset_at_once_leave_nothing_behind(serve: Serve) -> None:
    served = await serve(open_stream=Instant)
    path = f"/{SERVICE}/CompressStream".encode()
    block = b"\x83\x86" + b"\x04" + bytes([len(path)]) + path
    block += literal(b"te", b"trailers") + literal(b"content-type", b"application/grpc")
    _, writer = await asyncio.open_connection("127.0.0.1", served.server.port)
    writer.write(PREFACE + frame(SETTINGS, b""))
    for number in range(1, 4_000, 2):
        writer.write(
            frame(HEADERS, block, flags=4, stream=number)
            + frame(RST_STREAM, (8).to_bytes(4), stream=number)
        )
    with contextlib.suppress(ConnectionResetError):  # it need not listen to all of it
        await writer.drain()

    await is_served(served)

    writer.close()
    assert served.server.streams.count == 0
    assert served.server.streams.in_flight.count == 0


async def test_bytes_that_are_no_http_end_their_connection_only(serve: Serve) -> None:
    served = await serve(open_stream=Instant)
    reader, writer = await asyncio.open_connection("127.0.0.1", served.server.port)
    writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n" + bytes(10_000))

    async with asyncio.timeout(10):
        assert await goaway_of(reader) != 0

    writer.close()
    await is_served(served)
