"""Databases of one's own, rows that are written to them, and how a fault is injected."""

import asyncio
import contextlib
import random
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from functools import partial
from typing import Any, Final, TypeAlias

import asyncpg

from auralink.bench.fault.servers import PostgresServer
from auralink.bench.fault.values import Fault, Trial
from auralink.engine.stores.database.connection import Database
from auralink.engine.stores.database.migrate import migrate
from auralink.engine.stores.database.records import (
    DatabaseRecords,
    RecordsSettings,
    open_records,
)
from auralink.engine.stores.records import IntervalRow

BACK_WITHIN_S: Final = 15.0
# A writer that waited for the database would wait for a second and more; less is the machine's.
WAITED_S: Final = 0.25

AsyncTrial: TypeAlias = Callable[[PostgresServer, random.Random], Awaitable[Trial]]


@contextlib.contextmanager
def server() -> Iterator[PostgresServer]:
    found = PostgresServer()
    found.start()
    try:
        yield found
    finally:
        found.remove()


async def new_database(found: PostgresServer, *, migrated: bool = True) -> str:
    name = f"aic_{uuid.uuid4().hex}"
    connection = await asyncpg.connect(found.url)
    await connection.execute(f"CREATE DATABASE {name}")
    await connection.close()
    url = found.url_of(name)
    if migrated:
        database = Database(url)
        await migrate(database)
        await database.close()
    return url


def row(number: int) -> IntervalRow:
    return IntervalRow(
        session_id="s",
        call_id="room",
        participant_id="ann",
        owner="bench",
        track_id=str(number),
        kind="video",
        profile="hybrid",
        ended_at=datetime.now(UTC),
        interval_s=10.0,
        frames=200,
    )


@asynccontextmanager
async def writing(url: str, **changes: Any) -> AsyncIterator[tuple[DatabaseRecords, list[float]]]:
    """Rows, a hundred a second, and how long each `write` held its caller up."""
    held: list[float] = []
    values = {"every_s": 0.02, "operation_s": 1.0, "lost_after_s": 1e9} | changes
    async with open_records(RecordsSettings(url=url, required=True, **values)) as records:

        async def write() -> None:
            while True:
                began = time.monotonic()
                records.write(row(len(held)))
                held.append(time.monotonic() - began)
                await asyncio.sleep(0.01)

        writing = asyncio.create_task(write())
        try:
            yield records, held
        finally:
            writing.cancel()
            await asyncio.gather(writing, return_exceptions=True)


async def count(url: str) -> int:
    connection = await asyncpg.connect(url)
    try:
        return int(await connection.fetchval("SELECT count(*) FROM aic_metrics"))
    finally:
        await connection.close()


def fault(number: str, name: str, expected: str, trial: AsyncTrial) -> Fault[PostgresServer]:
    return Fault(
        number=number, name=name, expected=expected, prepare=server, inject=partial(inject, trial)
    )


def inject(trial: AsyncTrial, found: PostgresServer, seed: int) -> Trial:
    return asyncio.run(trial(found, random.Random(seed)))  # type: ignore[arg-type]
