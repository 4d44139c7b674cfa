"""One WebSocket at a time: what it brings are events; what an old one says does not count."""

import asyncio
import contextlib
import os
import socket
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final, TypeAlias, final

import aiohttp

CONNECT_S: Final = 10.0
# Of deflate: session descriptions shrink to a quarter, which on a thin link is a freeze less.
_WINDOW_BITS: Final = 15


@dataclass(frozen=True, slots=True)
class Opened:
    generation: int


@dataclass(frozen=True, slots=True)
class Refused:
    """It could not be opened."""

    generation: int
    error: Exception


@dataclass(frozen=True, slots=True)
class Arrived:
    generation: int
    data: bytes


@dataclass(frozen=True, slots=True)
class Closed:
    """It ended, whoever closed it."""

    generation: int


SocketEvent: TypeAlias = Opened | Refused | Arrived | Closed
Explain: TypeAlias = Callable[[Exception], Awaitable[Exception]]


@final
class OneSocket:
    """
    Args:
        put: takes events; may make the reader wait, and the server behind it.
        most_bytes: of a message; the socket is closed if there is a larger one.
    """

    def __init__(
        self,
        http: aiohttp.ClientSession,
        put: Callable[[SocketEvent], Awaitable[None]],
        *,
        most_bytes: int,
    ) -> None:
        self._http = http
        self._put = put
        self._most_bytes = most_bytes
        self._generation = 0
        self._socket: aiohttp.ClientWebSocketResponse | None = None
        self._task: asyncio.Task[None] | None = None

    def is_current(self, event: SocketEvent) -> bool:
        """Whether an event is of the socket that is in use, and not of one before."""
        return event.generation == self._generation

    def open(self, url: str, token: str, explain: Explain) -> None:
        """After `close`.

        Args:
            token: goes into a header, where proxies do not log it.
            explain: finds out why it could not be opened.
        """
        self._generation += 1
        self._task = asyncio.create_task(self._serve(self._generation, url, token, explain))

    async def send(self, data: bytes) -> None:
        """Nothing if there is no socket: its end is an event, and so is a failure to write."""
        if self._socket is not None:
            with contextlib.suppress(aiohttp.ClientError, ConnectionError):
                await self._socket.send_bytes(data)

    def cut(self) -> None:
        """As a network does it, without a word to either side: for rehearsals."""
        found = None if self._socket is None else self._socket.get_extra_info("socket")
        if found is not None:
            # A second handle to the same connection: what event loops give may refuse to do it.
            with contextlib.suppress(OSError), socket.socket(fileno=os.dup(found.fileno())) as same:
                same.shutdown(socket.SHUT_RDWR)

    async def close(self) -> None:
        task, self._task = self._task, None
        open_one, self._socket = self._socket, None
        self._generation += 1
        if open_one is not None:
            await open_one.close()
        if task is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def _serve(self, generation: int, url: str, token: str, explain: Explain) -> None:
        """Life of one socket."""
        try:
            opened = await self._http.ws_connect(
                url,
                headers={"Authorization": f"Bearer {token}"},
                max_msg_size=self._most_bytes,
                compress=_WINDOW_BITS,
            )
        except (aiohttp.ClientError, OSError, TimeoutError) as failed:
            await self._put(Refused(generation, await explain(failed)))
            return
        self._socket = opened
        await self._put(Opened(generation))
        async for message in opened:
            if message.type is aiohttp.WSMsgType.BINARY:
                await self._put(Arrived(generation, message.data))
        await self._put(Closed(generation))


def open_http() -> aiohttp.ClientSession:
    """For sockets that live as long as they like once they are connected."""
    return aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_S))
