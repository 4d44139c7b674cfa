"""The event loop of commands that stay."""

import asyncio
import sys
from collections.abc import Coroutine
from typing import Any, Final

from auralink.engine.garbage import spare_what_lives
from auralink.engine.memory import return_large_buffers

# How long a busy thread keeps the interpreter from the others.  A worker's answer waits for it in a
# thread of its own: with Python's 5 ms a quarter of a block of sound would be gone.
_SWITCH_S: Final = 0.0005


def run(work: Coroutine[Any, Any, None]) -> None:
    """Run to the end, on the fastest loop there is."""
    return_large_buffers()
    sys.setswitchinterval(_SWITCH_S)
    spare_what_lives()
    try:
        import uvloop
    except ImportError:  # no wheel for Windows
        asyncio.run(work)
    else:
        uvloop.run(work)
