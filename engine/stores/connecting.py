"""Reach a store that may still be starting: a few tries, then the last error."""

import logging
from collections.abc import Awaitable, Callable
from typing import Final

from auralink.engine.stores.backoff import Backoff
from auralink.engine.stores.errors import StoreAway

ATTEMPTS: Final = 5
log = logging.getLogger(__name__)


async def connect(
    name: str,
    attempt: Callable[[], Awaitable[None]],
    *,
    backoff: Backoff,
    sleep: Callable[[float], Awaitable[None]],
    random: Callable[[], float],
    attempts: int = ATTEMPTS,
) -> None:
    """Return after the first attempt that succeeds.

    Args:
        attempt: raises `StoreAway` if another try may help; other errors end this at once.

    Raises:
        StoreAway: of the last attempt.
    """
    for number in range(1, attempts + 1):
        try:
            return await attempt()
        except StoreAway as error:
            if number == attempts:
                raise
            pause = backoff.pause_s(number, random())
            log.warning(
                "%s, attempt %d of %d: %s; again in %.1f s", name, number, attempts, error, pause
            )
            await sleep(pause)
    raise ValueError(f"attempts must be at least 1, got {attempts}")
