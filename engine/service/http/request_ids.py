"""Every request has an id: the caller's, if it is one, else ours.

It goes into the answer, into every line of the log, and into problems.  What a caller sends as an
id and is none (other characters, too long, twice) is replaced, never repeated.
"""

import logging
import re
from collections.abc import Callable
from typing import Final, final

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from auralink.engine.service.http.problems import OURS
from auralink.engine.telemetry.logs import context

log = logging.getLogger(__name__)

HEADER: Final = "x-request-id"
_FORM: Final = re.compile(rb"[A-Za-z0-9._-]{1,64}")


def accepted(sent: list[bytes]) -> str | None:
    """The caller's id, if it is one and there is only one."""
    if len(sent) != 1 or not _FORM.fullmatch(sent[0]):
        return None
    return sent[0].decode("ascii")


@final
class RequestIds:
    """The outermost layer: also the last place where a fault of ours becomes an answer.

    Args:
        new_id: makes ids.
    """

    def __init__(self, app: ASGIApp, new_id: Callable[[], str]) -> None:
        self._app = app
        self._new_id = new_id

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        sent = [value for name, value in scope["headers"] if name == HEADER.encode()]
        request_id = accepted(sent) or self._new_id()
        scope.setdefault("state", {})["request_id"] = request_id
        begun = False

        async def answer(message: Message) -> None:
            nonlocal begun
            if message["type"] == "http.response.start":
                begun = True
                headers = MutableHeaders(scope=message)
                headers[HEADER] = request_id
                headers.setdefault("cache-control", "no-store")
                headers["x-content-type-options"] = "nosniff"
            await send(message)

        with context(request=request_id):
            try:
                await self._app(scope, receive, answer)
            except Exception:
                log.exception("a request failed")
                if begun:
                    raise
                await OURS.response(request_id)(scope, receive, answer)
