"""Calls as tests make them."""

from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from grpc import aio

from auralink.engine.rpc.failures import DETAILS_KEY
from auralink.engine.rpc.stubs import aic_compression_pb2 as pb

from .conftest import Served
from .frames import each

Serve = Callable[..., Awaitable[Served]]


async def decoded(
    served: Served, data: list[bytes], media: int = pb.FRAME_TYPE_VIDEO
) -> list[pb.DecompressResponse]:
    requests = [
        pb.DecompressRequest(
            session_id="far", frame_number=number, frame_type=media, compressed_data=one
        )
        for number, one in enumerate(data)
    ]
    return [response async for response in served.stub.DecompressStream(each(requests))]


async def refused(call: Awaitable[Any]) -> aio.AioRpcError:
    with pytest.raises(aio.AioRpcError) as caught:
        await call
    return caught.value


def details_of(error: aio.AioRpcError) -> pb.ErrorDetails:
    trailing = dict(error.trailing_metadata() or ())
    return pb.ErrorDetails.FromString(trailing[DETAILS_KEY])
