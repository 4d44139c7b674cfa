"""Frames that were answered one by one, as gRPC does, summed up per stream and interval.  Pure.

A session is one participant of one session of one tenant, and named after all three: callers choose
names, and two tenants may choose the same.  After two intervals without a frame it has ended.
"""

from collections import Counter, OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, final

from auralink.engine.stores.records import IntervalRow, Kind, ModelRow, Row, SessionRow

_MOST_STREAMS: Final = 2_000  # in an interval; frames of further ones are metrics only
_MOST_TIMES: Final = 2_000  # latencies of one stream or model: 40 s of sound


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamName:
    """
    Attributes:
        owner: the tenant.
    """

    owner: str
    session: str
    participant: str
    kind: Kind

    @property
    def session_id(self) -> str:
        return f"{self.owner}.{self.session}.{self.participant}"


@dataclass(frozen=True, slots=True, kw_only=True)
class AnsweredFrame:
    """
    Attributes:
        fallback: why it was not coded, one of few words; empty if it was.
        encode_ms: of the codec alone; None if it did not run.
        link_bytes: of the coded frame.
        quality: SSIM, where it was measured.
    """

    latency_ms: float
    fallback: str = ""
    dropped: bool = False
    encode_ms: float | None = None
    link_bytes: int = 0
    quality: float | None = None
    profile: str = ""
    version: str = ""


@dataclass(slots=True)
class _Stream:
    frames: int = 0
    drops: int = 0
    link_bytes: int = 0
    profile: str = ""
    fallbacks: Counter[str] = field(default_factory=Counter)
    times: list[float] = field(default_factory=list)
    time_sum: float = 0.0
    qualities: list[float] = field(default_factory=list)


@dataclass(slots=True)
class _Model:
    calls: int = 0
    times: list[float] = field(default_factory=list)


@dataclass(slots=True)
class _Session:
    name: StreamName
    started: datetime
    seen: datetime
    ended: bool = False
    profile: str = ""
    frames: int = 0
    fallbacks: int = 0
    link_bytes: int = 0


@final
class FrameSums:
    def __init__(self, engine_id: str) -> None:
        self._engine_id = engine_id
        self._streams: dict[StreamName, _Stream] = {}
        self._models: dict[tuple[str, str], _Model] = {}
        self._sessions: OrderedDict[str, _Session] = OrderedDict()  # last heard of at the end
        self.left_out = 0

    def add(self, name: StreamName, frame: AnsweredFrame) -> None:
        found = self._streams.get(name)
        if found is None:
            if len(self._streams) == _MOST_STREAMS:
                self.left_out += 1
                return
            found = self._streams[name] = _Stream()
        found.frames += 1
        found.drops += frame.dropped
        found.link_bytes += frame.link_bytes
        found.profile = frame.profile or found.profile
        found.time_sum += frame.latency_ms
        if frame.fallback:
            found.fallbacks[frame.fallback] += 1
        if len(found.times) < _MOST_TIMES:
            found.times.append(frame.latency_ms)
        if frame.quality is not None:
            found.qualities.append(frame.quality)
        if frame.encode_ms is not None and frame.profile:
            self.ran(frame.profile, frame.version, frame.encode_ms)

    def ran(self, model: str, version: str, run_ms: float) -> None:
        """A codec or a network ran for so long."""
        found = self._models.setdefault((model, version), _Model())
        found.calls += 1
        if len(found.times) < _MOST_TIMES:
            found.times.append(run_ms)

    def end(self, began: datetime, now: datetime) -> list[Row]:
        """The rows of the interval that ends."""
        streams, self._streams = self._streams, {}
        models, self._models = self._models, {}
        rows: list[Row] = []
        for name, found in streams.items():
            rows.append(self._interval(name, found, began, now))
            self._enter(name, found, began, now)
        for session in self._sessions.values():
            if not session.ended:
                session.ended = now - session.seen >= 2 * (now - began)
                rows.append(self._session(session))
        for (profile, version), model in models.items():
            rows.append(self._window(profile, version, model, began, now))
        return rows

    def _enter(self, name: StreamName, found: _Stream, began: datetime, now: datetime) -> None:
        session = self._sessions.get(name.session_id)
        if session is None:
            session = self._sessions[name.session_id] = _Session(name, began, now)
            if len(self._sessions) > _MOST_STREAMS:
                self._sessions.popitem(last=False)
        self._sessions.move_to_end(name.session_id)
        session.seen = now
        session.profile = found.profile or session.profile
        session.frames += found.frames
        session.fallbacks += found.fallbacks.total()
        session.link_bytes += found.link_bytes

    def _interval(
        self, name: StreamName, found: _Stream, began: datetime, now: datetime
    ) -> IntervalRow:
        reasons = found.fallbacks.most_common(1)
        qualities = found.qualities
        return IntervalRow(
            session_id=name.session_id,
            call_id=name.session,
            participant_id=name.participant,
            owner=name.owner,
            track_id=name.kind,
            kind=name.kind,
            profile=found.profile,
            ended_at=now,
            interval_s=(now - began).total_seconds(),
            frames=found.frames,
            fallbacks=found.fallbacks.total(),
            drops=found.drops,
            fallback_reason=reasons[0][0] if reasons else None,
            link_bytes=found.link_bytes,
            latency_mean_ms=found.time_sum / found.frames,
            latency_p95_ms=percentile(found.times, 0.95),
            quality_score=sum(qualities) / len(qualities) if qualities else None,
        )

    def _session(self, found: _Session) -> SessionRow:
        return SessionRow(
            session_id=found.name.session_id,
            call_id=found.name.session,
            participant_id=found.name.participant,
            owner=found.name.owner,
            started_at=found.started,
            seen_at=found.seen,
            ended_at=found.seen if found.ended else None,
            end_reason="silent" if found.ended else None,
            engine_id=self._engine_id,
            profile=found.profile,
            frames=found.frames,
            fallbacks=found.fallbacks,
            link_bytes=found.link_bytes,
        )

    def _window(
        self, profile: str, version: str, model: _Model, began: datetime, now: datetime
    ) -> ModelRow:
        return ModelRow(
            model=profile,
            version=version or "-",
            engine_id=self._engine_id,
            window_start=began,
            window_s=(now - began).total_seconds(),
            calls=model.calls,
            p50_ms=percentile(model.times, 0.5),
            p95_ms=percentile(model.times, 0.95),
            p99_ms=percentile(model.times, 0.99),
        )


def percentile(values: Sequence[float], share: float) -> float | None:
    """The smallest value that at least ``share`` of all do not exceed; ``None`` of nothing."""
    if not values:
        return None
    ordered = sorted(values)
    rank = -int(-share * len(ordered) // 1)  # rounded up
    return ordered[max(0, rank - 1)]
