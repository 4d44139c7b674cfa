"""All of it as one ASGI application: routes behind the door, layers around them."""

import importlib.metadata
import secrets
from time import perf_counter
from typing import Final, final

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from auralink.codecs.errors import AuraLinkError
from auralink.engine.service.auth.matrix import check_complete
from auralink.engine.service.context import Context
from auralink.engine.service.http.cors import ExactOrigins
from auralink.engine.service.http.door import Door, guarded
from auralink.engine.service.http.matrix import MATRIX
from auralink.engine.service.http.openapi import describe
from auralink.engine.service.http.problems import trouble_of
from auralink.engine.service.http.request_ids import RequestIds
from auralink.engine.service.http.request_limits import RequestLimits
from auralink.engine.service.http.routes import (
    alerts,
    config,
    engine,
    events,
    health,
    jobs,
    models,
    performance,
    sessions,
)
from auralink.engine.service.http.tracing import Traced
from auralink.engine.service.settings.tree import Http

_SEND_S: Final = 30.0
_MODULES: Final = (
    health,
    engine,
    config,
    sessions,
    performance,
    alerts,
    jobs,
    events,
    models,
)


def create_app(context: Context) -> FastAPI:
    """
    Raises:
        ConfigError: an operation has no row in the matrix of who may do what.
    """
    app = FastAPI(
        title="AuraLink AIC engine",
        version=importlib.metadata.version("auralink-aic"),
        description="Control plane: jobs, sessions, measurements.",
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        # Ours is `Traced`: the framework's own would take up whatever the environment names.
        telemetry={"tracing": False, "metrics": False, "logs": False},
    )
    door = Door(context)
    guard = guarded(door)
    for module in _MODULES:
        # Not included: that would look through router after router, and twice, at each request.
        app.router.routes.extend(module.router(context, guard).routes)
    check_complete(MATRIX, door.operations)
    for kind in (AuraLinkError, RequestValidationError, HTTPException):
        app.add_exception_handler(kind, _answer)
    app.openapi = lambda: describe(app)  # type: ignore[method-assign]
    settings = context.settings
    app.add_middleware(ExactOrigins, origins=lambda: settings.now.http.cors_origins)
    app.add_middleware(RequestLimits, limits=lambda: _limits(settings.now.http), send_s=_SEND_S)
    app.add_middleware(Measured, context=context)
    app.add_middleware(Traced, tracer=context.tracer)
    app.add_middleware(RequestIds, new_id=lambda: secrets.token_hex(8))
    return app


def _limits(http: Http) -> tuple[int, int]:
    return http.header_bytes, http.body_bytes


async def _answer(request: Request, error: Exception) -> Response:
    trouble = trouble_of(error)
    if trouble is None:
        raise error
    return trouble.response(request.state.request_id)


@final
class Measured:
    """Count requests and their time, by the template of the route; unknown paths are one."""

    def __init__(self, app: ASGIApp, context: Context) -> None:
        self._app = app
        self._context = context

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        telemetry = self._context.telemetry.peek()
        if scope["type"] != "http" or telemetry is None:
            await self._app(scope, receive, send)
            return
        status = 500
        began = perf_counter()

        async def noted(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, noted)
        finally:
            route = scope.get("route")
            telemetry.request(
                method=_method(scope["method"]),
                route=route.path_format if isinstance(route, APIRoute) else "unknown",
                status=status,
                seconds=perf_counter() - began,
            )


def _method(sent: str) -> str:
    """Any word may be sent as a method; labels have a bound."""
    known = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
    return sent if sent in known else "other"
