"""Records over one database: batched writes that wait for it, reads that do not."""

import asyncio
import logging
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Final, final

from auralink.engine.stores.backoff import Backoff
from auralink.engine.stores.connecting import connect
from auralink.engine.stores.database import queries, statements
from auralink.engine.stores.database.buffer import RowBuffer
from auralink.engine.stores.database.connection import Database
from auralink.engine.stores.database.faults import RowRefused
from auralink.engine.stores.database.migrate import migrate
from auralink.engine.stores.database.reads import DatabaseReads
from auralink.engine.stores.database.retention import Retention, end_lost, sweep
from auralink.engine.stores.database.watched import WatchedDatabase
from auralink.engine.stores.errors import StoreError
from auralink.engine.stores.records import AlertRow, RecordsStatus, Row, UserConfig
from auralink.engine.tasks import spawn

log = logging.getLogger(__name__)
_BATCH: Final = 500
_LAST_WORDS_S: Final = 2.0  # for the rows that are still buffered when everything ends
_SWEEP_S: Final = 3600.0
_LOST_S: Final = 10.0
_START: Final = Backoff(first_s=0.5, cap_s=4.0)
_OUTAGE: Final = Backoff(first_s=0.5, cap_s=10.0)  # a restart is noticed within ten seconds

Sleep = Callable[[float], Awaitable[None]]


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordsSettings:
    """
    Attributes:
        url: see `connection.parse_url`; it may hold a password, so this value stays out of logs.
        required: fail at the start when the database cannot be reached; else serve without it and
            keep trying.
        capacity: rows that wait while the database is away.
        every_s: how long rows may wait for others to be written with.
        lost_after_s: an open session of which no engine has spoken for so long is ended.
    """

    url: str = field(repr=False)
    required: bool = False
    operation_s: float = 5.0
    pool: int = 5
    capacity: int = 10_000
    every_s: float = 1.0
    lost_after_s: float = 30.0
    keep: Retention = field(default_factory=Retention)


@final
class DatabaseRecords(DatabaseReads):
    """`Records`; made by `open_records`."""

    def __init__(self, database: WatchedDatabase, *, capacity: int) -> None:
        super().__init__(database)
        self._buffer = RowBuffer(capacity)
        self._waiting = asyncio.Event()
        self._one_writer = asyncio.Lock()
        self._written = 0
        self._refused = 0

    def write(self, *rows: Row) -> None:
        for row in rows:
            self._buffer.add(row)
        self._waiting.set()

    async def flush(self) -> None:
        async with self._one_writer:
            self._waiting.clear()
            while rows := self._buffer.oldest(_BATCH):
                await self._write(rows)
                self._buffer.written()

    async def save_config(self, config: UserConfig) -> None:
        async with self._database.writing() as connection:
            await statements.write_config(connection, config)

    async def resolve_alert(
        self,
        alert_id: str,
        *,
        by: str,
        now: datetime,
        note: str | None = None,
        owner: str | None = None,
    ) -> AlertRow | None:
        async with self._database.writing() as connection:
            await statements.resolve_alert(connection, alert_id, owner, by=by, now=now, note=note)
            found = await queries.alerts(connection, alert_id=alert_id, owner=owner, limit=1)
        return found[0] if found else None

    def status(self) -> RecordsStatus:
        return RecordsStatus(
            backend=self._database.database.backend,
            connected=self._database.connected,
            buffered=len(self._buffer),
            capacity=self._buffer.capacity,
            written=self._written,
            dropped=self._buffer.dropped + self._refused,
            last_error=self._database.last_error,
        )

    async def pump(self, every_s: float, sleep: Sleep) -> None:
        """Write what waits, every ``every_s``, until cancelled; pause longer in an outage."""
        failures = 0
        while True:
            await self._waiting.wait()
            await sleep(every_s)
            try:
                await self.flush()
                failures = 0
                continue
            except StoreError:
                pass  # the watched database tells of it, once
            except Exception:  # the rows stay, and the next try may be better
                log.exception("writing records")
            self._waiting.set()
            failures += 1
            await sleep(_OUTAGE.pause_s(failures, random.random()))

    async def _write(self, rows: Sequence[Row]) -> None:
        try:
            async with self._database.writing() as connection:
                await statements.write(connection, rows)
        except RowRefused as error:
            if len(rows) == 1:
                # A peer chooses its identity, so this may be anything; the rest must go on.
                log.warning("a row is given up: %s", error)
                self._refused += 1
                return
            middle = len(rows) // 2
            await self._write(rows[:middle])
            await self._write(rows[middle:])
            return
        self._written += len(rows)


@asynccontextmanager
async def open_records(
    settings: RecordsSettings, *, sleep: Sleep = asyncio.sleep
) -> AsyncIterator[DatabaseRecords]:
    """Connect (an SQLite file is made and brought up to date), and write in the background.

    Raises:
        StoreError: with ``required`` alone.
        InputError: the address is unusable.
    """
    database = Database(settings.url, operation_s=settings.operation_s, pool=settings.pool)
    watched = WatchedDatabase(database)
    records = DatabaseRecords(watched, capacity=settings.capacity)
    tasks: list[asyncio.Task[None]] = []
    try:
        await _start(watched, required=settings.required, sleep=sleep)
        for work, name in (
            (records.pump(settings.every_s, sleep), "writing records"),
            (_tidy(database, settings, sleep), "tidying records"),
        ):
            tasks.append(spawn(work, name, lambda error: None))
        yield records
    finally:
        # First, so that no write is cut off in the middle: SQLite would stay locked for a while.
        await _last_words(records)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await database.close()


async def _start(watched: WatchedDatabase, *, required: bool, sleep: Sleep) -> None:
    async def attempt() -> None:
        if watched.database.backend == "sqlite":
            await migrate(watched.database)
        await watched.attempt()

    try:
        await connect("database", attempt, backoff=_START, sleep=sleep, random=random.random)
    except StoreError as error:
        if required:
            raise
        watched.last_error = str(error)
        log.warning("going on without the database: %s", error)


async def _tidy(database: Database, settings: RecordsSettings, sleep: Sleep) -> None:
    """End lost sessions every few seconds, and delete what is too old every hour."""
    lost = timedelta(seconds=settings.lost_after_s)
    due_s = 0.0
    while True:
        try:
            await end_lost(database, datetime.now(UTC), lost)
            if due_s <= 0:
                await sweep(database, settings.keep, datetime.now(UTC))
                due_s = _SWEEP_S
        except StoreError as error:
            log.debug("tidying waits: %s", error)
        except Exception:  # as above
            log.exception("tidying records")
        await sleep(_LOST_S)
        due_s -= _LOST_S


async def _last_words(records: DatabaseRecords) -> None:
    try:
        async with asyncio.timeout(_LAST_WORDS_S):
            await records.flush()
    except (StoreError, TimeoutError):
        left = records.status().buffered
        if left:
            log.warning("%d rows were not written: the database is away", left)
