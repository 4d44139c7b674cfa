"""Heads and bodies have a size, and no compression; who does not read is not waited for.

h11 bounds a head only while it is incomplete: one that comes in a single piece of 64 kB passes.  So
it is measured here again.
"""

import asyncio
import contextlib
from collections.abc import Callable
from typing import Final, final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from auralink.engine.service.http.problems import Trouble

_CLOSE: Final = {"connection": "close"}


class _TooLarge(Exception):
    """Raised into whoever reads the body."""


@final
class RequestLimits:
    """
    Args:
        limits: bytes of a head and of a body, by the settings in force.
        send_s: that a client may leave a part of its answer unread.
    """

    def __init__(
        self, app: ASGIApp, limits: Callable[[], tuple[int, int]], *, send_s: float
    ) -> None:
        self._app = app
        self._limits = limits
        self._send_s = send_s

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id = scope["state"]["request_id"]
        head, most = self._limits()
        refused = _refused(scope, head, most)
        if refused is not None:
            await refused.response(request_id)(scope, receive, send)
            return
        counted = 0
        over = begun = False

        async def bounded() -> Message:
            nonlocal counted, over
            message = await receive()
            counted += len(message.get("body", b""))
            if counted > most:
                over = True
                raise _TooLarge
            return message

        async def timed(message: Message) -> None:
            nonlocal begun
            if over and not begun:
                return  # the framework's own words about a body that broke off; ours follow
            begun = True
            async with asyncio.timeout(self._send_s):
                await send(message)

        with contextlib.suppress(_TooLarge):
            await self._app(scope, bounded, timed)
        if over and not begun:
            await _too_large(most).response(request_id)(scope, receive, send)


def _refused(scope: Scope, head: int, most: int) -> Trouble | None:
    """What can be said before a byte of the body was read."""
    if scope["http_version"] not in ("1.0", "1.1"):
        return _closing(505, "version", "this is HTTP/1.1", "use HTTP/1.1")
    fields = sum(len(name) + len(value) + 4 for name, value in scope["headers"])
    if fields + len(scope["raw_path"]) + len(scope["query_string"]) > head:
        return _closing(431, "too-large", f"a head has at most {head} bytes", "send less")
    headers = dict(scope["headers"])
    length = headers.get(b"content-length", b"")
    # uvicorn's parser let only digits through.
    if length.isdigit() and (len(length) > 18 or int(length) > most):
        return _too_large(most)
    if headers.get(b"content-encoding", b"identity") != b"identity":
        what = "compressed bodies are not taken"
        return _closing(415, "encoded", what, "send the body as it is")
    return None


def _too_large(most: int) -> Trouble:
    return _closing(413, "too-large", f"a body has at most {most} bytes", "send less")


def _closing(status: int, slug: str, detail: str, hint: str) -> Trouble:
    return Trouble(status=status, slug=slug, detail=detail, hint=hint, headers=_CLOSE)
