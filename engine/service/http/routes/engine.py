"""The engine itself: what it is, its metrics and API, its end; and what LiveKit tells it."""

import asyncio
from typing import Any, Final

from fastapi import APIRouter, Request, Response
from fastapi.routing import APIRoute
from pydantic import Field

from auralink.engine.room.webhooks import WebhookRepeated
from auralink.engine.service.context import Context
from auralink.engine.service.http.problems import documented
from auralink.engine.service.http.routes.values import View

_TEXT: Final[dict[int | str, dict[str, Any]]] = {
    200: {"content": {"text/plain": {"schema": {"type": "string"}}}}
}


class Root(View):
    name: str = Field(examples=["auralink-aic"])
    version: str = Field(examples=["0.1.0"])
    api: str = Field(examples=["/api/v1/aic"])
    openapi: str = Field(examples=["/openapi.json"])


class Draining(View):
    jobs: int = Field(description="that go on until the deadline", examples=[3])
    deadline_s: float = Field(examples=[30.0])


class Heard(View):
    again: bool = Field(description="this message was here before, and did nothing")
    stopped: int = Field(description="jobs whose room is over", examples=[0])


def router(context: Context, guard: type[APIRoute]) -> APIRouter:
    routes = APIRouter(route_class=guard, tags=["engine"])

    @routes.get("/")
    async def get_root() -> Root:
        """What this is and where to go on."""
        return Root(
            name="auralink-aic",
            version=context.version,
            api="/api/v1/aic",
            openapi="/openapi.json",
        )

    @routes.get("/openapi.json", responses=documented(401, 403, 429, 503))
    async def get_openapi(request: Request) -> dict[str, Any]:
        """This API, in OpenAPI."""
        described: dict[str, Any] = await asyncio.to_thread(request.app.openapi)
        return described

    @routes.get(
        "/metrics",
        response_class=Response,
        responses=_TEXT | documented(503),
    )
    async def get_prometheus_metrics() -> Response:
        """For Prometheus."""
        page = await asyncio.to_thread(context.telemetry.get().page)
        return Response(page.body, media_type=page.content_type)

    @routes.post("/api/v1/aic/drain", status_code=202, responses=documented(401, 403, 429, 503))
    async def drain_engine() -> Draining:
        """Take nothing new; jobs go on until the deadline, then the engine ends.  As by SIGTERM."""
        jobs = context.jobs.get().here
        context.ending.ask()
        return Draining(jobs=jobs.active, deadline_s=context.settings.now.engine.drain_s)

    @routes.post("/api/v1/livekit/webhook", responses=documented(400, 401, 413, 503))
    async def receive_livekit_webhook(request: Request) -> Heard:
        """From a LiveKit server, signed over the raw body.  Ends jobs whose room is over."""
        try:
            told = context.access.webhooks.receive(
                await request.body(),
                request.headers.get("authorization", ""),
                context.clocks.wall(),
            )
        except WebhookRepeated:
            return Heard(again=True, stopped=0)
        ended = told.event == "room_finished"
        return Heard(again=False, stopped=await _stop_room(context, told.room.name) if ended else 0)

    return routes


async def _stop_room(context: Context, room: str) -> int:
    board = context.jobs.get()
    url = context.settings.now.livekit.url
    ended = [
        job.id
        for job in board.here.list()
        if not job.state.over
        and job.spec.settings.near.room == room
        and job.spec.settings.near.access.url == url
    ]
    for job_id in ended:
        await board.stop(job_id, "the room is over")
    return len(ended)
