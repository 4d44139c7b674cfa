"""Whatever is sent is answered with a documented code, and the server lives on.

A thousandth of ``FUZZ_CASES`` is the number of inputs per method.
"""

import asyncio
import os
import random
from collections.abc import Awaitable, Callable, Iterator
from typing import Any, Final

import grpc
import numpy as np
import pytest
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message
from grpc import aio

from auralink.engine.rpc.access import SERVICE
from auralink.engine.rpc.settings import RpcSettings
from auralink.engine.rpc.stubs import aic_compression_pb2 as pb

from .conftest import Served
from .frames import Instant, sound, tiny

Serve = Callable[..., Awaitable[Served]]

# A call takes a thousand times as long as a parser.
CASES: Final = max(200, int(os.environ.get("FUZZ_CASES", "0")) // 1000)
ALLOWED: Final = {
    grpc.StatusCode.OK,
    grpc.StatusCode.INVALID_ARGUMENT,
    grpc.StatusCode.NOT_FOUND,
    grpc.StatusCode.ALREADY_EXISTS,
    grpc.StatusCode.OUT_OF_RANGE,
    grpc.StatusCode.RESOURCE_EXHAUSTED,
}
SEEDS: Final[dict[str, Message]] = {
    "CompressFrame": tiny(1),
    "CompressStream": tiny(1),
    "DecompressStream": pb.DecompressRequest(
        session_id="a", frame_type=pb.FRAME_TYPE_VIDEO, compressed_data=b"\x05abcde"
    ),
    "GetCompressionHints": pb.CompressionHintRequest(
        session_id="a", metadata=pb.FrameMetadata(width=64, height=64), mode=pb.MODE_ADAPTIVE
    ),
    "AnalyzeNetworkConditions": pb.NetworkAnalysisRequest(
        session_id="a", samples=[pb.NetworkSample(timestamp_us=1, bandwidth_kbps=5)]
    ),
    "HealthCheck": pb.HealthCheckRequest(service_name="x"),
}
NUMBERS: Final = (0, 1, -1, 2, 16, 255, 4096, 65_536, 2**31 - 1, -(2**31))
FLOATS: Final = (0.0, -0.0, 0.5, 1.0, -1.0, 1e38, float("inf"), float("-inf"), float("nan"))
NAMED: Final = {
    "nothing": b"",
    "nested without end": b"\x42" * 4_000,  # the start of field 8, again and again
    "a length of 2^31": b"\x0a\xff\xff\xff\xff\x07",
    "a length of 2^63": b"\x32\xff\xff\xff\xff\xff\xff\xff\xff\x7f",
    "text that is no UTF-8": b"\x0a\x02\xff\xfe",
    "a number that does not end": b"\x20" + b"\xff" * 12,
    "fields that nobody knows": b"\xf8\x3f\x01" * 50,
    "a group that does not end": b"\x0b",
    "field 0": b"\x00\x01",
}


def mutated(seed: Message, chance: random.Random) -> bytes:
    """The seed with fields changed, or its bytes."""
    message = type(seed)()
    message.CopyFrom(seed)
    for _ in range(chance.randint(1, 4)):
        _change(message, chance)
    data = bytearray(message.SerializeToString())
    if chance.random() < 0.4:
        for _ in range(chance.randint(1, 5)):
            _damage(data, chance)
    return bytes(data)


def _change(message: Message, chance: random.Random) -> None:
    field = chance.choice(message.DESCRIPTOR.fields)
    if field.is_repeated:
        message.ClearField(field.name)
        return
    match field.type:
        case FieldDescriptor.TYPE_MESSAGE:
            inner = getattr(message, field.name)
            inner.SetInParent()
            _change(inner, chance)
        case FieldDescriptor.TYPE_STRING:
            text = chance.choice(["", "a", "x" * 200, "\r\n", "\0", "ä", "../..", "a" * 5_000])
            setattr(message, field.name, text)
        case FieldDescriptor.TYPE_BYTES:
            setattr(message, field.name, chance.randbytes(chance.choice([0, 1, 5, 384, 1920])))
        case FieldDescriptor.TYPE_BOOL:
            setattr(message, field.name, chance.random() < 0.5)
        case FieldDescriptor.TYPE_FLOAT:
            setattr(message, field.name, chance.choice(FLOATS))
        case _:
            setattr(message, field.name, chance.choice(NUMBERS))


def _damage(data: bytearray, chance: random.Random) -> None:
    at = chance.randrange(len(data) + 1)
    match chance.randrange(3):
        case 0:
            data[at:at] = chance.randbytes(chance.randint(1, 8))
        case 1:
            del data[at : at + chance.randint(1, 8)]
        case _ if at < len(data):
            data[at] = chance.randrange(256)


async def send(channel: aio.Channel, name: str, data: bytes) -> grpc.StatusCode:
    method = f"/{SERVICE}/{name}"
    if not name.endswith("Stream"):
        unary: Any = channel.unary_unary(method)(data)
        return await unary.code()
    call: Any = channel.stream_stream(method)()
    try:
        await call.write(data)
        await call.done_writing()
        while await call.read() is not aio.EOF:
            pass
    except (aio.AioRpcError, asyncio.InvalidStateError):
        pass  # it has ended: the code says why
    return await call.code()


def damaged_units(chance: random.Random, count: int) -> Iterator[bytes]:
    for _ in range(count):
        media = chance.choice([pb.FRAME_TYPE_VIDEO, pb.FRAME_TYPE_SCREEN, pb.FRAME_TYPE_AUDIO])
        size = chance.choice([3, 10, 40, 900])
        packet = bytearray(chance.randbytes(size))
        packet[0] = chance.choice([0, 0x40, 0x80, 0xC0, 0x20, 0x11]) | packet[0] & 0x1F
        framed = bytes([size & 0x7F | 0x80, size >> 7]) if size > 127 else bytes([size])
        yield pb.DecompressRequest(
            session_id="a", frame_type=media, compressed_data=framed + packet
        ).SerializeToString()


@pytest.mark.parametrize("name", SEEDS)
@pytest.mark.parametrize("data", NAMED.values(), ids=NAMED)
async def test_known_tricks_get_a_documented_code(serve: Serve, name: str, data: bytes) -> None:
    served = await serve(open_stream=Instant)

    assert await send(served.channel, name, data) in ALLOWED


@pytest.mark.fuzz
@pytest.mark.timeout(3600)
async def test_changed_requests_get_documented_codes(serve: Serve) -> None:
    settings = RpcSettings(frames_per_s=10_000, max_message_bytes=1 << 20)
    served = await serve(settings, open_stream=Instant)
    chance = random.Random(20_261_125)
    seeds = [*SEEDS.items(), ("CompressFrame", sound(1, np.zeros(960)))]
    for name, seed in seeds:
        for _ in range(CASES):
            data = mutated(seed, chance)
            code = await send(served.channel, name, data)
            assert code in ALLOWED, (name, code, data.hex())
    for data in damaged_units(chance, CASES):
        code = await send(served.channel, "DecompressStream", data)
        assert code in ALLOWED, (code, data.hex())

    health = await served.stub.HealthCheck(pb.HealthCheckRequest())
    assert health.status == pb.HEALTH_HEALTHY
    assert served.server.streams.in_flight.count == 0
