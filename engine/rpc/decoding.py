"""One decoder on the event loop: one call at a time, and closed after the last one has returned."""

import asyncio
from collections.abc import Callable
from functools import partial
from typing import final

from auralink.engine.rpc.coding import Run
from auralink.engine.rpc.decoders import Decoded, StreamDecoder


@final
class Decoding:
    """
    Args:
        opening: makes the decoder; may block.
    """

    def __init__(self, opening: Callable[[], StreamDecoder], run: Run) -> None:
        self._opening = opening
        self._run = run
        self._decoder: StreamDecoder | None = None
        self._work: asyncio.Future[Decoded] | None = None

    async def decode(self, data: bytes) -> Decoded:
        """
        Raises:
            UnsupportedError: this machine has no such decoder.
        """
        self._work = asyncio.ensure_future(self._run(partial(self._decode, data)))
        # Native code goes on when its caller is gone.
        return await asyncio.shield(self._work)

    async def close(self) -> None:
        if self._work is not None:
            await asyncio.wait({self._work})
            if not self._work.cancelled():
                self._work.exception()  # its caller is gone, or has heard of it
        if self._decoder is not None:
            await self._run(self._decoder.close)

    def _decode(self, data: bytes) -> Decoded:
        if self._decoder is None:
            self._decoder = self._opening()
        return self._decoder.decode(data)
