"""One database, with deadlines on everything that is asked of it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final, final

import sqlalchemy as sa
from sqlalchemy.engine import URL
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from auralink.codecs.errors import InputError
from auralink.engine.stores.database.faults import translated
from auralink.engine.stores.errors import StoreRefused

_DRIVERS: Final = {
    "postgresql": "postgresql+asyncpg",
    "postgres": "postgresql+asyncpg",
    "postgresql+asyncpg": "postgresql+asyncpg",
    "sqlite": "sqlite+aiosqlite",
    "sqlite+aiosqlite": "sqlite+aiosqlite",
}
_SQLITE_BUSY_MS: Final = 2_000
_WRITES: Final = "auralink_writes"


def parse_url(text: str) -> URL:
    """
    Raises:
        InputError: not the address of a PostgreSQL server or an SQLite file.  The message holds no
            password.
    """
    try:
        url = sa.make_url(text)
    except sa.exc.ArgumentError:
        raise _bad("the database address is not a URL") from None
    driver = _DRIVERS.get(url.drivername)
    if driver is None:
        raise _bad(f"no such kind of database: {url.drivername}")
    if driver.startswith("sqlite") and url.database in (None, "", ":memory:"):
        raise _bad("an SQLite database needs a file: rows in memory would be gone at the end")
    return url.set(drivername=driver)


def _bad(message: str) -> InputError:
    error = InputError(message)
    error.add_note(
        "postgresql://user:password@host:5432/name, or sqlite:////var/lib/auralink/aic.db"
    )
    return error


@final
class Database:
    """
    Args:
        operation_s: how long a transaction may take, waiting for a connection included.
        pool: connections kept; as many more may be open for a moment.

    Raises:
        InputError: see `parse_url`.
    """

    def __init__(self, url: str, *, operation_s: float = 5.0, pool: int = 5) -> None:
        self.url = parse_url(url)
        self._operation_s = operation_s
        self._engine = _open(self.url, operation_s, pool)

    @property
    def backend(self) -> str:
        return self._engine.dialect.name

    def __str__(self) -> str:
        return self.url.render_as_string(hide_password=True)

    def make_folder(self) -> None:
        """Of an SQLite file.

        Raises:
            StoreRefused: it cannot be made.
        """
        if self.backend != "sqlite" or self.url.database is None:
            return
        folder = Path(self.url.database).parent
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StoreRefused(f"{folder} cannot be made: {error.strerror}") from error

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[AsyncConnection]:
        """
        Raises:
            StoreAway, StoreRefused, SchemaOutdated: as `faults` sees the driver's errors.
        """
        async with self._within(self._operation_s, self._engine) as connection:
            yield connection

    @asynccontextmanager
    async def writing(self, *, deadline_s: float | None = None) -> AsyncIterator[AsyncConnection]:
        """A transaction that takes SQLite's one write lock at its beginning.

        A reader that becomes a writer would get "locked" at once where another one writes.
        """
        engine = self._engine.execution_options(**{_WRITES: True})
        async with self._within(deadline_s or self._operation_s, engine) as connection:
            yield connection

    async def close(self, within_s: float = 2.0) -> None:
        """Close the pool; a server that is frozen cannot hold this up (asyncpg #1356)."""
        try:
            async with asyncio.timeout(within_s):
                await self._engine.dispose()
        except TimeoutError:
            await self._engine.dispose(close=False)

    @asynccontextmanager
    async def _within(self, limit_s: float, engine: AsyncEngine) -> AsyncIterator[AsyncConnection]:
        async with (
            translated(str(self)),
            asyncio.timeout(limit_s),
            engine.begin() as connection,
        ):
            yield connection


def _open(url: URL, operation_s: float, pool: int) -> AsyncEngine:
    if url.drivername.startswith("sqlite"):
        engine = create_async_engine(url, pool_size=pool, pool_timeout=1.0)
        sa.event.listen(engine.sync_engine, "connect", _set_up_sqlite)
        sa.event.listen(engine.sync_engine, "begin", _begin_sqlite)
        return engine
    milliseconds = str(round(operation_s * 1000))
    return create_async_engine(
        url,
        pool_size=pool,
        max_overflow=pool,
        pool_timeout=1.0,
        pool_pre_ping=True,
        pool_recycle=1800,
        connect_args={
            "timeout": 2.0,
            "command_timeout": operation_s,
            "server_settings": {
                "application_name": "auralink-aic",
                "statement_timeout": milliseconds,
                "lock_timeout": milliseconds,
                "idle_in_transaction_session_timeout": milliseconds,
            },
        },
    )


def _set_up_sqlite(connection: Any, record: object) -> None:
    # The driver's own transactions would leave out DDL and begin late; see _begin_sqlite.
    connection.isolation_level = None
    cursor = connection.cursor()
    try:
        cursor.execute(f"PRAGMA busy_timeout = {_SQLITE_BUSY_MS}")
        cursor.execute("PRAGMA journal_mode = WAL")  # readers do not wait for the writer
        cursor.execute("PRAGMA synchronous = NORMAL")  # in WAL: durable but for a power cut
    finally:
        cursor.close()


def _begin_sqlite(connection: sa.Connection) -> None:
    writes = connection.get_execution_options().get(_WRITES, False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")
