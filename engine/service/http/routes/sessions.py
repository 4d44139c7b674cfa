"""Sessions, and what was measured in them by interval."""

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Depends, Query
from fastapi.routing import APIRoute
from pydantic import Field

from auralink.engine.service.auth.principal import Principal
from auralink.engine.service.context import Context
from auralink.engine.service.errors import NotFound
from auralink.engine.service.http.door import caller, scope_of
from auralink.engine.service.http.problems import USUAL, documented
from auralink.engine.service.http.routes.values import API, PathId, Text, View
from auralink.engine.stores.records import Kind, Mode

CallId = Annotated[Text | None, Query(description="the room")]
ParticipantId = Annotated[Text | None, Query(description="the identity in it")]
Most = Annotated[int, Query(ge=1, le=1000)]


class SessionView(View):
    """One participant's media in one call."""

    session_id: str = Field(examples=["7d0b9e"])
    call_id: str = Field(examples=["standup"])
    participant_id: str = Field(examples=["ann"])
    started_at: datetime = Field(examples=["2026-01-01T09:00:00Z"])
    ended_at: datetime | None
    end_reason: str | None
    job_id: str | None = Field(examples=["a3f09c2e5b71"])
    profile: str = Field(examples=["hybrid"])
    mode: Mode
    frames: int = Field(examples=[5400])
    fallbacks: int = Field(examples=[0])
    original_bytes: int = Field(examples=[9_600_000])
    link_bytes: int = Field(examples=[2_100_000])


class IntervalView(View):
    """One stream over one interval; null is "not measured"."""

    session_id: str = Field(examples=["7d0b9e"])
    call_id: str = Field(examples=["standup"])
    participant_id: str = Field(examples=["ann"])
    track_id: str = Field(examples=["TR_VC2x"])
    kind: Kind
    profile: str = Field(examples=["hybrid"])
    ended_at: datetime = Field(examples=["2026-01-01T09:00:10Z"])
    interval_s: float = Field(examples=[10.0])
    frames: int = Field(examples=[300])
    fallbacks: int
    drops: int
    fallback_reason: str | None
    original_bytes: int | None
    link_bytes: int | None
    latency_mean_ms: float | None
    latency_p95_ms: float | None
    quality_score: float | None = Field(description="SSIM of the luma plane")
    psnr_db: float | None
    available_bps: int | None
    rtt_ms: float | None
    loss: float | None


class Sessions(View):
    sessions: list[SessionView]


class Intervals(View):
    metrics: list[IntervalView]


def router(context: Context, guard: type[APIRoute]) -> APIRouter:
    routes = APIRouter(prefix=API, route_class=guard, tags=["sessions"], responses=USUAL)

    @routes.get("/sessions")
    async def list_sessions(
        who: Annotated[Principal, Depends(caller)],
        call_id: CallId = None,
        participant_id: ParticipantId = None,
        live: Annotated[bool | None, Query(description="not ended yet, or ended")] = None,
        limit: Most = 100,
    ) -> Sessions:
        """Newest first."""
        rows = await context.records.get().sessions(
            owner=scope_of(who),
            call_id=call_id,
            participant_id=participant_id,
            live=live,
            limit=limit,
        )
        return Sessions(sessions=[SessionView.model_validate(row) for row in rows])

    @routes.get("/sessions/{session_id}", responses=documented(404))
    async def get_session(
        session_id: PathId, who: Annotated[Principal, Depends(caller)]
    ) -> SessionView:
        """One, while it lasts and as long as rows are kept."""
        row = await context.records.get().session(session_id, owner=scope_of(who))
        if row is None:
            raise NotFound(f"no session {session_id}")
        return SessionView.model_validate(row)

    @routes.get("/metrics")
    async def list_metrics(
        who: Annotated[Principal, Depends(caller)],
        call_id: CallId = None,
        participant_id: ParticipantId = None,
        limit: Most = 100,
    ) -> Intervals:
        """Intervals, newest first.  (Prometheus reads `/metrics` at the root.)"""
        rows = await context.records.get().metrics(
            owner=scope_of(who), call_id=call_id, participant_id=participant_id, limit=limit
        )
        return Intervals(metrics=[IntervalView.model_validate(row) for row in rows])

    return routes
