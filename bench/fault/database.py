"""F7 to F10 and F48: a database that is not there, dies, freezes, is full or is being changed."""

import asyncio
import contextlib
import os
import random
import subprocess
import tempfile
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, Final, TypeAlias

import asyncpg
import sqlalchemy as sa

from auralink.bench.fault.rig import until
from auralink.bench.fault.servers import PostgresServer
from auralink.bench.fault.values import Fault, Trial, expect
from auralink.engine.stores.database.connection import Database
from auralink.engine.stores.database.migrate import head, migrate
from auralink.engine.stores.database.records import (
    DatabaseRecords,
    RecordsSettings,
    open_records,
)
from auralink.engine.stores.errors import StoreAway
from auralink.engine.stores.records import IntervalRow

_OUTAGE_S: Final = 0.5
_BACK_WITHIN_S: Final = 15.0
_PAUSES_S: Final = (0.5, 1.0, 2.0, 4.0)
_SPREAD: Final = 0.2

AsyncTrial: TypeAlias = Callable[[PostgresServer, random.Random], Awaitable[Trial]]


@contextlib.contextmanager
def server() -> Iterator[PostgresServer]:
    found = PostgresServer()
    found.start()
    try:
        yield found
    finally:
        found.remove()


async def _new(found: PostgresServer, *, migrated: bool = True) -> str:
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


def _row(number: int) -> IntervalRow:
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
async def _writing(url: str, **changes: Any) -> AsyncIterator[tuple[DatabaseRecords, list[float]]]:
    """Rows, a hundred a second, and how long each `write` held its caller up."""
    held: list[float] = []
    values = {"every_s": 0.02, "operation_s": 1.0, "lost_after_s": 1e9} | changes
    async with open_records(RecordsSettings(url=url, required=True, **values)) as records:

        async def write() -> None:
            while True:
                began = time.monotonic()
                records.write(_row(len(held)))
                held.append(time.monotonic() - began)
                await asyncio.sleep(0.01)

        writing = asyncio.create_task(write())
        try:
            yield records, held
        finally:
            writing.cancel()
            await asyncio.gather(writing, return_exceptions=True)


async def _count(url: str) -> int:
    connection = await asyncpg.connect(url)
    try:
        return int(await connection.fetchval("SELECT count(*) FROM aic_metrics"))
    finally:
        await connection.close()


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
            records.write(_row(0))
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
    url = await _new(found)
    async with _writing(url) as (records, held):
        await until(lambda: records.status().written > 5, 10.0)
        await asyncio.sleep(0.1 * chance.random())
        begin(found)
        await until(lambda: not records.status().connected, 10.0)
        await asyncio.sleep(_OUTAGE_S)
        end(found)
        back_s = await until(lambda: records.status().connected, 2 * _BACK_WITHIN_S)
        await until(lambda: records.status().buffered < 20, _BACK_WITHIN_S)
    status = records.status()
    kept = await _count(url)
    return Trial(
        wrong=expect(
            rows_lost=kept != len(held),
            rows_dropped=status.dropped > 0,
            a_write_waited=max(held) > 0.05,
            not_back_in_time=back_s is None or back_s > _BACK_WITHIN_S,
        ),
        recovered_s=back_s,
        figures={
            "rows lost": len(held) - kept,
            "longest write of a caller, ms": 1e3 * max(held),
        },
    )


async def _frozen_end(found: PostgresServer, chance: random.Random) -> Trial:
    """The engine ends while the server is frozen."""
    url = await _new(found)
    async with contextlib.AsyncExitStack() as stack:
        records, _ = await stack.enter_async_context(_writing(url))
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


