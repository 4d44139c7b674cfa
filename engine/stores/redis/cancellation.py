"""A task that is asked to end ends, also where a library forgot the request."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def cancellation_kept() -> Iterator[None]:
    """Raise ``CancelledError`` at the end of the block if the block swallowed one.

    redis-py sends by `asyncio.wait_for`, which before Python 3.12 drops a cancellation that comes
    in the same turn of the loop as its result (CPython #86296).
    """
    before = _requests()
    try:
        yield
    except Exception as error:
        if _requests() > before:
            raise asyncio.CancelledError from error
        raise
    if _requests() > before:
        raise asyncio.CancelledError


def _requests() -> int:
    task = asyncio.current_task()
    return 0 if task is None else task.cancelling()
