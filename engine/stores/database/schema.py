"""The five tables, in SQL that PostgreSQL and SQLite both understand.

The names are the contract's; `migrations` builds them, and a test compares the two.  What the
contract asks of one open session and one open alert are partial unique *indexes*: as constraints,
with a WHERE, they would not be valid SQL.

There are no foreign keys between the tables: rows are written in batches from a buffer that drops
its oldest when it is full, so a session's row may be gone while its intervals still come.
"""

from datetime import UTC, datetime
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.engine import Dialect

from auralink.engine.stores.records import AlertKind, Kind, Mode, Model, Severity

metadata: Final = sa.MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
    }
)


class Utc(sa.types.TypeDecorator[datetime]):
    """An aware time in UTC; SQLite, which has no such type, keeps it without the zone."""

    impl = sa.DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError(f"{value} has no time zone; give an aware time")
        utc = value.astimezone(UTC)
        return utc.replace(tzinfo=None) if dialect.name == "sqlite" else utc

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is not None and value.tzinfo is None:
            return value.replace(tzinfo=UTC)
        return value


def _one_of(column: str, choices: Any) -> sa.CheckConstraint:
    listed = ", ".join(f"'{choice}'" for choice in choices.__args__)
    return sa.CheckConstraint(f"{column} IN ({listed})", name=column)


def _share(column: str) -> sa.CheckConstraint:
    return sa.CheckConstraint(f"{column} >= 0 AND {column} <= 1", name=column)


_Id: Final = sa.String(255)
_Count: Final = sa.BigInteger

configs: Final = sa.Table(
    "aic_configs",
    metadata,
    sa.Column("user_id", _Id, primary_key=True),
    sa.Column("enabled", sa.Boolean, nullable=False),
    sa.Column("mode", sa.String(16), nullable=False),
    sa.Column("target_compression_ratio", sa.Double, nullable=False),
    sa.Column("max_latency_ms", sa.Integer, nullable=False),
    sa.Column("model_type", sa.String(16), nullable=False),
    sa.Column("min_quality_score", sa.Double, nullable=False),
    sa.Column("opt_out", sa.Boolean, nullable=False),
    sa.Column("data_retention_hours", sa.Integer, nullable=False),
    sa.Column("updated_at", Utc, nullable=False),
    _one_of("mode", Mode),
    _one_of("model_type", Model),
    _share("target_compression_ratio"),
    _share("min_quality_score"),
)

sessions: Final = sa.Table(
    "aic_sessions",
    metadata,
    sa.Column("session_id", _Id, primary_key=True),
    sa.Column("call_id", _Id, nullable=False),
    sa.Column("participant_id", _Id, nullable=False),
    sa.Column("owner", _Id, nullable=False),
    sa.Column("started_at", Utc, nullable=False),
    sa.Column("seen_at", Utc),
    sa.Column("ended_at", Utc),
    sa.Column("end_reason", sa.String(64)),
    sa.Column("job_id", _Id),
    sa.Column("engine_id", _Id, nullable=False),
    sa.Column("profile", sa.String(64), nullable=False),
    sa.Column("mode", sa.String(16), nullable=False),
    sa.Column("frames", _Count, nullable=False),
    sa.Column("fallbacks", _Count, nullable=False),
    sa.Column("original_bytes", _Count, nullable=False),
    sa.Column("link_bytes", _Count, nullable=False),
    _one_of("mode", Mode),
)
sa.Index(
    "uq_aic_sessions_open",
    sessions.c.call_id,
    sessions.c.participant_id,
    unique=True,
    postgresql_where=sessions.c.ended_at.is_(None),
    sqlite_where=sessions.c.ended_at.is_(None),
)
sa.Index(None, sessions.c.owner, sessions.c.started_at)
sa.Index(None, sessions.c.started_at)

metrics: Final = sa.Table(
    "aic_metrics",
    metadata,
    # Writing an interval twice, after an answer that got lost, keeps one.
    sa.Column("session_id", _Id, primary_key=True),
    sa.Column("track_id", _Id, primary_key=True),
    sa.Column("ended_at", Utc, primary_key=True),
    sa.Column("call_id", _Id, nullable=False),
    sa.Column("participant_id", _Id, nullable=False),
    sa.Column("owner", _Id, nullable=False),
    sa.Column("kind", sa.String(16), nullable=False),
    sa.Column("profile", sa.String(64), nullable=False),
    sa.Column("interval_s", sa.Double, nullable=False),
    sa.Column("frames", _Count, nullable=False),
    sa.Column("fallbacks", _Count, nullable=False),
    sa.Column("drops", _Count, nullable=False),
    sa.Column("fallback_reason", sa.String(64)),
    sa.Column("original_bytes", _Count),
    sa.Column("link_bytes", _Count),
    sa.Column("latency_mean_ms", sa.Double),
    sa.Column("latency_p95_ms", sa.Double),
    sa.Column("quality_score", sa.Double),
    sa.Column("psnr_db", sa.Double),
    sa.Column("available_bps", _Count),
    sa.Column("rtt_ms", sa.Double),
    sa.Column("loss", sa.Double),
    _one_of("kind", Kind),
    _share("quality_score"),
    _share("loss"),
)
sa.Index(None, metrics.c.ended_at)
sa.Index(None, metrics.c.owner, metrics.c.ended_at)
sa.Index(None, metrics.c.call_id, metrics.c.ended_at)

models: Final = sa.Table(
    "aic_model_performance",
    metadata,
    sa.Column("model", sa.String(64), primary_key=True),
    sa.Column("version", sa.String(64), primary_key=True),
    sa.Column("engine_id", _Id, primary_key=True),
    sa.Column("window_start", Utc, primary_key=True),
    sa.Column("window_s", sa.Double, nullable=False),
    sa.Column("calls", _Count, nullable=False),
    sa.Column("failures", _Count, nullable=False),
    sa.Column("p50_ms", sa.Double),
    sa.Column("p95_ms", sa.Double),
    sa.Column("p99_ms", sa.Double),
)
sa.Index(None, models.c.window_start)

alerts: Final = sa.Table(
    "aic_alerts",
    metadata,
    sa.Column("alert_id", _Id, primary_key=True),
    sa.Column("kind", sa.String(32), nullable=False),
    sa.Column("severity", sa.String(16), nullable=False),
    sa.Column("message", sa.Text, nullable=False),
    sa.Column("created_at", Utc, nullable=False),
    sa.Column("owner", _Id),
    # '' for none: NULLs would all be different to the unique index.
    sa.Column("call_id", _Id, nullable=False),
    sa.Column("participant_id", _Id, nullable=False),
    sa.Column("value", sa.Double),
    sa.Column("threshold", sa.Double),
    sa.Column("resolved_at", Utc),
    sa.Column("resolved_by", _Id),
    sa.Column("resolution", sa.Text),
    _one_of("kind", AlertKind),
    _one_of("severity", Severity),
)
OPEN_ALERT: Final = alerts.c.resolved_at.is_(None)
sa.Index(
    "uq_aic_alerts_open",
    alerts.c.kind,
    alerts.c.call_id,
    alerts.c.participant_id,
    unique=True,
    postgresql_where=OPEN_ALERT,
    sqlite_where=OPEN_ALERT,
)
sa.Index(None, alerts.c.created_at)
