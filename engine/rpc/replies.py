"""Responses of one stream call on their way to the reader, who may be slow."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import final

from auralink.engine.rpc.outbox import LIMIT, Outbox
from auralink.engine.rpc.stubs import aic_compression_pb2 as pb
from auralink.engine.service.errors import Limited

Write = Callable[[pb.CompressFrameResponse], Awaitable[None]]


@final
class Replies:
    """
    Args:
        patience_s: how long one write may take.
    """

    def __init__(self, write: Write, *, patience_s: float) -> None:
        self._write = write
        self._patience_s = patience_s
        self._box = Outbox()
        self._changed = asyncio.Event()
        self._closed = False

    @property
    def given_up(self) -> int:
        return self._box.given_up

    def put(self, response: pb.CompressFrameResponse, *, droppable: bool) -> bool:
        """As `Outbox.put`.

        Raises:
            Limited: nothing is read at all.
        """
        if self._box.full:
            raise Limited("responses are not read")
        complete = self._box.put(response, droppable=droppable)
        self._changed.set()
        return complete

    async def room(self) -> None:
        """Wait until a response can be entered and nothing need be given up."""
        while len(self._box) >= LIMIT:
            self._changed.clear()
            await self._changed.wait()

    def close(self) -> None:
        """Nothing more comes."""
        self._closed = True
        self._changed.set()

    async def run(self) -> None:
        """Write until closed and empty.

        Raises:
            Limited: the reader took nothing for too long.
        """
        while True:
            response = self._box.take()
            if response is not None:
                self._changed.set()
                await self._send(response)
            elif self._closed:
                return
            else:
                self._changed.clear()
                await self._changed.wait()

    async def _send(self, response: pb.CompressFrameResponse) -> None:
        try:
            async with asyncio.timeout(self._patience_s):
                await self._write(response)
        except TimeoutError:
            error = Limited(f"no response was read for {self._patience_s:g} s")
            error.add_note("read responses while you write requests")
            raise error from None
