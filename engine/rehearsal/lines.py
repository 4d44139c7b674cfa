"""How processes of a rehearsal talk with their owner: orders on stdin, facts in JSON on stdout."""

import asyncio
import json
import sys
import time
from collections.abc import AsyncIterator


def now_us() -> int:
    """The clock that all processes of a machine share."""
    return time.monotonic_ns() // 1000


def tell(**facts: object) -> None:
    print(json.dumps(facts), flush=True)


async def orders() -> AsyncIterator[str]:
    """Lines of stdin, until it ends, which a crash of the owner causes, too."""
    reader = asyncio.StreamReader()
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    while line := await reader.readline():
        yield line.decode().strip()
