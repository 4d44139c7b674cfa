"""The half of `Records` that asks; each question is one query in `queries`."""

from collections.abc import Sequence
from datetime import datetime

from auralink.engine.stores.database import queries
from auralink.engine.stores.database.watched import WatchedDatabase
from auralink.engine.stores.records import (
    AlertRow,
    DaySavings,
    IntervalRow,
    ModelRow,
    Performance,
    QualityBand,
    SessionRow,
    Severity,
    UserConfig,
)


class DatabaseReads:
    def __init__(self, database: WatchedDatabase) -> None:
        self._database = database

    async def config(self, user_id: str) -> UserConfig | None:
        async with self._database.reading() as connection:
            return await queries.config(connection, user_id)

    async def sessions(
        self,
        *,
        owner: str | None = None,
        call_id: str | None = None,
        participant_id: str | None = None,
        live: bool | None = None,
        limit: int = 100,
    ) -> Sequence[SessionRow]:
        async with self._database.reading() as connection:
            return await queries.sessions(
                connection,
                owner=owner,
                call_id=call_id,
                participant_id=participant_id,
                live=live,
                limit=limit,
            )

    async def session(self, session_id: str, *, owner: str | None = None) -> SessionRow | None:
        async with self._database.reading() as connection:
            found = await queries.sessions(connection, session_id=session_id, owner=owner, limit=1)
        return found[0] if found else None

    async def metrics(
        self,
        *,
        owner: str | None = None,
        call_id: str | None = None,
        participant_id: str | None = None,
        session_id: str | None = None,
        since: datetime | None = None,
        limit: int = 100,
    ) -> Sequence[IntervalRow]:
        async with self._database.reading() as connection:
            return await queries.metrics(
                connection,
                owner=owner,
                call_id=call_id,
                participant_id=participant_id,
                session_id=session_id,
                since=since,
                limit=limit,
            )

    async def performance(
        self, since: datetime, until: datetime, *, owner: str | None = None
    ) -> Performance:
        async with self._database.reading() as connection:
            return await queries.performance(connection, since, until, owner)

    async def models(self, since: datetime, *, limit: int = 100) -> Sequence[ModelRow]:
        async with self._database.reading() as connection:
            return await queries.models(connection, since, limit)

    async def alerts(
        self,
        *,
        owner: str | None = None,
        resolved: bool | None = None,
        severity: Severity | None = None,
        limit: int = 50,
    ) -> Sequence[AlertRow]:
        async with self._database.reading() as connection:
            return await queries.alerts(
                connection, owner=owner, resolved=resolved, severity=severity, limit=limit
            )

    async def savings(
        self, since: datetime, until: datetime, *, owner: str | None = None
    ) -> Sequence[DaySavings]:
        async with self._database.reading() as connection:
            return await queries.savings(connection, since, until, owner)

    async def quality(
        self, since: datetime, until: datetime, *, owner: str | None = None
    ) -> Sequence[QualityBand]:
        async with self._database.reading() as connection:
            return await queries.quality(connection, since, until, owner)
