"""F9 and F10: a database that answers, and cannot."""

import asyncio
import contextlib
import os
import random
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import sqlalchemy as sa

from auralink.bench.fault.database_rig import (
    BACK_WITHIN_S,
    WAITED_S,
    fault,
    new_database,
    writing,
)
from auralink.bench.fault.rig import until
from auralink.bench.fault.servers import PostgresServer
from auralink.bench.fault.values import Trial, expect
from auralink.engine.stores.database.connection import Database
from auralink.engine.stores.database.records import (
    DatabaseRecords,
)
from auralink.engine.stores.errors import StoreAway


async def _trouble(found: PostgresServer, chance: random.Random) -> Trial:
    """No free connection, a deadlock, or a statement that takes too long."""
    url = await new_database(found)
    how = chance.choice(["pool", "slow", "deadlock"])
    database = Database(url, operation_s=0.5 if how == "slow" else 5.0, pool=1)
    try:
        began = time.monotonic()
        wrong = await {"pool": _no_connection, "slow": _slow, "deadlock": _deadlock}[how](database)
        took = time.monotonic() - began
    finally:
        await database.close()
    return Trial(
        wrong=wrong or expect(answer_too_late=took > 4.0), figures={"until the answer, s": took}
    )


async def _no_connection(database: Database) -> str:
    held = asyncio.Event()
    holders: list[bool] = []  # whether each got its connection

    async def hold() -> None:
        try:
            async with database.reading():
                holders.append(True)
                await held.wait()
        except StoreAway:
            holders.append(False)

    refused = False
    async with asyncio.TaskGroup() as group:
        for _ in range(2):
            group.create_task(hold())
        await until(lambda: len(holders) == 2, 10.0)
        try:
            async with database.reading():
                pass
        except StoreAway:
            refused = True
        held.set()
    return expect(a_holder_got_none=holders != [True, True], not_refused=not refused)


async def _slow(database: Database) -> str:
    stopped = False
    try:
        async with database.reading() as connection:
            await connection.execute(sa.text("SELECT pg_sleep(30)"))
    except StoreAway:
        stopped = True
    asked = sa.text("SELECT count(*) FROM pg_stat_activity WHERE query = 'SELECT pg_sleep(30)'")
    async with database.reading() as connection:
        running = await connection.scalar(asked)
    return expect(not_stopped=not stopped, goes_on_in_the_server=running != 0)


async def _deadlock(database: Database) -> str:
    lock = sa.text("SELECT pg_advisory_xact_lock(:key)")
    first = asyncio.Barrier(2)

    async def two(one: int, other: int) -> bool:
        try:
            async with database.writing() as connection:
                await connection.execute(lock, {"key": one})
                await first.wait()
                await connection.execute(lock, {"key": other})
        except StoreAway:
            return False
        return True

    done = await asyncio.gather(two(1, 2), two(2, 1))
    return expect(not_exactly_one_was_given_up=sorted(done) != [False, True])


async def _sqlite(found: PostgresServer, chance: random.Random) -> Trial:
    """The file is locked by another process, or (as root) its disk is full."""
    full = os.getuid() == 0 and chance.random() < 0.5
    with (
        tempfile.TemporaryDirectory(prefix="auralink-bench-") as folder,
        _small_disk(Path(folder)) if full else contextlib.nullcontext(),
    ):
        return await (_full if full else _locked)(Path(folder))


@contextlib.contextmanager
def _small_disk(folder: Path) -> Iterator[None]:
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", str(folder)], check=True)


async def _full(folder: Path) -> Trial:
    ballast = folder / "ballast"
    async with writing(f"sqlite:///{folder}/aic.db") as (records, held):
        await until(lambda: records.status().written > 0, 10.0)
        with contextlib.suppress(OSError):
            ballast.write_bytes(bytes(2 << 20))
        away_s = await until(lambda: not records.status().connected, 15.0)
        ballast.unlink()
        back_s = await until(lambda: records.status().connected, BACK_WITHIN_S)
    return _file_trial(records, held, away_s, back_s)


async def _locked(folder: Path) -> Trial:
    url = f"sqlite:///{folder}/aic.db"
    async with writing(url, operation_s=4.0) as (records, held):
        await until(lambda: records.status().written > 0, 10.0)
        other = Database(url, operation_s=30.0)
        async with other.writing():
            away_s = await until(lambda: not records.status().connected, 15.0)
        back_s = await until(lambda: records.status().connected, BACK_WITHIN_S)
        await other.close()
    return _file_trial(records, held, away_s, back_s)


def _file_trial(
    records: DatabaseRecords, held: list[float], away_s: float | None, back_s: float | None
) -> Trial:
    status = records.status()
    return Trial(
        wrong=expect(
            did_not_notice=away_s is None,
            not_back_in_time=back_s is None,
            rows_lost=status.written != len(held) or status.dropped > 0,
            a_write_waited=max(held) > WAITED_S,
        ),
        recovered_s=back_s,
    )


FAULTS: Final = (
    fault(
        "F9",
        "no free connection, a deadlock, a statement of 30 s",
        "refused or stopped, in the server too; of a deadlock one is given up",
        _trouble,
    ),
    fault(
        "F10",
        "SQLite's disk is full, or its file locked",
        "no row is lost, no writer waits, written again when there is room",
        _sqlite,
    ),
)
