"""SQL into values: what the HTTP contract asks for, summed by the database."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final, TypeVar

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from auralink.engine.stores.database import schema
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

T = TypeVar("T")

# Of SSIM: broken, poor, the contract's least (0.85), good, and hardly to be told from the source.
QUALITY_BANDS: Final = ((0.0, 0.5), (0.5, 0.7), (0.7, 0.85), (0.85, 0.95), (0.95, 1.0))


async def config(connection: AsyncConnection, user_id: str) -> UserConfig | None:
    query = sa.select(schema.configs).where(schema.configs.c.user_id == user_id)
    found = await _rows(connection, query, UserConfig)
    return found[0] if found else None


async def sessions(
    connection: AsyncConnection,
    *,
    session_id: str | None = None,
    owner: str | None = None,
    call_id: str | None = None,
    participant_id: str | None = None,
    live: bool | None = None,
    limit: int,
) -> Sequence[SessionRow]:
    table = schema.sessions
    query = _where(
        table,
        session_id=session_id,
        owner=owner,
        call_id=call_id,
        participant_id=participant_id,
    )
    if live is not None:
        query = query.where(table.c.ended_at.is_(None) == live)
    query = query.order_by(table.c.started_at.desc(), table.c.session_id).limit(limit)
    return await _rows(connection, query, SessionRow)


async def metrics(
    connection: AsyncConnection,
    *,
    owner: str | None,
    call_id: str | None,
    participant_id: str | None,
    session_id: str | None,
    since: datetime | None,
    limit: int,
) -> Sequence[IntervalRow]:
    table = schema.metrics
    query = _where(
        table,
        owner=owner,
        call_id=call_id,
        participant_id=participant_id,
        session_id=session_id,
    )
    if since is not None:
        query = query.where(table.c.ended_at >= since)
    query = query.order_by(table.c.ended_at.desc(), table.c.session_id, table.c.track_id)
    return await _rows(connection, query.limit(limit), IntervalRow)


async def models(connection: AsyncConnection, since: datetime, limit: int) -> Sequence[ModelRow]:
    table = schema.models
    query = sa.select(table).where(table.c.window_start >= since)
    query = query.order_by(table.c.window_start.desc(), table.c.model, table.c.version)
    return await _rows(connection, query.limit(limit), ModelRow)


async def alerts(
    connection: AsyncConnection,
    *,
    alert_id: str | None = None,
    owner: str | None = None,
    resolved: bool | None = None,
    severity: Severity | None = None,
    limit: int,
) -> Sequence[AlertRow]:
    table = schema.alerts
    query = _where(table, alert_id=alert_id, owner=owner, severity=severity)
    if resolved is not None:
        query = query.where(sa.not_(schema.OPEN_ALERT) if resolved else schema.OPEN_ALERT)
    query = query.order_by(table.c.created_at.desc(), table.c.alert_id).limit(limit)
    found = await connection.execute(query)
    return [
        AlertRow(
            **{
                **row,
                "call_id": row["call_id"] or None,
                "participant_id": row["participant_id"] or None,
            }
        )
        for row in found.mappings()
    ]


async def performance(
    connection: AsyncConnection, since: datetime, until: datetime, owner: str | None
) -> Performance:
    m = schema.metrics.c
    sized = m.original_bytes.is_not(None) & m.link_bytes.is_not(None)
    timed = m.latency_mean_ms.is_not(None)
    seen = m.quality_score.is_not(None)
    query = sa.select(
        sa.func.count(m.session_id.distinct()).label("sessions"),
        sa.func.count().label("intervals"),
        _sum(m.frames).label("frames"),
        _sum(m.fallbacks).label("fallbacks"),
        _sum(m.drops).label("drops"),
        _sum(sa.case((sized, m.original_bytes), else_=0)).label("original_bytes"),
        _sum(sa.case((sized, m.link_bytes), else_=0)).label("link_bytes"),
        _mean(m.latency_mean_ms, timed).label("latency_mean_ms"),
        sa.func.max(m.latency_p95_ms).label("latency_worst_p95_ms"),
        _mean(m.quality_score, seen).label("quality_mean"),
        sa.func.min(m.quality_score).label("quality_worst"),
    ).where(_within(since, until, owner))
    row = (await connection.execute(query)).mappings().one()
    return Performance(since=since, until=until, **row)


async def savings(
    connection: AsyncConnection, since: datetime, until: datetime, owner: str | None
) -> Sequence[DaySavings]:
    m = schema.metrics.c
    day = _day(connection, m.ended_at).label("day")
    query = (
        sa.select(
            day,
            _sum(m.original_bytes).label("original_bytes"),
            _sum(m.link_bytes).label("link_bytes"),
        )
        .where(
            _within(since, until, owner), m.original_bytes.is_not(None), m.link_bytes.is_not(None)
        )
        .group_by(day)
        .order_by(day)
    )
    return await _rows(connection, query, DaySavings)


async def quality(
    connection: AsyncConnection, since: datetime, until: datetime, owner: str | None
) -> Sequence[QualityBand]:
    m = schema.metrics.c
    number = sa.case(
        *((m.quality_score < high, i) for i, (_, high) in enumerate(QUALITY_BANDS[:-1])),
        else_=len(QUALITY_BANDS) - 1,
    ).label("number")
    query = (
        sa.select(number, sa.func.count(), _sum(m.frames))
        .where(_within(since, until, owner), m.quality_score.is_not(None))
        .group_by(number)
    )
    found = {row[0]: (row[1], row[2]) for row in await connection.execute(query)}
    return [
        QualityBand(low=low, high=high, intervals=intervals, frames=frames)
        for i, (low, high) in enumerate(QUALITY_BANDS)
        for intervals, frames in [found.get(i, (0, 0))]
    ]


def _where(table: sa.Table, **equal: str | None) -> sa.Select[Any]:
    given = {name: value for name, value in equal.items() if value is not None}
    return sa.select(table).where(*(table.c[name] == value for name, value in given.items()))


def _within(since: datetime, until: datetime, owner: str | None) -> sa.ColumnElement[bool]:
    m = schema.metrics.c
    inside = (m.ended_at >= since) & (m.ended_at < until)
    return inside if owner is None else inside & (m.owner == owner)


def _sum(column: sa.ColumnElement[Any]) -> sa.ColumnElement[int]:
    # PostgreSQL sums bigint into numeric, which would come back as Decimal.
    return sa.cast(sa.func.coalesce(sa.func.sum(column), 0), sa.BigInteger)


def _mean(column: sa.ColumnElement[Any], measured: sa.ColumnElement[bool]) -> sa.ColumnElement[Any]:
    """Weighted by frames; an interval without a frame has no weight."""
    frames = sa.case((measured, schema.metrics.c.frames), else_=0)
    total = sa.func.sum(column * frames)
    return sa.cast(total / sa.func.nullif(sa.func.sum(frames), 0), sa.Double)


def _day(connection: AsyncConnection, column: sa.ColumnElement[Any]) -> sa.ColumnElement[str]:
    if connection.dialect.name == "sqlite":
        return sa.func.strftime("%Y-%m-%d", column)
    return sa.func.to_char(sa.func.timezone("UTC", column), "YYYY-MM-DD")


async def _rows(
    connection: AsyncConnection, query: sa.Select[*tuple[Any, ...]], kind: type[T]
) -> Sequence[T]:
    found = await connection.execute(query)
    return [kind(**row) for row in found.mappings()]
