"""The rows that are kept: frozen values with the meaning of the five tables.

All times are aware and in UTC.  Sizes are bytes, counted in the track or on the wire, never rates,
so that sums over rows are amounts.  Nothing is kept per frame.  ``owner`` is the subject whose
request started the job; reads that are given an owner answer with that owner's rows alone.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal, TypeAlias

Mode: TypeAlias = Literal["off", "conservative", "adaptive", "aggressive"]
Model: TypeAlias = Literal["encodec", "lyra", "maxine", "hybrid"]
Kind: TypeAlias = Literal["video", "audio", "screen"]
Severity: TypeAlias = Literal["info", "warning", "critical"]
AlertKind: TypeAlias = Literal[
    "high_latency",
    "quality_degradation",
    "model_failure",
    "excessive_fallback",
    "bandwidth_anomaly",
    "gpu_overload",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class UserConfig:
    """What a user wants of compression; the defaults are those of the contract."""

    user_id: str
    updated_at: datetime
    enabled: bool = True
    mode: Mode = "adaptive"
    target_compression_ratio: float = 0.8  # 0.8: a fifth of the bytes is left
    max_latency_ms: int = 20
    model_type: Model = "hybrid"
    min_quality_score: float = 0.85
    opt_out: bool = False
    data_retention_hours: int = 0  # 0: as long as the retention of the service says


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionRow:
    """One participant's media in one call, from the first stream to the last.

    Writing a row whose ``session_id`` is known replaces that row.  A call has at most one open
    session of a participant: a new one ends the older, with the reason ``replaced``.
    """

    session_id: str
    call_id: str  # the room
    participant_id: str  # the identity
    owner: str
    started_at: datetime
    seen_at: datetime | None = None  # when the engine last wrote it; one not seen for long is lost
    ended_at: datetime | None = None
    end_reason: str | None = None
    job_id: str | None = None
    engine_id: str = ""
    profile: str = ""
    mode: Mode = "adaptive"
    frames: int = 0
    fallbacks: int = 0
    original_bytes: int = 0
    link_bytes: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class IntervalRow:
    """One stream over one interval.

    ``None`` is "not measured", and such rows stay out of the sums and means that need the value.
    """

    session_id: str
    call_id: str
    participant_id: str
    owner: str
    track_id: str
    kind: Kind
    profile: str
    ended_at: datetime  # of the interval
    interval_s: float
    frames: int
    fallbacks: int = 0
    drops: int = 0
    fallback_reason: str | None = None  # the most frequent one
    original_bytes: int | None = None
    link_bytes: int | None = None
    latency_mean_ms: float | None = None
    latency_p95_ms: float | None = None
    quality_score: float | None = None  # SSIM of the luma plane, 0 to 1
    psnr_db: float | None = None
    available_bps: int | None = None
    rtt_ms: float | None = None
    loss: float | None = None  # 0 to 1


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelRow:
    """How one version of a model ran on one engine in one window."""

    model: str
    version: str
    engine_id: str
    window_start: datetime
    window_s: float
    calls: int
    failures: int = 0
    p50_ms: float | None = None
    p95_ms: float | None = None
    p99_ms: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertRow:
    """Something that a person should know.

    There is at most one open alert of a kind for a call and participant: writing it again updates
    message, value and severity, and keeps its id and its beginning.
    """

    alert_id: str
    kind: AlertKind
    severity: Severity
    message: str
    created_at: datetime
    owner: str | None = None  # None: of the service, for operators
    call_id: str | None = None
    participant_id: str | None = None
    value: float | None = None
    threshold: float | None = None
    resolved_at: datetime | None = None
    resolved_by: str | None = None
    resolution: str | None = None


Row: TypeAlias = SessionRow | IntervalRow | ModelRow | AlertRow


@dataclass(frozen=True, slots=True, kw_only=True)
class Performance:
    """Over all intervals that ended in a window."""

    since: datetime
    until: datetime
    sessions: int
    intervals: int
    frames: int
    fallbacks: int
    drops: int
    original_bytes: int
    link_bytes: int
    latency_mean_ms: float | None  # weighted by frames
    latency_worst_p95_ms: float | None  # the largest 95th percentile of an interval
    quality_mean: float | None  # weighted by frames
    quality_worst: float | None

    @property
    def saved_bytes(self) -> int:
        """May be negative: then the link carried more than the original track."""
        return self.original_bytes - self.link_bytes

    @property
    def compression_ratio(self) -> float | None:
        """Share of the original bytes that was saved; ``None`` if nothing was measured."""
        return self.saved_bytes / self.original_bytes if self.original_bytes else None

    @property
    def fallback_rate(self) -> float | None:
        return self.fallbacks / self.frames if self.frames else None


@dataclass(frozen=True, slots=True, kw_only=True)
class DaySavings:
    """Intervals in which both sizes were measured, of one UTC day."""

    day: str  # YYYY-MM-DD
    original_bytes: int
    link_bytes: int

    @property
    def saved_bytes(self) -> int:
        return self.original_bytes - self.link_bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class QualityBand:
    """Frames of the intervals whose quality score lies in ``[low, high)``; the last has its end."""

    low: float
    high: float
    intervals: int
    frames: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordsStatus:
    """How the store is, from memory: asking costs no query."""

    backend: str  # "sqlite" or "postgresql"
    connected: bool
    buffered: int
    capacity: int
    written: int
    dropped: int  # oldest rows given up while the database was away, or refused by it
    last_error: str | None = None
