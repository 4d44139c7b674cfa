"""A Redis of one's own, and how a fault is injected into it."""

import asyncio
import contextlib
import random
from collections.abc import Awaitable, Callable, Iterator
from functools import partial
from typing import Final, TypeAlias

from auralink.bench.fault.servers import RedisServer
from auralink.bench.fault.values import Fault, Trial

BACK_WITHIN_S: Final = 5.0
PATIENT_S: Final = 2.0  # where a late answer is not the question

AsyncTrial: TypeAlias = Callable[[RedisServer, random.Random], Awaitable[Trial]]


@contextlib.contextmanager
def server() -> Iterator[RedisServer]:
    found = RedisServer()
    found.start()
    try:
        yield found
    finally:
        found.remove()


def fault(number: str, name: str, expected: str, trial: AsyncTrial) -> Fault[RedisServer]:
    return Fault(
        number=number, name=name, expected=expected, prepare=server, inject=partial(inject, trial)
    )


def inject(trial: AsyncTrial, found: RedisServer, seed: int) -> Trial:
    return asyncio.run(trial(found, random.Random(seed)))  # type: ignore[arg-type]
