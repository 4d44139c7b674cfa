"""The socket under a `SignalSession`: opens, reads, writes and keeps time.

One task owns the session; whatever happens comes to it through one bounded queue.
"""

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final, TypeAlias, final

import aiohttp
from google.protobuf.message import DecodeError
from livekit.protocol import rtc

from auralink.engine.room import endpoints
from auralink.engine.room.errors import (
    AccessRefused,
    ConnectionFailed,
    GrantMissing,
    RoomError,
    RoomMissing,
    ServerBusy,
    ServerTooOld,
    TokenExpired,
)
from auralink.engine.room.session import SignalSession
from auralink.engine.room.signal_actions import (
    Action,
    Close,
    Ended,
    Joined,
    Lost,
    Message,
    Open,
    Resumed,
    Send,
)
from auralink.engine.websocket import (
    CONNECT_S,
    Arrived,
    Closed,
    OneSocket,
    Opened,
    Refused,
    SocketEvent,
    open_http,
)

Event: TypeAlias = Joined | Resumed | Lost | Message | Ended
Listener: TypeAlias = Callable[[Event], Awaitable[None]]

log = logging.getLogger(__name__)

MAX_MESSAGE_BYTES: Final = 2 << 20  # what the server itself accepts
_INBOX: Final = 1024  # messages; a server that sends faster than they are handled waits


@dataclass(frozen=True, slots=True)
class _Request:
    request: rtc.SignalRequest


@dataclass(frozen=True, slots=True)
class _MediaFailed:
    error: RoomError


@dataclass(frozen=True, slots=True)
class _Stop:
    pass


_Input: TypeAlias = SocketEvent | _Request | _MediaFailed | _Stop


