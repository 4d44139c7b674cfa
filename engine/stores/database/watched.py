"""A database of which one knows, without asking, whether it answered last time."""

import logging
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import final

from sqlalchemy.ext.asyncio import AsyncConnection

from auralink.engine.stores.database import migrate
from auralink.engine.stores.database.connection import Database
from auralink.engine.stores.database.faults import RowRefused
from auralink.engine.stores.errors import StoreError

log = logging.getLogger(__name__)


@final
class WatchedDatabase:
    """Says once that the database went away, and once that it is back."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.connected = False
        self.last_error: str | None = None
        self._schema_checked = False

    async def attempt(self) -> None:
        """Connect and look at the schema.

        Raises:
            StoreAway, StoreRefused, SchemaOutdated
        """
        async with self.reading():
            pass

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[AsyncConnection]:
        with self._watch():
            async with self.database.reading() as connection:
                await self._check(connection)
                yield connection

    @asynccontextmanager
    async def writing(self) -> AsyncIterator[AsyncConnection]:
        with self._watch():
            async with self.database.writing() as connection:
                await self._check(connection)
                yield connection

    async def _check(self, connection: AsyncConnection) -> None:
        # Once a process: an outage does not change the schema, and a missing column says so.
        if not self._schema_checked:
            await migrate.check(connection)
            self._schema_checked = True

    @contextmanager
    def _watch(self) -> Iterator[None]:
        try:
            yield
        except RowRefused:
            raise  # it answered
        except StoreError as error:
            if self.connected or self.last_error is None:
                log.warning("%s", error)
            self.connected, self.last_error = False, str(error)
            raise
        if not self.connected:
            log.info("connected to %s", self.database)
        self.connected = True
