"""What happens to jobs, as it happens: server-sent events (WHATWG HTML, 9.2)."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import AbstractContextManager
from typing import Annotated, Final

from fastapi import APIRouter, Depends, Header, Query
from fastapi.responses import StreamingResponse
from fastapi.routing import APIRoute

from auralink.engine.relay.job_events import JobEvent, Subscription
from auralink.engine.service.auth.principal import Principal
from auralink.engine.service.context import Context
from auralink.engine.service.errors import Limited
from auralink.engine.service.http.door import caller, scope_of
from auralink.engine.service.http.problems import USUAL
from auralink.engine.service.http.routes.values import API
from auralink.engine.service.lifecycle import State

_ALIVE_S: Final = 15.0  # a comment keeps proxies from closing a quiet stream
_LOOK_S: Final = 0.5  # for the end of the engine, which no event tells
_NUMBER: Final = r"^\d{1,18}$"


def router(context: Context, guard: type[APIRoute]) -> APIRouter:
    routes = APIRouter(prefix=API, route_class=guard, tags=["events"], responses=USUAL)

    @routes.get(
        "/events",
        response_class=StreamingResponse,
        responses={200: {"content": {"text/event-stream": {"schema": {"type": "string"}}}}},
    )
    async def stream_events(
        who: Annotated[Principal, Depends(caller)],
        after: Annotated[
            int | None, Query(ge=0, le=10**18, description="number of the last event known")
        ] = None,
        last_event_id: Annotated[str | None, Header(pattern=_NUMBER)] = None,
    ) -> StreamingResponse:
        """State changes and notes of jobs.  A listener that is too slow loses the oldest, and is
        told how many: an event `missed`.
        """
        jobs = context.jobs.get().here
        if jobs.events.listeners >= context.settings.now.http.event_streams:
            raise Limited("as many listen to events as may", retry_after_s=5.0)
        known = int(last_event_id) if last_event_id is not None else after
        return StreamingResponse(
            _events(context, jobs.events.subscribe(known), scope_of(who)),
            media_type="text/event-stream",
            headers={"x-accel-buffering": "no"},
        )

    return routes


async def _events(
    context: Context, subscribing: AbstractContextManager[Subscription], tenant: str | None
) -> AsyncIterator[bytes]:
    told = 0
    quiet_s = 0.0
    with subscribing as listener:
        yield b"retry: 2000\n\n"
        while context.lifecycle.state in (State.READY, State.DRAINING):
            if listener.missed > told:
                yield _event("missed", json.dumps({"events": listener.missed - told}))
                told = listener.missed
            try:
                async with asyncio.timeout(_LOOK_S):
                    event = await listener.next()
            except TimeoutError:
                quiet_s += _LOOK_S
                if quiet_s >= _ALIVE_S:
                    quiet_s = 0.0
                    yield b": alive\n\n"
                continue
            quiet_s = 0.0
            if tenant in (None, event.tenant):
                yield _written(event)


def _written(event: JobEvent) -> bytes:
    return b"id: %d\n" % event.number + _event(event.kind.value, json.dumps(event.plain()))


def _event(kind: str, data: str) -> bytes:
    # JSON has no line breaks, so one data line is enough.
    return f"event: {kind}\ndata: {data}\n\n".encode()
