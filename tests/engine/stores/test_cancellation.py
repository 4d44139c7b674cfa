"""Requests to end are not lost."""

import asyncio

import pytest

from auralink.engine.stores.redis.cancellation import cancellation_kept


async def forgetful(outcome: Exception | None) -> str:
    """As a library that swallows a cancellation and then finishes."""
    with pytest.raises(asyncio.CancelledError):
        await asyncio.Event().wait()
    if outcome is not None:
        raise outcome
    return "done"


@pytest.mark.parametrize("outcome", [None, OSError("and then it failed")])
async def test_a_swallowed_cancellation_is_raised_after_all(outcome: Exception | None) -> None:
    async def work() -> None:
        with cancellation_kept():
            await forgetful(outcome)
        pytest.fail("went on")

    task = asyncio.create_task(work())
    await asyncio.sleep(0)
    task.cancel()

    with pytest.raises(asyncio.CancelledError):
        await task


async def test_a_deadline_inside_is_no_cancellation() -> None:
    with pytest.raises(TimeoutError), cancellation_kept():
        async with asyncio.timeout(0):
            await asyncio.Event().wait()


async def test_other_errors_pass() -> None:
    with pytest.raises(ValueError, match="mine"), cancellation_kept():
        raise ValueError("mine")
