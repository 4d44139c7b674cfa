"""The five tables.

Revision ID: 0001
Revises:
"""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:

    op.create_table(
        "aic_alerts",
        sa.Column("alert_id", sa.String(length=255), nullable=False),
        sa.Column("kind", sa.String(length=32), nullable=False),
        sa.Column("severity", sa.String(length=16), nullable=False),
        sa.Column("message", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("owner", sa.String(length=255)),
        sa.Column("call_id", sa.String(length=255), nullable=False),
        sa.Column("participant_id", sa.String(length=255), nullable=False),
        sa.Column("value", sa.Double()),
        sa.Column("threshold", sa.Double()),
        sa.Column("resolved_at", sa.DateTime(timezone=True)),
        sa.Column("resolved_by", sa.String(length=255)),
        sa.Column("resolution", sa.Text()),
        sa.CheckConstraint(
            "kind IN ('high_latency', 'quality_degradation', 'model_failure', "
            "'excessive_fallback', 'bandwidth_anomaly', 'gpu_overload')",
            name="ck_aic_alerts_kind",
        ),
        sa.CheckConstraint(
            "severity IN ('info', 'warning', 'critical')", name="ck_aic_alerts_severity"
        ),
        sa.PrimaryKeyConstraint("alert_id", name="pk_aic_alerts"),
    )
    op.create_index("ix_aic_alerts_created_at", "aic_alerts", ["created_at"])
    op.create_index(
        "uq_aic_alerts_open",
        "aic_alerts",
        ["kind", "call_id", "participant_id"],
        unique=True,
        postgresql_where=sa.text("resolved_at IS NULL"),
        sqlite_where=sa.text("resolved_at IS NULL"),
    )
    op.create_table(
        "aic_configs",
        sa.Column("user_id", sa.String(length=255), nullable=False),
        sa.Column("enabled", sa.Boolean(), nullable=False),
        sa.Column("mode", sa.String(length=16), nullable=False),
        sa.Column("target_compression_ratio", sa.Double(), nullable=False),
        sa.Column("max_latency_ms", sa.Integer(), nullable=False),
        sa.Column("model_type", sa.String(length=16), nullable=False),
        sa.Column("min_quality_score", sa.Double(), nullable=False),
        sa.Column("opt_out", sa.Boolean(), nullable=False),
        sa.Column("data_retention_hours", sa.Integer(), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "mode IN ('off', 'conservative', 'adaptive', 'aggressive')", name="ck_aic_configs_mode"
        ),
        sa.CheckConstraint(
            "model_type IN ('encodec', 'lyra', 'maxine', 'hybrid')",
            name="ck_aic_configs_model_type",
        ),
        sa.CheckConstraint(
            "min_quality_score >= 0 AND min_quality_score <= 1",
            name="ck_aic_configs_min_quality_score",
        ),
        sa.CheckConstraint(
            "target_compression_ratio >= 0 AND target_compression_ratio <= 1",
            name="ck_aic_configs_target_compression_ratio",
        ),
        sa.PrimaryKeyConstraint("user_id", name="pk_aic_configs"),
    )
    op.create_table(
        "aic_metrics",
        sa.Column("session_id", sa.String(length=255), nullable=False),
        sa.Column("track_id", sa.String(length=255), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("call_id", sa.String(length=255), nullable=False),
        sa.Column("participant_id", sa.String(length=255), nullable=False),
        sa.Column("owner", sa.String(length=255), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("profile", sa.String(length=64), nullable=False),
        sa.Column("interval_s", sa.Double(), nullable=False),
        sa.Column("frames", sa.BigInteger(), nullable=False),
        sa.Column("fallbacks", sa.BigInteger(), nullable=False),
        sa.Column("drops", sa.BigInteger(), nullable=False),
        sa.Column("fallback_reason", sa.String(length=64)),
        sa.Column("original_bytes", sa.BigInteger()),
        sa.Column("link_bytes", sa.BigInteger()),
        sa.Column("latency_mean_ms", sa.Double()),
        sa.Column("latency_p95_ms", sa.Double()),
        sa.Column("quality_score", sa.Double()),
        sa.Column("psnr_db", sa.Double()),
        sa.Column("available_bps", sa.BigInteger()),
        sa.Column("rtt_ms", sa.Double()),
        sa.Column("loss", sa.Double()),
        sa.CheckConstraint("kind IN ('video', 'audio', 'screen')", name="ck_aic_metrics_kind"),
        sa.CheckConstraint("loss >= 0 AND loss <= 1", name="ck_aic_metrics_loss"),
        sa.CheckConstraint(
            "quality_score >= 0 AND quality_score <= 1", name="ck_aic_metrics_quality_score"
        ),
        sa.PrimaryKeyConstraint("session_id", "track_id", "ended_at", name="pk_aic_metrics"),
    )
    op.create_index("ix_aic_metrics_call_id_ended_at", "aic_metrics", ["call_id", "ended_at"])
    op.create_index("ix_aic_metrics_ended_at", "aic_metrics", ["ended_at"])
    op.create_index("ix_aic_metrics_owner_ended_at", "aic_metrics", ["owner", "ended_at"])
    op.create_table(
        "aic_model_performance",
        sa.Column("model", sa.String(length=64), nullable=False),
        sa.Column("version", sa.String(length=64), nullable=False),
        sa.Column("engine_id", sa.String(length=255), nullable=False),
        sa.Column("window_start", sa.DateTime(timezone=True), nullable=False),
        sa.Column("window_s", sa.Double(), nullable=False),
        sa.Column("calls", sa.BigInteger(), nullable=False),
        sa.Column("failures", sa.BigInteger(), nullable=False),
        sa.Column("p50_ms", sa.Double()),
        sa.Column("p95_ms", sa.Double()),
        sa.Column("p99_ms", sa.Double()),
        sa.PrimaryKeyConstraint(
            "model", "version", "engine_id", "window_start", name="pk_aic_model_performance"
        ),
    )
    op.create_index(
        "ix_aic_model_performance_window_start", "aic_model_performance", ["window_start"]
    )
    op.create_table(
        "aic_sessions",
        sa.Column("session_id", sa.String(length=255), nullable=False),
        sa.Column("call_id", sa.String(length=255), nullable=False),
        sa.Column("participant_id", sa.String(length=255), nullable=False),
        sa.Column("owner", sa.String(length=255), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("seen_at", sa.DateTime(timezone=True)),
        sa.Column("ended_at", sa.DateTime(timezone=True)),
        sa.Column("end_reason", sa.String(length=64)),
        sa.Column("job_id", sa.String(length=255)),
        sa.Column("engine_id", sa.String(length=255), nullable=False),
        sa.Column("profile", sa.String(length=64), nullable=False),
        sa.Column("mode", sa.String(length=16), nullable=False),
        sa.Column("frames", sa.BigInteger(), nullable=False),
        sa.Column("fallbacks", sa.BigInteger(), nullable=False),
        sa.Column("original_bytes", sa.BigInteger(), nullable=False),
        sa.Column("link_bytes", sa.BigInteger(), nullable=False),
        sa.CheckConstraint(
            "mode IN ('off', 'conservative', 'adaptive', 'aggressive')", name="ck_aic_sessions_mode"
        ),
        sa.PrimaryKeyConstraint("session_id", name="pk_aic_sessions"),
    )
    op.create_index("ix_aic_sessions_owner_started_at", "aic_sessions", ["owner", "started_at"])
    op.create_index("ix_aic_sessions_started_at", "aic_sessions", ["started_at"])
    op.create_index(
        "uq_aic_sessions_open",
        "aic_sessions",
        ["call_id", "participant_id"],
        unique=True,
        postgresql_where=sa.text("ended_at IS NULL"),
        sqlite_where=sa.text("ended_at IS NULL"),
    )


def downgrade() -> None:
    for table in (
        "aic_sessions",
        "aic_model_performance",
        "aic_metrics",
        "aic_configs",
        "aic_alerts",
    ):
        op.drop_table(table)
