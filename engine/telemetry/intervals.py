"""Rows of the jobs: each stream over each interval, and the sessions that they belong to.  Pure.

A session is one bot in its room, named ``<job>.<identity>`` everywhere.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final, final

from auralink.engine.relay.job_values import JobSnapshot, JobState
from auralink.engine.stores.records import IntervalRow, Kind, Row, SessionRow
from auralink.engine.telemetry.deltas import StreamDelta, StreamKey

_KINDS: Final[Mapping[str, Kind]] = {"video": "video", "audio": "audio", "screen": "screen"}
_SHOWN: Final = ("coded", "skipped", "decoded", "played")
_LOST: Final = ("frozen", "missing", "failed")  # the rest is dropped on purpose


@dataclass(slots=True)
class _Sum:
    kind: str
    encoder: str
    outcomes: Counter[str] = field(default_factory=Counter)
    fallbacks: Counter[str] = field(default_factory=Counter)
    link_bytes: int = 0
    original_bytes: int | None = None


@dataclass(slots=True)
class _Total:
    frames: int = 0
    fallbacks: int = 0
    original_bytes: int = 0
    link_bytes: int = 0


@final
class JobIntervals:
    """Adds up what streams did until an interval ends."""

    def __init__(self, engine_id: str) -> None:
        self._engine_id = engine_id
        self._sums: dict[StreamKey, _Sum] = {}
        self._totals: dict[str, _Total] = {}  # by session, while its job is known
        self._closed: set[str] = set()  # jobs whose end was written

    def add(self, deltas: Sequence[StreamDelta]) -> None:
        for delta in deltas:
            found = self._sums.setdefault(delta.key, _Sum(delta.kind, delta.encoder))
            found.encoder = delta.encoder or found.encoder
            found.outcomes.update(delta.outcomes)
            found.fallbacks.update(delta.fallbacks)
            found.link_bytes += delta.link_bytes
            if delta.original_bytes is not None:
                found.original_bytes = (found.original_bytes or 0) + delta.original_bytes

    def end(self, jobs: Sequence[JobSnapshot], now: float, interval_s: float) -> list[Row]:
        """The rows of the interval that ends.

        Args:
            now: Unix time.
        """
        rows: list[Row] = []
        at = _utc(now)
        by_id = {str(job.id): job for job in jobs}
        sums, self._sums = self._sums, {}
        for key, found in sums.items():
            job = by_id.get(key.job)
            if job is not None:
                rows.append(self._interval(job, key, found, at, interval_s))
        for job in jobs:
            if job.id not in self._closed:
                rows += self._sessions(job, at)
        self._forget(by_id)
        return rows

    def _interval(
        self, job: JobSnapshot, key: StreamKey, found: _Sum, at: datetime, interval_s: float
    ) -> IntervalRow:
        settings = job.spec.settings
        identity = f"{settings.name}-{key.direction}"
        session_id = f"{job.id}.{identity}"
        frames = sum(found.outcomes.values())
        total = self._totals.setdefault(session_id, _Total())
        total.frames += frames
        total.fallbacks += found.fallbacks.total()
        reasons = found.fallbacks.most_common(1)
        total.link_bytes += found.link_bytes
        total.original_bytes += found.original_bytes or 0
        return IntervalRow(
            session_id=session_id,
            call_id=settings.near.room,
            participant_id=identity,
            owner=job.spec.tenant,
            track_id=key.track,
            kind=_KINDS[found.kind],
            profile=found.encoder or settings.options.profile,
            ended_at=at,
            interval_s=interval_s,
            frames=frames,
            fallbacks=found.fallbacks.total(),
            fallback_reason=reasons[0][0] if reasons else None,
            drops=frames - sum(found.outcomes[name] for name in _SHOWN),
            original_bytes=found.original_bytes,
            link_bytes=found.link_bytes if key.direction == "up" else None,
        )

    def _sessions(self, job: JobSnapshot, at: datetime) -> list[Row]:
        over = job.state.over
        if over:
            self._closed.add(str(job.id))
        rooms = (job.status or {}).get("rooms", ())
        rows: list[Row] = []
        for identity in {str(room["identity"]) for room in rooms if room["identity"]}:
            session_id = f"{job.id}.{identity}"
            total = self._totals.get(session_id, _Total())
            rows.append(
                SessionRow(
                    session_id=session_id,
                    call_id=job.spec.settings.near.room,
                    participant_id=identity,
                    owner=job.spec.tenant,
                    started_at=_utc(job.created),
                    seen_at=at,
                    ended_at=_utc(job.since) if over else None,
                    end_reason=_reason(job) if over else None,
                    job_id=str(job.id),
                    engine_id=self._engine_id,
                    profile=job.spec.settings.options.profile,
                    frames=total.frames,
                    fallbacks=total.fallbacks,
                    original_bytes=total.original_bytes,
                    link_bytes=total.link_bytes,
                )
            )
        return rows

    def _forget(self, known: Mapping[str, JobSnapshot]) -> None:
        self._closed &= set(known)
        gone = [name for name in self._totals if name.split(".")[0] not in known]
        for name in gone:
            del self._totals[name]


def _reason(job: JobSnapshot) -> str:
    return "failed" if job.state is JobState.FAILED else "ended"


def _utc(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