@final
class SignalClient:
    """
    Args:
        listener: told of everything, one event at a time; must not wait for this client.
    """

    def __init__(self, server: str, token: str, listener: Listener, *, version: str) -> None:
        endpoints.check_server(server)
        self._server = server
        self._version = version
        self._listener = listener
        self._session = SignalSession(token)
        self._inbox: asyncio.Queue[_Input] = asyncio.Queue(_INBOX)
        self._http: aiohttp.ClientSession | None = None
        self._socket: OneSocket | None = None
        self._old = False  # the server speaks signal protocol 0 only
        self._random = random.Random()

    @property
    def session(self) -> SignalSession:
        """For its state and counts."""
        return self._session

    @property
    def old(self) -> bool:
        """Whether this is signal protocol 0, with two peer connections."""
        return self._old

    def send(self, request: rtc.SignalRequest) -> None:
        """
        Raises:
            ConnectionFailed: more requests are waiting than the server takes.
        """
        try:
            self._inbox.put_nowait(_Request(request))
        except asyncio.QueueFull:
            raise ConnectionFailed("the signal connection does not take requests") from None

    async def send_first(self, request: rtc.SignalRequest) -> None:
        """For the listener, on `Resumed`: ahead of all requests that waited for the socket."""
        await self._write(request)

    def media_failed(self, error: RoomError) -> None:
        """The peer connection is beyond repair: join anew."""
        self._put_or_drop(_MediaFailed(error))

    def cut(self) -> None:
        """Lose the connection as a network does it: for rehearsals."""
        if self._socket is not None:
            self._socket.cut()

    def stop(self) -> None:
        self._put_or_drop(_Stop())

    async def run(self) -> None:
        """Stay in the room until it ends; the listener hears why.  Cancelling leaves at once."""
        loop = asyncio.get_running_loop()
        async with open_http() as self._http:
            self._socket = OneSocket(self._http, self._inbox.put, most_bytes=MAX_MESSAGE_BYTES)
            try:
                await self._do(self._session.start(loop.time()))
                while self._session.next_at is not None:
                    await self._step(loop.time)
            finally:
                await self._socket.close()

    async def _step(self, clock: Callable[[], float]) -> None:
        assert self._session.next_at is not None
        wait_s = max(0.0, self._session.next_at - clock())
        try:
            async with asyncio.timeout(wait_s):
                given = await self._inbox.get()
        except TimeoutError:
            await self._do(self._session.tick(clock(), self._random.random()))
            return
        await self._take(given, clock())

    async def _take(self, given: _Input, now: float) -> None:
        session, chance = self._session, self._random.random()
        assert self._socket is not None
        match given:
            case _Request(request):
                await self._do(session.request(request))
            case _MediaFailed(error):
                await self._do(session.media_failed(now, error, chance))
            case _Stop():
                await self._do(session.stop())
            case _ if not self._socket.is_current(given):
                pass
            case Opened():
                pass  # the server speaks first
            case Refused(error=ServerTooOld()) if not self._old:
                # For good: a server does not become new while this client lives.
                self._old, session.resumable = True, False
                await self._do(session.start(now))
            case Refused(error=error):
                assert isinstance(error, RoomError)
                await self._do(session.refused(now, error, chance))
            case Arrived(data=data):
                await self._do(session.message(now, _parse(data), chance))
            case Closed():
                await self._do(session.closed(now, chance))

    async def _do(self, actions: list[Action]) -> None:
        for action in actions:
            match action:
                case Open(token, resume_sid):
                    self._open(token, resume_sid)
                case Close():
                    assert self._socket is not None
                    await self._socket.close()
                case Send(request):
                    await self._write(request)
                case _:
                    await self._listener(action)

    async def _write(self, request: rtc.SignalRequest) -> None:
        if self._socket is not None:
            await self._socket.send(request.SerializeToString())

    def _open(self, token: str, resume_sid: str | None) -> None:
        assert self._socket is not None
        if self._old:
            url = endpoints.old_signal_url(self._server, version=self._version)
            validate = endpoints.old_validate_url(self._server)
        else:
            request = endpoints.join_request(version=self._version, resume_sid=resume_sid)
            url = endpoints.signal_url(self._server, request)
            validate = endpoints.validate_url(self._server, request)

        async def why(failed: Exception) -> RoomError:
            error = await self._why(failed, token, validate)
            log.warning("no way into the room: %s", error)
            return error

        self._socket.open(url, token, why)

    async def _why(self, failed: Exception, token: str, validate: str) -> RoomError:
        """Ask the validate address what a failed upgrade meant."""
        if not isinstance(failed, aiohttp.WSServerHandshakeError):
            kind = type(failed).__name__
            return ConnectionFailed(f"cannot reach {self._server}: {kind}")
        assert self._http is not None
        try:
            async with self._http.get(
                validate,
                headers={"Authorization": f"Bearer {token}"},
                timeout=aiohttp.ClientTimeout(total=CONNECT_S),
            ) as answer:
                body = (await answer.content.read(4096)).decode(errors="replace")
                return classify(answer.status, body)
        except (aiohttp.ClientError, OSError, TimeoutError):
            return ConnectionFailed(f"{self._server} refused the connection and does not say why")

    def _put_or_drop(self, given: _Input) -> None:
        # A full inbox means that the loop is behind: making room beats losing the order to stop.
        if self._inbox.full():
            self._inbox.get_nowait()
        self._inbox.put_nowait(given)


def classify(status: int, body: str) -> RoomError:
    """What an HTTP answer to a join means.  The body may hold the token: never quote it."""
    match status:
        case 200:
            return ConnectionFailed("the server accepts the token but not the connection")
        case 401 | 403 if "expired" in body:
            return TokenExpired(f"the server refused the token ({status}): it has expired")
        case 401 | 403 if "permission" in body:
            return GrantMissing(f"the server refused the token ({status}): no roomJoin in it")
        case 401 | 403:
            return AccessRefused(
                f"the server refused the token ({status}): wrong key or secret, or no token at all"
            )
        case 404 if "room" in body and "not exist" in body:
            return RoomMissing("the room does not exist and the server does not create it")
        case 404:
            return ServerTooOld("the server has neither /rtc/v1 nor /rtc: is it a LiveKit server?")
        case 400:
            return AccessRefused("the server refused the join request (400): identity or room")
        case _:
            return ServerBusy(f"the server answered {status}")


def _parse(data: bytes) -> rtc.SignalResponse:
    try:
        return rtc.SignalResponse.FromString(data)
    except DecodeError:
        return rtc.SignalResponse()  # counted by the session as unknown
