"""The event loop of commands that stay."""

import asyncio
from collections.abc import Coroutine
from typing import Any


def run(work: Coroutine[Any, Any, None]) -> None:
    """Run to the end, on the fastest loop there is."""
    try:
        import uvloop
    except ImportError:  # no wheel for Windows
        asyncio.run(work)
    else:
        uvloop.run(work)
