"""The official SDK's way into a room, for the processes that play publisher and viewer.

They read the address and token from the environment.
"""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from livekit import rtc

from auralink.engine.rehearsal.lines import now_us, tell


@asynccontextmanager
async def in_room(room: Any, *, subscribe: bool) -> AsyncIterator[None]:
    """Tells ``joined_us``, the time at which it is in the room."""
    options = rtc.RoomOptions(auto_subscribe=subscribe)
    await room.connect(os.environ["LIVEKIT_URL"], os.environ["LIVEKIT_TOKEN"], options)
    tell(joined_us=now_us())
    try:
        yield
    finally:
        await room.disconnect()
