"""F22, F33, F35, F36, F38, F39: what clients of the gRPC service may do to it."""

import asyncio
import random
import time
from functools import partial
from typing import Any, Final

import grpc
from grpc import aio

from auralink.bench.fault.rpc_rig import DOCUMENTED, SETTINGS, RpcRig, code_of, frame, rpc_rig
from auralink.bench.fault.values import Fault, Trial, expect
from auralink.engine.rpc.access import SERVICE
from auralink.engine.rpc.limits import WINDOW
from auralink.engine.rpc.settings import MIB
from auralink.engine.rpc.stubs import aic_compression_pb2 as pb
from auralink.engine.rpc.stubs import aic_compression_pb2_grpc as rpc

_COMPRESS: Final = f"/{SERVICE}/CompressFrame"
_LIMIT_S: Final = 15.0
_SIZE: Final = (640, 360)
_READERS: Final = 8
_GARBAGE: Final = 100
_CALLS: Final = 400
_STREAMS: Final = 300
_NAMES: Final = 500


def _stub(channel: aio.Channel) -> Any:
    return rpc.AICCompressionServiceStub(channel)  # type: ignore[no-untyped-call]


async def _unread(rig: RpcRig, chance: random.Random) -> Trial:
    """Clients that send live pictures, uncoded so that answers are large, and read nothing."""
    before_mb = rig.megabytes()
    data = chance.randbytes(_SIZE[0] * _SIZE[1] * 3 // 2)
    name = f"unread{chance.getrandbits(40)}"
    began_s = time.monotonic()
    async with rig.channel() as channel, rig.channel() as other:
        calls = [_stub(channel).CompressStream() for _ in range(_READERS)]
        await asyncio.gather(
            *(_write_on(call, f"{name}-{index}", data) for index, call in enumerate(calls))
        )
        open_ones = _READERS
        while open_ones and time.monotonic() - began_s < _LIMIT_S:
            await asyncio.sleep(0.05)
            health = await _stub(other).HealthCheck(pb.HealthCheckRequest(), timeout=5)
            open_ones = health.resources.active_sessions
        took_s = time.monotonic() - began_s
        grown_mb = rig.megabytes() - before_mb
        for call in calls:
            call.cancel()
    return Trial(
        wrong=expect(
            streams_are_still_open=open_ones > 0,
            others_are_not_served=not await rig.is_served(),
            memory_grew=grown_mb > 64,
        ),
        recovered_s=took_s,
        figures={"MB per stalled stream": grown_mb / _READERS},
    )


async def _write_on(call: Any, session: str, data: bytes) -> None:
    """A dozen live pictures, or as many as are taken."""
    width, height = _SIZE
    for number in range(1, 13):
        request = frame(session, number, max_latency_ms=1000)
        request.frame_data = data
        request.metadata.width, request.metadata.height = width, height
        request.mode = pb.MODE_OFF
        try:
            async with asyncio.timeout(1.0):
                await call.write(request)
        except (aio.AioRpcError, asyncio.InvalidStateError, TimeoutError):
            return


async def _replayed(rig: RpcRig, chance: random.Random) -> Trial:
    """Frames of a stream sent again, now and much later, between new ones."""
    session = f"replay{chance.getrandbits(40)}"
    wrong, again, newest = 0, 0, 0
    async with rig.channel() as channel:
        stub = _stub(channel)
        for _ in range(60):
            newest += chance.choice([1, 1, 1, 2, 700])
            wrong += await code_of(stub.CompressFrame(frame(session, newest))) is not _OK
            if chance.random() < 0.5:
                old = newest - chance.choice([0, WINDOW, 2 * WINDOW])
                if old > 0:
                    again += 1
                    expected = _EXISTS if old == newest else _OLD
                    code = await code_of(stub.CompressFrame(frame(session, old)))
                    wrong += code is not expected
    return Trial(
        wrong=expect(wrong_codes=wrong > 0),
        figures={"frames sent again": again},
    )


async def _garbage(rig: RpcRig, chance: random.Random) -> Trial:
    """Bytes that are no request, or once were one."""
    good = frame("garbage", 1).SerializeToString()
    codes = []
    async with rig.channel() as channel:
        call: Any = channel.unary_unary(_COMPRESS)
        for _ in range(_GARBAGE):
            data = bytearray(good if chance.random() < 0.7 else chance.randbytes(200))
            for _ in range(chance.randint(1, 6)):
                at = chance.randrange(len(data))
                data[at : at + chance.randint(0, 4)] = chance.randbytes(chance.randint(0, 4))
            codes.append(await call(bytes(data)).code())
        codes += [await call(trick).code() for trick in _TRICKS]
    return Trial(
        wrong=expect(
            undocumented_codes=not set(codes) <= DOCUMENTED,
            others_are_not_served=not await rig.is_served(),
        ),
        figures={"refused": sum(code is not _OK for code in codes)},
    )


async def _oversized(rig: RpcRig, chance: random.Random) -> Trial:
    """More bytes than a message may have; sizes that would need more than there is."""
    before_mb = rig.megabytes()
    requests = [
        frame("large", 1, frame_data=bytes(10 * MIB + chance.randint(1, MIB))),
        frame("large", 2, metadata={"width": 7680, "height": 4320}, frame_data=b"x"),
        frame("large", 3, metadata={"width": 4096, "height": 2304}, frame_data=b"x"),
        frame("large", 4, metadata={"width": -1, "height": chance.randint(1, 9)}),
        frame("large", 5, frame_type=pb.FRAME_TYPE_AUDIO, metadata={"sample_rate": 1}),
        frame("large", 6, frame_type=pb.FRAME_TYPE_AUDIO, metadata={"channels": 10**6}),
    ]
    async with rig.channel() as channel:
        codes = [await code_of(_stub(channel).CompressFrame(one)) for one in requests]
    grown_mb = rig.megabytes() - before_mb
    return Trial(
        wrong=expect(
            wrong_codes=codes != [_EXHAUSTED, *[_INVALID] * 5],
            memory_grew_by_more_than_two_messages=grown_mb > 2 * SETTINGS.max_message_bytes / MIB,
            others_are_not_served=not await rig.is_served(),
        ),
        figures={"MB": grown_mb},
    )


async def _flooded(rig: RpcRig, chance: random.Random) -> Trial:
    """Calls by the hundred, streams by the hundred on one connection, metadata of 64 KB."""
    before_mb = rig.megabytes()
    done = asyncio.Event()
    good: list[grpc.StatusCode] = []

    async def goes_on(channel: aio.Channel) -> None:
        number = 0
        session = f"good{chance.getrandbits(40)}"
        while not done.is_set():
            number += 1
            good.append(await code_of(_stub(channel).CompressFrame(frame(session, number))))
            await asyncio.sleep(0.02)

    async with rig.channel() as calm, rig.channel() as wild, rig.channel() as wilder:
        going = asyncio.create_task(goes_on(calm))
        padding = [("x-padding", "a" * (64 << 10))]
        name = f"flood{chance.getrandbits(20)}"
        calls = [
            code_of(_stub(wild).CompressFrame(frame(name, number), metadata=metadata))
            for number in range(1, _CALLS)
            for metadata in ([padding] if number % 50 == 0 else [[]])
        ]
        streams = [_stub(wilder).CompressStream() for _ in range(_STREAMS)]
        codes = await asyncio.gather(*calls)
        for stream in streams:
            stream.cancel()
        done.set()
        await going
    grown_mb = rig.megabytes() - before_mb
    return Trial(
        wrong=expect(
            undocumented_codes=not set(codes) <= DOCUMENTED,
            the_calm_client_was_refused=set(good) != {_OK},
            memory_grew=grown_mb > 200,
        ),
        figures={"MB": grown_mb, "answers to the calm client": len(good)},
    )


async def _named(rig: RpcRig, chance: random.Random) -> Trial:
    """A new session with every call."""
    before_mb = rig.megabytes()
    most = 0
    async with rig.channel() as channel, rig.channel() as other:
        stub = _stub(channel)
        codes = []
        for number in range(_NAMES):
            session = f"{chance.getrandbits(60):x}"
            codes.append(await code_of(stub.CompressFrame(frame(session, 1))))
            if number % 50 == 0:
                health = await _stub(other).HealthCheck(pb.HealthCheckRequest())
                most = max(most, health.resources.active_sessions)
    return Trial(
        wrong=expect(
            undocumented_codes=not set(codes) <= {_OK, _EXHAUSTED},
            more_sessions_than_may_be=most > SETTINGS.max_streams,
            memory_grew=rig.megabytes() - before_mb > 64,
        ),
        figures={"sessions at most": most, "refused": codes.count(_EXHAUSTED)},
    )


_OK: Final = grpc.StatusCode.OK
_EXISTS: Final = grpc.StatusCode.ALREADY_EXISTS
_OLD: Final = grpc.StatusCode.OUT_OF_RANGE
_INVALID: Final = grpc.StatusCode.INVALID_ARGUMENT
_EXHAUSTED: Final = grpc.StatusCode.RESOURCE_EXHAUSTED
_TRICKS: Final = (
    b"\x42" * 4_000,  # nested without end
    b"\x0a\xff\xff\xff\xff\x07",  # a length of 2^31
    b"\x0a\x02\xff\xfe",  # no UTF-8
    b"\xf8\x3f\x01" * 50,  # fields that nobody knows
    b"",
)


def _trial(body: Any, rig: RpcRig, seed: int) -> Trial:
    return rig.run(body(rig, random.Random(seed)))


def _fault(number: str, name: str, expected: str, body: Any) -> Fault[RpcRig]:
    return Fault(
        number=number, name=name, expected=expected, prepare=rpc_rig, inject=partial(_trial, body)
    )


FAULTS: Final = (
    _fault(
        "F22",
        "gRPC clients read no answers",
        "each is hung up on, memory is bounded, others are served",
        _unread,
    ),
    _fault(
        "F33",
        "frames are sent again over gRPC",
        "each is refused by its code, new ones are coded",
        _replayed,
    ),
    _fault(
        "F35",
        "gRPC requests of garbage",
        "documented codes, never INTERNAL or UNKNOWN",
        _garbage,
    ),
    _fault(
        "F36",
        "gRPC requests that are too large, or say so",
        "refused before memory is taken for them",
        _oversized,
    ),
    _fault(
        "F38",
        "a flood of gRPC calls, streams and metadata",
        "documented codes, a calm client gets all its answers, memory within 200 MB",
        _flooded,
    ),
    _fault(
        "F39",
        "a flood of session names",
        "no more sessions than there may be, RESOURCE_EXHAUSTED for the rest",
        _named,
    ),
)
