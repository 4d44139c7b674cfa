"""A span per request, where somebody collects them."""

from typing import Final, final

from fastapi.routing import APIRoute
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from auralink.engine.telemetry.tracing import Tracer

_PARENT: Final = b"traceparent"


@final
class Traced:
    """Named by the template of the route, as metrics are; ids in paths stay out of it."""

    def __init__(self, app: ASGIApp, tracer: Tracer) -> None:
        self._app = app
        self._tracer = tracer

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        method = scope["method"]
        parents = [value.decode("latin-1") for name, value in scope["headers"] if name == _PARENT]
        facts = {"http.request.method": method, "request.id": scope["state"]["request_id"]}
        with self._tracer.span(
            method, parent=parents[0] if len(parents) == 1 else None, **facts
        ) as span:

            async def noted(message: Message) -> None:
                if message["type"] == "http.response.start":
                    span.tell(**{"http.response.status_code": message["status"]})
                await send(message)

            try:
                await self._app(scope, receive, noted)
            finally:
                route = scope.get("route")
                if isinstance(route, APIRoute):
                    path = route.path_format
                    span.tell(name=f"{method} {path}", **{"http.route": path})
