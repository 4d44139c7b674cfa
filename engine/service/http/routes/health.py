"""Whether the engine lives, is started, can take work, and how its parts are."""

from typing import Literal

from fastapi import APIRouter, Response
from fastapi.routing import APIRoute
from pydantic import Field

from auralink.engine.service.context import Context
from auralink.engine.service.errors import NotReady
from auralink.engine.service.http.problems import documented
from auralink.engine.service.http.routes.values import View
from auralink.engine.service.lifecycle import State


class Alive(View):
    status: Literal["alive"] = "alive"


class Started(View):
    status: Literal["started"] = "started"


class Ready(View):
    """``degraded``: calls go on, something beside them is away."""

    status: Literal["ready", "degraded"]
    away: list[str] = Field(examples=[["records"]])


class Health(View):
    status: Literal["healthy", "degraded", "unavailable"]
    version: str = Field(examples=["0.1.0"])
    uptime_s: float = Field(ge=0, examples=[86400.5])


class PartHealth(View):
    name: str = Field(examples=["records"])
    ready: bool
    expected: bool = Field(description="false: this engine has none, and that is no trouble")
    needed: bool
    why: str = Field(examples=[""])


class RecordsHealth(View):
    backend: str = Field(examples=["postgresql"])
    connected: bool
    buffered: int
    capacity: int
    written: int
    dropped: int


class RedisHealth(View):
    """While it is away limits are each engine's share, and no job moves."""

    available: bool
    last_error: str | None = Field(examples=["ConnectionError"])


class DetailedHealth(Health):
    state: str = Field(examples=["ready"])
    engine_id: str = Field(examples=["host-4711"])
    loop_lag_s: float = Field(description="since the event loop's last beat", examples=[0.04])
    jobs: int = Field(examples=[3])
    parts: list[PartHealth]
    records: RecordsHealth | None = None
    redis: RedisHealth | None = None


def router(context: Context, guard: type[APIRoute]) -> APIRouter:
    routes = APIRouter(route_class=guard, tags=["health"])

    @routes.get("/liveness", responses=documented(503))
    async def get_liveness() -> Alive:
        """Whether the event loop turns, and nothing else: no dependency can end a process."""
        blocked_s = context.settings.now.engine.blocked_s
        if context.heartbeat.age_s > blocked_s:
            raise NotReady("event loop", f"stood still for more than {blocked_s:.0f} s")
        return Alive()

    @routes.get("/startup", responses=documented(503))
    async def get_startup() -> Started:
        """Whether the start is over."""
        if context.lifecycle.state in (State.NEW, State.STARTING, State.FAILED):
            raise NotReady("engine", context.lifecycle.error or "is starting")
        return Started()

    @routes.get("/readiness", responses=documented(503))
    async def get_readiness() -> Ready:
        """Whether this engine takes work: started, not ending, and all that is needed is there."""
        state = context.lifecycle.state
        if state is not State.READY:
            raise NotReady("engine", f"is {state.value}")
        for part in context.missing():
            raise NotReady(part.name, part.why)
        away = _away(context)
        return Ready(status="degraded" if away else "ready", away=away)

    @routes.get("/health", responses={503: {"model": Health, "description": "Unavailable"}})
    async def get_health(response: Response) -> Health:
        """For people and load balancers: 200 while calls go on, 503 when they cannot."""
        health = _health(context)
        if health.status == "unavailable":
            response.status_code = 503
        return health

    @routes.get("/health/detailed", responses=documented(401, 403, 429, 503))
    async def get_health_detailed() -> DetailedHealth:
        """Every part, and why it is not there."""
        records = context.records.peek()
        jobs = context.jobs.peek()
        redis = context.redis()
        return DetailedHealth(
            **_health(context).model_dump(),
            state=context.lifecycle.state.value,
            engine_id=context.engine_id,
            loop_lag_s=context.heartbeat.age_s,
            jobs=0 if jobs is None else jobs.here.active,
            parts=[PartHealth.model_validate(part) for part in context.parts()],
            records=None if records is None else RecordsHealth.model_validate(records.status()),
            redis=None if redis is None else RedisHealth.model_validate(redis),
        )

    return routes


def _health(context: Context) -> Health:
    serving = context.lifecycle.state in (State.READY, State.DRAINING) and not context.missing()
    status: Literal["healthy", "degraded", "unavailable"] = "unavailable"
    if serving:
        ending = context.lifecycle.state is State.DRAINING
        status = "degraded" if ending or _away(context) else "healthy"
    uptime_s = max(0.0, context.clocks.wall() - context.started)
    return Health(status=status, version=context.version, uptime_s=uptime_s)


def _away(context: Context) -> list[str]:
    """What is not there, and what is there and has lost what it stands on."""
    away = [part.name for part in context.parts() if part.expected and not part.ready]
    records = context.records.peek()
    if records is not None and not records.status().connected:
        away.append(context.records.name)
    redis = context.redis()
    if redis is not None and not redis.available:
        away.append("redis")
    return away
