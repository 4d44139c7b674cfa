"""Background tasks whose failures are heard of."""

import asyncio
import logging
from collections.abc import Callable, Coroutine
from typing import Any

log = logging.getLogger(__name__)


def spawn(
    work: Coroutine[Any, Any, None], name: str, failed: Callable[[BaseException], None]
) -> asyncio.Task[None]:
    """Start a task; ``failed`` is told, after the log, if it ends by an exception.

    Keep the task: the event loop does not.
    """
    task = asyncio.create_task(work, name=name)

    def ended(task: asyncio.Task[None]) -> None:
        if task.cancelled():
            return
        error = task.exception()
        if error is not None:
            log.error("%s failed", name, exc_info=error)
            failed(error)

    task.add_done_callback(ended)
    return task
