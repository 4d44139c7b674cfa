"""The official SDK's way into a room, for the processes that play publisher and viewer.

They read the address and token from the environment, obey lines on stdin, tell lines of JSON on
stdout, and leave when stdin ends, which a crash of their owner causes, too.
"""

import asyncio
import json
import os
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from livekit import rtc


def now_us() -> int:
    return time.monotonic_ns() // 1000


def tell(**facts: object) -> None:
    print(json.dumps(facts), flush=True)


async def orders() -> AsyncIterator[str]:
    """Lines of stdin, until it ends."""
    reader = asyncio.StreamReader()
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    while line := await reader.readline():
        yield line.decode().strip()


@asynccontextmanager
async def in_room(room: Any, *, subscribe: bool) -> AsyncIterator[None]:
    """Tells ``joined`` with its time."""
    options = rtc.RoomOptions(auto_subscribe=subscribe)
    await room.connect(os.environ["LIVEKIT_URL"], os.environ["LIVEKIT_TOKEN"], options)
    tell(joined_us=now_us())
    try:
        yield
    finally:
        await room.disconnect()
