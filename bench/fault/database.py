"""F7, F8 and F48: a database that is not there, dies, freezes, is changed; and its family."""

import asyncio
import contextlib
import random
import time
from collections.abc import Callable
from functools import partial
from typing import Final

import sqlalchemy as sa

from auralink.bench.fault import database_trouble
from auralink.bench.fault.database_rig import (
    BACK_WITHIN_S,
    WAITED_S,
    count,
    fault,
    new_database,
    row,
    writing,
)
from auralink.bench.fault.rig import until
from auralink.bench.fault.servers import PostgresServer
from auralink.bench.fault.values import Trial, expect
from auralink.engine.stores.database.connection import Database
from auralink.engine.stores.database.migrate import head, migrate
from auralink.engine.stores.database.records import (
    DatabaseRecords,
    RecordsSettings,
    open_records,
)
from auralink.engine.stores.errors import StoreAway

_OUTAGE_S: Final = 0.5
_PAUSES_S: Final = (0.5, 1.0, 2.0, 4.0)
_SPREAD: Final = 0.2


async def _start(found: PostgresServer, chance: random.Random) -> Trial:
    """Nobody listens; time is virtual."""
    pauses: list[float] = []
    required = chance.random() < 0.5
    settings = RecordsSettings(url="postgresql://nobody@127.0.0.1:9/aic", required=required)
    refused = served = False

    async def sleep(seconds: float) -> None:
        pauses.append(seconds)
        await asyncio.sleep(0.01)

    try:
        async with open_records(settings, sleep=sleep) as records:
            tries = pauses[: len(_PAUSES_S)]
            records.write(row(0))
            served = records.status().buffered == 1
    except StoreAway:
        tries = list(pauses)
        refused = True
    near = [
        nominal * (1 - _SPREAD) <= pause <= nominal * (1 + _SPREAD)
        for nominal, pause in zip(_PAUSES_S, tries, strict=False)
    ]
    return Trial(
        wrong=expect(
            another_number_of_tries=len(tries) != len(_PAUSES_S),
            pauses_out_of_bounds=not all(near),
            started_though_required=required and not refused,
            did_not_serve=not required and not served,
        )
    )


async def _outage(
    found: PostgresServer,
    chance: random.Random,
    *,
    begin: Callable[[PostgresServer], None],
    end: Callable[[PostgresServer], None],
) -> Trial:
    url = await new_database(found)
    async with writing(url) as (records, held):
        await until(lambda: records.status().written > 5, 10.0)
        await asyncio.sleep(0.1 * chance.random())
        begin(found)
        await until(lambda: not records.status().connected, 10.0)
        await asyncio.sleep(_OUTAGE_S)
        end(found)
        back_s = await until(lambda: records.status().connected, 2 * BACK_WITHIN_S)
        await until(lambda: records.status().buffered < 20, BACK_WITHIN_S)
    status = records.status()
    kept = await count(url)
    return Trial(
        wrong=expect(
            rows_lost=kept != len(held),
            rows_dropped=status.dropped > 0,
            a_write_waited=max(held) > WAITED_S,
            not_back_in_time=back_s is None or back_s > BACK_WITHIN_S,
        ),
        recovered_s=back_s,
        figures={
            "rows lost": len(held) - kept,
            "longest write of a caller, ms": 1e3 * max(held),
        },
    )


async def _frozen_end(found: PostgresServer, chance: random.Random) -> Trial:
    """The engine ends while the server is frozen."""
    url = await new_database(found)
    async with contextlib.AsyncExitStack() as stack:
        records, _ = await stack.enter_async_context(writing(url))
        await until(lambda: records.status().written > 5, 10.0)
        await asyncio.sleep(0.05 * chance.random())
        found.freeze()
        began = time.monotonic()
        try:
            await stack.aclose()
        finally:
            took = time.monotonic() - began
            found.thaw()
    return Trial(
        wrong=expect(end_held_up=took > 8.0),
        figures={"end of the engine, s": took},
    )


async def _upgrade(found: PostgresServer, chance: random.Random) -> Trial:
    """Two migrators race; then, under traffic, a step of a next version comes and goes."""
    url = await new_database(found, migrated=False)
    migrators = [Database(url) for _ in range(2)]
    done = await asyncio.gather(*(migrate(one) for one in migrators))
    once = sorted(one.before or "" for one in done) == ["", head()]
    async with writing(url) as (records, held):
        await until(lambda: records.status().written > 5, 10.0)
        for statements in (
            ("ALTER TABLE aic_metrics ADD COLUMN colour text", "9999"),
            ("ALTER TABLE aic_metrics DROP COLUMN colour", head()),
        ):
            async with migrators[0].writing() as connection:
                await connection.execute(sa.text(statements[0]))
                await connection.execute(
                    sa.text("UPDATE alembic_version SET version_num = :name"),
                    {"name": statements[1]},
                )
            before = records.status().written
            await until(partial(_more, records, before), 10.0)
            await asyncio.sleep(0.05 * chance.random())
    for one in migrators:
        await one.close()
    kept = await count(url)
    return Trial(
        wrong=expect(migrated_twice=not once, rows_lost=kept != len(held)),
        figures={"rows lost": len(held) - kept},
    )


def _more(records: DatabaseRecords, than: int) -> bool:
    return records.status().written > than


FAULTS: Final = (
    fault(
        "F7",
        "the database is not there at the start (virtual time)",
        "five tries, pauses of 0.5, 1, 2, 4 s within a fifth; then served without, or refused",
        _start,
    ),
    fault(
        "F8",
        "PostgreSQL is killed and started again under writes",
        "no row is lost, no writer waits, written again within 15 s",
        partial(_outage, begin=lambda found: found.kill(), end=lambda found: found.start()),
    ),
    fault(
        "F8",
        "PostgreSQL is frozen (SIGSTOP) under writes",
        "no row is lost, no writer waits, written again within 15 s",
        partial(_outage, begin=lambda found: found.freeze(), end=lambda found: found.thaw()),
    ),
    fault(
        "F8",
        "the engine ends while PostgreSQL is frozen",
        "it ends within 8 s: a transaction of 1 s, the last rows 2 s, connections 2 s",
        _frozen_end,
    ),
    fault(
        "F48",
        "two migrators race, then a schema of the next version comes and goes under writes",
        "migrated once, no row is lost",
        _upgrade,
    ),
    *database_trouble.FAULTS,
)
