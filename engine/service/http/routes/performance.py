"""Sums and means over windows of time: performance, models, savings, quality."""

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Depends
from fastapi.routing import APIRoute
from pydantic import Field

from auralink.engine.service.auth.principal import Principal
from auralink.engine.service.context import Context
from auralink.engine.service.http.door import caller, scope_of
from auralink.engine.service.http.problems import USUAL
from auralink.engine.service.http.routes.values import API, Days, Hours, View, Window, window


class Summary(Window):
    """Null is "nothing measured"; nothing here is assumed."""

    sessions: int = Field(examples=[12])
    intervals: int = Field(examples=[4300])
    frames: int = Field(examples=[1_290_000])
    fallbacks: int = Field(examples=[800])
    drops: int = Field(examples=[120])
    original_bytes: int = Field(examples=[2_000_000_000])
    link_bytes: int = Field(examples=[600_000_000])
    saved_bytes: int = Field(description="negative if the link carried more than the track")
    compression_ratio: float | None = Field(description="share of the bytes that was saved")
    fallback_rate: float | None
    latency_mean_ms: float | None
    latency_worst_p95_ms: float | None
    quality_mean: float | None
    quality_worst: float | None


class ModelPerformance(View):
    model: str = Field(examples=["restore-s"])
    version: str = Field(examples=["3"])
    engine_id: str
    window_start: datetime
    window_s: float
    calls: int
    failures: int
    p50_ms: float | None
    p95_ms: float | None
    p99_ms: float | None


class ModelPerformances(View):
    models: list[ModelPerformance]


class DayOfSavings(View):
    day: str = Field(examples=["2026-01-01"])
    original_bytes: int
    link_bytes: int
    saved_bytes: int


class Savings(Window):
    """Amounts of bytes, of intervals in which both sizes were measured."""

    original_bytes: int
    link_bytes: int
    saved_bytes: int
    days: list[DayOfSavings]


class Band(View):
    low: float
    high: float
    intervals: int
    frames: int


class Quality(Window):
    """Frames by the quality of their interval: SSIM of the luma plane, ``[low, high)``."""

    bands: list[Band]


def router(context: Context, guard: type[APIRoute]) -> APIRouter:
    routes = APIRouter(prefix=API, route_class=guard, tags=["performance"], responses=USUAL)
    Who = Annotated[Principal, Depends(caller)]  # noqa: N806

    @routes.get("/performance/summary")
    async def get_performance_summary(who: Who, hours: Hours = 24) -> Summary:
        """What the streams of the window did."""
        since, until = window(context.clocks.wall(), hours=hours)
        found = await context.records.get().performance(since, until, owner=scope_of(who))
        return Summary.model_validate(found)

    @routes.get("/models/performance")
    async def list_model_performance(hours: Hours = 24) -> ModelPerformances:
        """How the networks ran, per engine and window, newest first."""
        since, _ = window(context.clocks.wall(), hours=hours)
        rows = await context.records.get().models(since)
        return ModelPerformances(models=[ModelPerformance.model_validate(row) for row in rows])

    @routes.get("/stats/bandwidth-savings")
    async def get_bandwidth_savings(who: Who, days: Days = 7) -> Savings:
        """Bytes that the link did not have to carry, by UTC day."""
        since, until = window(context.clocks.wall(), days=days)
        rows = await context.records.get().savings(since, until, owner=scope_of(who))
        return Savings(
            since=since,
            until=until,
            original_bytes=sum(row.original_bytes for row in rows),
            link_bytes=sum(row.link_bytes for row in rows),
            saved_bytes=sum(row.saved_bytes for row in rows),
            days=[DayOfSavings.model_validate(row) for row in rows],
        )

    @routes.get("/stats/quality-distribution")
    async def get_quality_distribution(who: Who, days: Days = 7) -> Quality:
        """How good the pictures of the window were."""
        since, until = window(context.clocks.wall(), days=days)
        rows = await context.records.get().quality(since, until, owner=scope_of(who))
        bands = [Band.model_validate(row) for row in rows]
        return Quality(since=since, until=until, bands=bands)

    return routes
