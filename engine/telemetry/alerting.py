"""Alerts out of intervals: what a stream's owner should know.  Pure.

An alert opens when a value is past its threshold, and is resolved by the first interval of the same
session in which it is not.  What concerns the engine as a whole is for Prometheus and its rules.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Final, TypeAlias, final

from auralink.engine.stores.records import AlertKind, AlertRow, IntervalRow, Severity

_CRITICAL: Final = 2.0  # times the threshold
_LEAST_FRAMES: Final = 30  # a second of pictures: a share of fewer says little
_MOST_OPEN: Final = 5_000

_Key: TypeAlias = tuple[AlertKind, str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Thresholds:
    high_latency_ms: float = 30.0
    low_quality_score: float = 0.8
    high_fallback_rate: float = 0.05  # share of frames


@dataclass(frozen=True, slots=True, kw_only=True)
class _Finding:
    kind: AlertKind
    value: float
    threshold: float
    bad: bool
    severity: Severity
    message: str


@final
class Alerting:
    """
    Args:
        new_id: makes ids that nobody else makes.
    """

    def __init__(self, thresholds: Thresholds, new_id: Callable[[], str]) -> None:
        self.thresholds = thresholds
        self._new_id = new_id
        self._open: dict[_Key, None] = {}

    def judge(self, rows: Iterable[IntervalRow]) -> list[AlertRow]:
        alerts = []
        for row in rows:
            for found in self._findings(row):
                key = (found.kind, row.call_id, row.participant_id)
                if found.bad:
                    if len(self._open) == _MOST_OPEN and key not in self._open:
                        continue
                    self._open[key] = None
                    alerts.append(self._alert(row, found, None))
                elif key in self._open:
                    del self._open[key]
                    alerts.append(self._alert(row, found, row.ended_at))
        return alerts

    def _findings(self, row: IntervalRow) -> Iterable[_Finding]:
        limits = self.thresholds
        if row.latency_p95_ms is not None:
            yield _high(
                "high_latency",
                row.latency_p95_ms,
                limits.high_latency_ms,
                f"95 % of frames answered within {row.latency_p95_ms:.0f} ms",
            )
        if row.frames >= _LEAST_FRAMES:
            rate = row.fallbacks / row.frames
            yield _high(
                "excessive_fallback",
                rate,
                limits.high_fallback_rate,
                f"{100 * rate:.1f} % of frames fell back ({row.fallback_reason or 'no reason'})",
            )
        if row.quality_score is not None:
            low = limits.low_quality_score
            yield _Finding(
                kind="quality_degradation",
                value=row.quality_score,
                threshold=low,
                bad=row.quality_score < low,
                severity="critical" if row.quality_score < low / _CRITICAL else "warning",
                message=f"mean SSIM {row.quality_score:.3f}",
            )
        if row.original_bytes and row.link_bytes is not None:
            spent = row.link_bytes / row.original_bytes
            yield _high(
                "bandwidth_anomaly", spent, 1.0, f"the link carried {spent:.2f} times the original"
            )

    def _alert(self, row: IntervalRow, found: _Finding, resolved: datetime | None) -> AlertRow:
        return AlertRow(
            alert_id=self._new_id(),
            kind=found.kind,
            severity=found.severity,
            message=f"{row.kind} {row.track_id}: {found.message}",
            created_at=row.ended_at,
            owner=row.owner,
            call_id=row.call_id,
            participant_id=row.participant_id,
            value=found.value,
            threshold=found.threshold,
            resolved_at=resolved,
            resolved_by="engine" if resolved else None,
            resolution="back within its threshold" if resolved else None,
        )


def _high(kind: AlertKind, value: float, threshold: float, message: str) -> _Finding:
    return _Finding(
        kind=kind,
        value=value,
        threshold=threshold,
        bad=value > threshold,
        severity="critical" if value > _CRITICAL * threshold else "warning",
        message=message,
    )