async def _trouble(found: PostgresServer, chance: random.Random) -> Trial:
    """No free connection, a deadlock, or a statement that takes too long."""
    url = await _new(found)
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
    ready: list[int] = []

    async def hold() -> None:
        async with database.reading():
            ready.append(1)
            await held.wait()

    refused = False
    async with asyncio.TaskGroup() as group:
        for _ in range(2):
            group.create_task(hold())
        await until(lambda: len(ready) == 2, 5.0)
        try:
            async with database.reading():
                pass
        except StoreAway:
            refused = True
        held.set()
    return expect(not_refused=not refused)


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
    async with _writing(f"sqlite:///{folder}/aic.db") as (records, held):
        await until(lambda: records.status().written > 0, 10.0)
        with contextlib.suppress(OSError):
            ballast.write_bytes(bytes(2 << 20))
        away_s = await until(lambda: not records.status().connected, 15.0)
        ballast.unlink()
        back_s = await until(lambda: records.status().connected, _BACK_WITHIN_S)
    return _file_trial(records, held, away_s, back_s)


async def _locked(folder: Path) -> Trial:
    url = f"sqlite:///{folder}/aic.db"
    async with _writing(url, operation_s=4.0) as (records, held):
        await until(lambda: records.status().written > 0, 10.0)
        other = Database(url, operation_s=30.0)
        async with other.writing():
            away_s = await until(lambda: not records.status().connected, 15.0)
        back_s = await until(lambda: records.status().connected, _BACK_WITHIN_S)
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
            a_write_waited=max(held) > 0.05,
        ),
        recovered_s=back_s,
    )


async def _upgrade(found: PostgresServer, chance: random.Random) -> Trial:
    """Two migrators race; then, under traffic, a step of a next version comes and goes."""
    url = await _new(found, migrated=False)
    migrators = [Database(url) for _ in range(2)]
    done = await asyncio.gather(*(migrate(one) for one in migrators))
    once = sorted(one.before or "" for one in done) == ["", head()]
    async with _writing(url) as (records, held):
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
    kept = await _count(url)
    return Trial(
        wrong=expect(migrated_twice=not once, rows_lost=kept != len(held)),
        figures={"rows lost": len(held) - kept},
    )


def _more(records: DatabaseRecords, than: int) -> bool:
    return records.status().written > than


def _inject(trial: AsyncTrial, found: PostgresServer, seed: int) -> Trial:
    return asyncio.run(trial(found, random.Random(seed)))  # type: ignore[arg-type]


def _fault(number: str, name: str, expected: str, trial: AsyncTrial) -> Fault[PostgresServer]:
    return Fault(
        number=number, name=name, expected=expected, prepare=server, inject=partial(_inject, trial)
    )


FAULTS: Final = (
    _fault(
        "F7",
        "the database is not there at the start (virtual time)",
        "five tries, pauses of 0.5, 1, 2, 4 s within a fifth; then served without, or refused",
        _start,
    ),
    _fault(
        "F8",
        "PostgreSQL is killed and started again under writes",
        "no row is lost, no writer waits, written again within 15 s",
        partial(_outage, begin=lambda found: found.kill(), end=lambda found: found.start()),
    ),
    _fault(
        "F8",
        "PostgreSQL is frozen (SIGSTOP) under writes",
        "no row is lost, no writer waits, written again within 15 s",
        partial(_outage, begin=lambda found: found.freeze(), end=lambda found: found.thaw()),
    ),
    _fault(
        "F8",
        "the engine ends while PostgreSQL is frozen",
        "it ends within 8 s: a transaction of 1 s, the last rows 2 s, connections 2 s",
        _frozen_end,
    ),
    _fault(
        "F9",
        "no free connection, a deadlock, a statement of 30 s",
        "refused or stopped, in the server too; of a deadlock one is given up",
        _trouble,
    ),
    _fault(
        "F10",
        "SQLite's disk is full, or its file locked",
        "no row is lost, no writer waits, written again when there is room",
        _sqlite,
    ),
    _fault(
        "F48",
        "two migrators race, then a schema of the next version comes and goes under writes",
        "migrated once, no row is lost",
        _upgrade,
    ),
)
