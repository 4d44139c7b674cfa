"""What is deleted, and when; and sessions whose engine died, which are ended."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

import sqlalchemy as sa

from auralink.engine.stores.database import schema
from auralink.engine.stores.database.connection import Database

_CHUNK: Final = 2_000  # rows per transaction: locks stay short, and so does SQLite's write lock


@dataclass(frozen=True, slots=True, kw_only=True)
class Retention:
    """Days after which rows go; users may ask for less with ``data_retention_hours``."""

    metrics_days: int = 30
    sessions_days: int = 90  # after their end
    alerts_days: int = 90  # after they were resolved


async def sweep(database: Database, keep: Retention, now: datetime) -> int:
    """Delete what is too old; return how many rows went.  Replicas may do it at once.

    Raises:
        StoreAway: the rest is left for the next time.
    """
    hours = schema.configs.c.data_retention_hours
    async with database.reading() as connection:
        asked = await connection.scalars(sa.select(hours).where(hours > 0).distinct())
    gone = 0
    for table, old in _too_old(keep, now, asked.all()):
        key = list(table.primary_key.columns)
        chunk = sa.select(*key).where(old).limit(_CHUNK)
        statement = sa.delete(table).where(sa.tuple_(*key).in_(chunk))
        while True:
            async with database.writing() as connection:
                count = (await connection.execute(statement)).rowcount
            gone += count
            if count < _CHUNK:
                break
    return gone


async def end_lost(database: Database, now: datetime, after: timedelta) -> int:
    """End the sessions that no engine has spoken of for ``after``; return how many."""
    table = schema.sessions
    seen = sa.func.coalesce(table.c.seen_at, table.c.started_at)
    statement = (
        sa.update(table)
        .where(table.c.ended_at.is_(None), seen < now - after)
        .values(ended_at=seen, end_reason="lost")
    )
    async with database.writing() as connection:
        return (await connection.execute(statement)).rowcount


def _too_old(
    keep: Retention, now: datetime, asked: Sequence[int]
) -> Iterator[tuple[sa.Table, sa.ColumnElement[bool]]]:
    metrics, sessions = schema.metrics, schema.sessions
    days = timedelta(days=keep.metrics_days)
    yield metrics, metrics.c.ended_at < now - days
    yield schema.models, schema.models.c.window_start < now - days
    yield sessions, sessions.c.ended_at < now - timedelta(days=keep.sessions_days)
    alerts = schema.alerts
    yield alerts, alerts.c.resolved_at < now - timedelta(days=keep.alerts_days)
    for hours in asked:
        owners = sa.select(schema.configs.c.user_id).where(
            schema.configs.c.data_retention_hours == hours
        )
        for table in (metrics, sessions):
            old = table.c.ended_at < now - timedelta(hours=hours)
            yield table, table.c.owner.in_(owners) & old
