"""Rows with plausible values."""

from datetime import UTC, datetime, timedelta
from typing import Any

from auralink.engine.stores.records import AlertRow, IntervalRow, ModelRow, SessionRow

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def after(seconds: float) -> datetime:
    return NOON + timedelta(seconds=seconds)


def session(session_id: str = "s1", **changes: Any) -> SessionRow:
    values: dict[str, Any] = {
        "session_id": session_id,
        "call_id": "room",
        "participant_id": "ann",
        "owner": "owner",
        "started_at": NOON,
        "engine_id": "e1",
        "profile": "hybrid",
    }
    return SessionRow(**(values | changes))


def interval(at_s: float = 10, **changes: Any) -> IntervalRow:
    values: dict[str, Any] = {
        "session_id": "s1",
        "call_id": "room",
        "participant_id": "ann",
        "owner": "owner",
        "track_id": "TR_1",
        "kind": "video",
        "profile": "hybrid",
        "ended_at": after(at_s),
        "interval_s": 10.0,
        "frames": 200,
    }
    return IntervalRow(**(values | changes))


def window(at_s: float = 0, **changes: Any) -> ModelRow:
    values: dict[str, Any] = {
        "model": "restore",
        "version": "1",
        "engine_id": "e1",
        "window_start": after(at_s),
        "window_s": 60.0,
        "calls": 1000,
        "p50_ms": 4.0,
        "p95_ms": 7.5,
        "p99_ms": 9.0,
    }
    return ModelRow(**(values | changes))


def alert(alert_id: str = "a1", **changes: Any) -> AlertRow:
    values: dict[str, Any] = {
        "alert_id": alert_id,
        "kind": "high_latency",
        "severity": "warning",
        "message": "slow",
        "created_at": NOON,
        "owner": "owner",
    }
    return AlertRow(**(values | changes))
