"""Bodies have a size, and no compression; a client that does not read is not waited for."""

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
class BodyLimit:
    """
    Args:
        most: bytes of a request body, by the settings in force.
        send_s: that a client may leave a part of its answer unread.
    """

    def __init__(self, app: ASGIApp, most: Callable[[], int], *, send_s: float) -> None:
        self._app = app
        self._most = most
        self._send_s = send_s

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id = scope["state"]["request_id"]
        most = self._most()
        refused = _refused(dict(scope["headers"]), most)
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


def _refused(headers: dict[bytes, bytes], most: int) -> Trouble | None:
    """What can be said before a byte of the body was read."""
    length = headers.get(b"content-length", b"")
    # uvicorn's parser let only digits through.
    if length.isdigit() and (len(length) > 18 or int(length) > most):
        return _too_large(most)
    if headers.get(b"content-encoding", b"identity") != b"identity":
        return Trouble(
            status=415,
            slug="encoded",
            detail="compressed bodies are not taken",
            hint="send the body as it is",
            headers=_CLOSE,
        )
    return None


def _too_large(most: int) -> Trouble:
    return Trouble(
        status=413,
        slug="too-large",
        detail=f"a body has at most {most} bytes",
        hint="send less",
        headers=_CLOSE,
    )
