"""Asking a running engine: one request, one answer, and every way in which that may not work."""

import asyncio
import json
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, Any, Final, final

import aiohttp
import typer

from auralink.engine.service.errors import Refused, Unreachable

API: Final = "/api/v1/aic"
_ANSWER_S: Final = 10.0

Url = Annotated[
    str | None,
    typer.Option(help="Of the engine; default: AURALINK_URL, else http://127.0.0.1:8000."),
]
Token = Annotated[
    str | None,
    typer.Option(help="Token or API key; default: AURALINK_TOKEN (not in the list of processes)."),
]


@final
class Client:
    """Made by `connected`."""

    def __init__(self, session: aiohttp.ClientSession, url: str) -> None:
        self._session = session
        self.url = url

    async def ask(
        self, method: str, path: str, body: dict[str, Any] | None = None
    ) -> dict[str, Any]:
        """
        Raises:
            Refused: the engine said no.
            Unreachable: nobody answered, or not as an engine does.
        """
        try:
            async with self._session.request(method, self.url + path, json=body) as response:
                return _answer(response.status, await response.text())
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise _unreachable(self.url, error) from error

    async def events(self) -> AsyncIterator[dict[str, Any]]:
        """What happens to jobs, until the engine ends.

        Raises:
            Refused, Unreachable: as `ask`.
        """
        forever = aiohttp.ClientTimeout(total=None, sock_connect=_ANSWER_S)
        try:
            async with self._session.get(self.url + API + "/events", timeout=forever) as response:
                if response.status != 200:
                    _answer(response.status, await response.text())
                async for line in response.content:
                    if line.startswith(b"data: "):
                        yield json.loads(line.removeprefix(b"data: "))
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise _unreachable(self.url, error) from error


@asynccontextmanager
async def connected(url: str | None, token: str | None) -> AsyncIterator[Client]:
    address = (url or os.environ.get("AURALINK_URL") or "http://127.0.0.1:8000").rstrip("/")
    secret = token or os.environ.get("AURALINK_TOKEN")
    headers = {"Authorization": f"Bearer {secret}"} if secret else {}
    timeout = aiohttp.ClientTimeout(total=_ANSWER_S)
    async with aiohttp.ClientSession(headers=headers, timeout=timeout) as session:
        yield Client(session, address)


def ask(
    url: str | None, token: str | None, method: str, path: str, body: dict[str, Any] | None = None
) -> dict[str, Any]:
    """`Client.ask` for commands that ask once."""

    async def once() -> dict[str, Any]:
        async with connected(url, token) as client:
            return await client.ask(method, path, body)

    return asyncio.run(once())


def _answer(status: int, text: str) -> dict[str, Any]:
    try:
        found = json.loads(text)
    except ValueError:
        raise Unreachable(f"this is no engine: it answered {status} and no JSON") from None
    if not isinstance(found, dict):
        raise Unreachable(f"this is no engine: it answered {status} and no object")
    if status >= 400:
        refused = Refused(str(found.get("detail", f"the engine answered {status}")))
        for fault in found.get("errors") or ():
            refused.add_note(f"{fault['place']}: {fault['message']}")
        if found.get("hint"):
            refused.add_note(str(found["hint"]))
        if found.get("request_id"):
            refused.add_note(f"request id {found['request_id']}")
        raise refused
    return found


def _unreachable(url: str, error: Exception) -> Unreachable:
    why = "no answer in time" if isinstance(error, TimeoutError) else str(error)
    away = Unreachable(f"no engine at {url}: {why}")
    away.add_note("auralink serve starts one; --url or AURALINK_URL says where it is")
    return away
