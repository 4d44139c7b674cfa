"""Rows into SQL: what one batch does in one transaction.

Every write may be done twice, after an answer that got lost, without harm.
"""

from collections.abc import Iterable, Sequence
from dataclasses import asdict, replace
from datetime import datetime
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection

from auralink.engine.stores.database import schema
from auralink.engine.stores.records import (
    AlertRow,
    IntervalRow,
    ModelRow,
    Row,
    SessionRow,
    UserConfig,
)

# What a session keeps when its row is written again.
_FIXED: Final = ("session_id", "started_at", "owner")


async def write(connection: AsyncConnection, rows: Sequence[Row]) -> None:
    """Write a batch in the connection's transaction."""
    await _sessions(connection, [row for row in rows if isinstance(row, SessionRow)])
    intervals = [asdict(row) for row in rows if isinstance(row, IntervalRow)]
    if intervals:
        await connection.execute(
            insert(connection, schema.metrics).on_conflict_do_nothing(), intervals
        )
    windows = [asdict(row) for row in rows if isinstance(row, ModelRow)]
    if windows:
        await connection.execute(
            insert(connection, schema.models).on_conflict_do_nothing(), windows
        )
    for row in rows:  # one by one: opened and resolved in this order
        if isinstance(row, AlertRow):
            await _alert(connection, row)


async def write_config(connection: AsyncConnection, config: UserConfig) -> None:
    statement = insert(connection, schema.configs)
    others = {column.name: column for column in statement.excluded if column.name != "user_id"}
    await connection.execute(
        statement.on_conflict_do_update(index_elements=["user_id"], set_=others), asdict(config)
    )


async def resolve_alert(
    connection: AsyncConnection,
    alert_id: str,
    owner: str | None,
    *,
    by: str,
    now: datetime,
    note: str | None,
) -> None:
    """If it is open, and of this owner (``None``: of anybody)."""
    table = schema.alerts
    statement = sa.update(table).where(table.c.alert_id == alert_id, schema.OPEN_ALERT)
    if owner is not None:
        statement = statement.where(table.c.owner == owner)
    await connection.execute(statement.values(resolved_at=now, resolved_by=by, resolution=note))


def insert(connection: AsyncConnection, table: sa.Table) -> postgresql.Insert | sqlite.Insert:
    """The dialect's INSERT, for its ON CONFLICT, which both spell alike."""
    if connection.dialect.name == "postgresql":
        return postgresql.insert(table)
    return sqlite.insert(table)


def settle(
    rows: Iterable[SessionRow], opened: Iterable[tuple[str, str, str, datetime]]
) -> tuple[dict[str, datetime], list[SessionRow]]:
    """Keep one open session per call and participant: the one that started last.

    Args:
        rows: as they were written, oldest first.
        opened: id, call, participant and beginning of the open sessions of those calls.

    Returns:
        Which of ``opened`` end, and when; and the rows, one per session, those that lost ended.
    """
    latest = {row.session_id: row for row in rows}
    standing = {
        (call, participant): (started, session)
        for session, call, participant, started in opened
        if session not in latest
    }
    ends: dict[str, datetime] = {}
    settled: dict[str, SessionRow] = {}
    for row in sorted(latest.values(), key=lambda row: row.started_at):
        settled[row.session_id] = row
        if row.ended_at is not None:
            continue
        key = (row.call_id, row.participant_id)
        started, other = standing.get(key, (row.started_at, ""))
        if started > row.started_at:
            settled[row.session_id] = _replaced(row, started)
            continue
        if other in settled:
            settled[other] = _replaced(settled[other], row.started_at)
        elif other:
            ends[other] = row.started_at
        standing[key] = (row.started_at, row.session_id)
    return ends, list(settled.values())


def _replaced(row: SessionRow, at: datetime) -> SessionRow:
    return replace(row, ended_at=at, end_reason="replaced")


async def _sessions(connection: AsyncConnection, rows: Sequence[SessionRow]) -> None:
    if not rows:
        return
    table = schema.sessions
    opened = await connection.execute(
        sa.select(
            table.c.session_id, table.c.call_id, table.c.participant_id, table.c.started_at
        ).where(table.c.ended_at.is_(None), table.c.call_id.in_({row.call_id for row in rows}))
    )
    ends, settled = settle(rows, [tuple(found) for found in opened])
    if ends:
        await connection.execute(
            sa.update(table)
            .where(table.c.session_id == sa.bindparam("session"), table.c.ended_at.is_(None))
            .values(ended_at=sa.bindparam("at"), end_reason="replaced"),
            [{"session": session, "at": at} for session, at in ends.items()],
        )
    statement = insert(connection, table)
    new: dict[str, Any] = {
        column.name: column for column in statement.excluded if column.name not in _FIXED
    }
    # What has ended stays ended, by the first that said so.
    for name in ("ended_at", "end_reason"):
        new[name] = sa.func.coalesce(table.c[name], statement.excluded[name])
    # Those that end go first, or they would meet their successors in the index of open ones.
    settled.sort(key=lambda row: row.ended_at is None)
    await connection.execute(
        statement.on_conflict_do_update(index_elements=["session_id"], set_=new),
        [asdict(row) for row in settled],
    )


async def _alert(connection: AsyncConnection, row: AlertRow) -> None:
    table = schema.alerts
    values = asdict(row) | {
        "call_id": row.call_id or "",
        "participant_id": row.participant_id or "",
    }
    if row.resolved_at is not None:
        await connection.execute(
            sa.update(table)
            .where(
                table.c.kind == values["kind"],
                table.c.call_id == values["call_id"],
                table.c.participant_id == values["participant_id"],
                schema.OPEN_ALERT,
            )
            .values(
                resolved_at=row.resolved_at,
                resolved_by=row.resolved_by,
                resolution=row.resolution,
            )
        )
        return
    statement = insert(connection, table)
    changed = ("severity", "message", "value", "threshold")
    await connection.execute(
        statement.on_conflict_do_update(
            index_elements=["kind", "call_id", "participant_id"],
            index_where=schema.OPEN_ALERT,
            set_={name: statement.excluded[name] for name in changed},
        ),
        values,
    )
