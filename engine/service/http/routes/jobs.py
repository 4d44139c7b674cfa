"""Jobs: a room, which of its tracks, at which rate; started, looked at, steered, stopped."""

import contextlib
import secrets
from typing import Annotated, Any

from fastapi import APIRouter, Depends
from fastapi.routing import APIRoute
from pydantic import Field

from auralink.engine.inference.fallback_rungs import BY_NAME
from auralink.engine.relay.job_values import JobSnapshot, JobState
from auralink.engine.service.auth.principal import Principal
from auralink.engine.service.context import Context
from auralink.engine.service.errors import NotReady, Unusable
from auralink.engine.service.http.door import caller, check_owned, scope_of
from auralink.engine.service.http.problems import USUAL, documented
from auralink.engine.service.http.routes.config import defaults_of
from auralink.engine.service.http.routes.values import API, PathId, Request, Text, View
from auralink.engine.service.job_board import Elsewhere
from auralink.engine.service.job_order import JobOrder, JobRequest
from auralink.engine.service.wishes import applied
from auralink.engine.stores.errors import StoreAway
from auralink.engine.stores.records import UserConfig


class JobView(View):
    """Of a job that another engine runs, only what was asked for is known here."""

    id: str = Field(examples=["a3f09c2e5b71"])
    state: JobState
    reason: str = Field(description="of the state; empty where it says all")
    engine: str = Field(description="that runs it; empty: nobody yet", examples=["host-4711"])
    created: float | None = Field(description="seconds since 1970; null: another engine knows")
    since: float | None = Field(description="of the state; seconds since 1970")
    restarts: int | None
    tenant: str
    label: str
    room: str = Field(examples=["standup"])
    to_room: str = Field(examples=["standup-thin"])
    role: str = Field(examples=["both"])
    profile: str = Field(examples=["hybrid"])
    rate_bps: int = Field(examples=[300_000])
    status: dict[str, Any] | None = Field(description="rooms and streams, as measured just now")


class JobList(View):
    jobs: list[JobView]
    load: float = Field(ge=0, le=1, description="0: idle, 1: takes nothing more")
    draining: bool


class KeyFrameRequest(Request):
    track: Text | None = Field(default=None, description="as the job's status names it")


class Count(View):
    streams: int = Field(description="that were reached", examples=[2])


class RungRequest(Request):
    rung: Text | None = Field(
        description="null: let the streams find their own", examples=["small"]
    )
    track: Text | None = Field(default=None, description="as the job's status names it")


def router(context: Context, guard: type[APIRoute]) -> APIRouter:
    routes = APIRouter(prefix=API, route_class=guard, tags=["jobs"], responses=USUAL)
    Who = Annotated[Principal, Depends(caller)]  # noqa: N806

    async def owned(operation: str, job_id: str, who: Principal) -> JobSnapshot | Elsewhere:
        found = await context.jobs.get().get(job_id)
        tenant = found.order.tenant if isinstance(found, Elsewhere) else found.spec.tenant
        check_owned(operation, who, tenant, f"job {job_id!r}")
        return found

    def view(job: JobSnapshot | Elsewhere) -> JobView:
        return _elsewhere(job) if isinstance(job, Elsewhere) else _here(job, context.engine_id)

    async def config_of(tenant: str) -> UserConfig:
        """If nobody can say what a tenant wants, it is what the service's settings say."""
        config = None
        with contextlib.suppress(StoreAway, NotReady):
            config = await context.configs.get(tenant)
        return config or defaults_of(context, tenant)

    @routes.get("/jobs")
    async def list_jobs(who: Who) -> JobList:
        """Of all engines; those that are over too, for a while, by the engine that had them."""
        board = context.jobs.get()
        found = [view(job) for job in await board.list(scope_of(who))]
        return JobList(jobs=found, load=board.here.load, draining=board.here.draining)

    @routes.post("/jobs", status_code=201, responses=documented(409))
    async def start_job(wanted: JobRequest, who: Who) -> JobView:
        """Join a room and begin.  The answer does not wait until the room is joined."""
        request = applied(await config_of(who.tenant), wanted)
        order = JobOrder(tenant=who.tenant, request=request)
        return view(await context.jobs.get().start(wanted.id or secrets.token_hex(6), order))

    @routes.get("/jobs/{job_id}", responses=documented(404))
    async def get_job(job_id: PathId, who: Who) -> JobView:
        """One job, with what its streams do right now."""
        return view(await owned("get_job", job_id, who))

    @routes.delete("/jobs/{job_id}", status_code=202, responses=documented(404))
    async def stop_job(job_id: PathId, who: Who) -> JobView:
        """Leave the rooms.  Nothing if it is over already."""
        await owned("stop_job", job_id, who)
        return view(await context.jobs.get().stop(job_id, f"asked to stop by {who.subject}"))

    @routes.post("/jobs/{job_id}/key-frame", responses=documented(404, 409))
    async def request_key_frame(
        job_id: PathId, who: Who, wanted: KeyFrameRequest | None = None
    ) -> Count:
        """Make streams decodable anew, at the cost of a key frame each."""
        await owned("request_key_frame", job_id, who)
        board = context.jobs.get()
        job = await board.here_only(job_id)
        track = None if wanted is None else wanted.track
        return Count(streams=board.here.request_key(job.id, track))

    @routes.put("/jobs/{job_id}/rung", responses=documented(404, 409))
    async def force_rung(job_id: PathId, wanted: RungRequest, who: Who) -> Count:
        """Hold a job's video on one rung of the fallback ladder."""
        await owned("force_rung", job_id, who)
        board = context.jobs.get()
        job = await board.here_only(job_id)
        if wanted.rung is not None and wanted.rung not in BY_NAME:
            error = Unusable("no such rung")
            error.add_note(f"rungs: {', '.join(BY_NAME)}")
            raise error
        return Count(streams=board.here.force_rung(job.id, wanted.rung, wanted.track))

    return routes


def _here(job: JobSnapshot, engine_id: str) -> JobView:
    settings = job.spec.settings
    return JobView(
        id=job.id,
        state=job.state,
        reason=job.reason,
        engine=engine_id,
        created=job.created,
        since=job.since,
        restarts=job.restarts,
        tenant=job.spec.tenant,
        label=job.spec.label,
        room=settings.near.room,
        to_room=settings.far.room,
        role=settings.role.value,
        profile=settings.options.profile,
        rate_bps=settings.options.rate_bps,
        status=job.status,
    )


def _elsewhere(job: Elsewhere) -> JobView:
    request = job.order.request
    taken = bool(job.engine)
    return JobView(
        id=job.id,
        state=JobState.RUNNING if taken else JobState.STARTING,
        reason="on another engine" if taken else "waits for an engine with room",
        engine=job.engine,
        created=None,
        since=None,
        restarts=None,
        tenant=job.order.tenant,
        label=request.label,
        room=request.room,
        to_room=request.to_room or request.room,
        role=request.role,
        profile=request.profile,
        rate_bps=request.rate_bps,
        status=None,
    )
