"""A signal server for the faults that a real one cannot be made to show.

The mode of a connection is chosen by the token's attribute ``lk.mock``, a JSON object with the
names that LiveKit's own test server uses, so that it can be swapped in: ``{"signal": MODE,
"leaveAction": 0..2, "leaveReason": N}``; the reason, and the modes with a comment, are ours.
Offers are answered by an aiortc peer, so that a participant gets connected.
"""

import asyncio
import base64
import contextlib
import enum
import gzip
import json
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any

import aiohttp
import jwt
from aiohttp import web
from aiortc import RTCPeerConnection, RTCSessionDescription
from livekit import api
from livekit.protocol import models, rtc

from .server import KEY, SECRET


class Mode(enum.StrEnum):
    HAPPY = "happy"
    VALIDATE_500 = "validate_500"
    VALIDATE_SERVICE_NOT_FOUND = "validate_service_not_found"
    ROOM_NOT_FOUND = "room_not_found"
    NO_FIRST_MESSAGE = "no_first_message"
    NO_PONG = "no_pong"
    CLOSE_BEFORE_JOIN = "close_before_join"
    CLOSE_WHEN_CONNECTED = "close_when_connected"
    DROP_WHEN_CONNECTED = "drop_when_connected"
    LEAVE_WHEN_CONNECTED = "leave_when_connected"
    LEAVE_FIRST_MESSAGE = "leave_first_message"
    LEAVE_DURING_RECONNECT = "leave_during_reconnect"
    NONSENSE = "nonsense"  # bytes that are no message, kinds that nobody knows, then as happy
    TCP_ONLY = "tcp_only"  # no address for media but TCP ones


@dataclass
class Visit:
    """One socket of a participant."""

    token: str
    resume_sid: str  # empty: a new participant
    at: float
    sid: str = ""
    requests: list[rtc.SignalRequest] = field(default_factory=list)
    socket: web.WebSocketResponse | None = None

    @property
    def kinds(self) -> list[str]:
        return [request.WhichOneof("message") or "?" for request in self.requests]

    async def say(self, response: rtc.SignalResponse) -> None:
        assert self.socket is not None
        await self.socket.send_bytes(response.SerializeToString())


@dataclass
class FakeServer:
    """
    Args:
        ping_s, silence_s: what clients are told.
        connected_s: how long a connection is let be before the "when connected" faults.
        faults: how many connections are treated so; the others are happy.
    """

    ping_s: int = 1
    silence_s: int = 2
    connected_s: float = 0.2
    faults: int = 1000
    visits: list[Visit] = field(default_factory=list)
    validations: int = 0
    others: list[models.ParticipantInfo] = field(default_factory=list)
    fresh_token: str = ""
    port: int = 0
    _peers: dict[str, RTCPeerConnection] = field(default_factory=dict)  # by participant
    _tasks: list[asyncio.Task[None]] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"ws://127.0.0.1:{self.port}"

    @property
    def open_sockets(self) -> int:
        return sum(v.socket is not None and not v.socket.closed for v in self.visits)

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator["FakeServer"]:
        app = web.Application()
        app.router.add_get("/rtc/v1", self._signal)
        app.router.add_get("/rtc/v1/validate", self._validate)
        runner = web.AppRunner(app, shutdown_timeout=1.0)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        self.port = runner.addresses[0][1]
        try:
            yield self
        finally:
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)
            for peer in self._peers.values():
                await peer.close()
            await runner.cleanup()

    # -- HTTP ------------------------------------------------------------------------------------

    async def _validate(self, request: web.Request) -> web.Response:
        self.validations += 1
        return _refusal(request) or web.Response(text="success")

    async def _signal(self, request: web.Request) -> web.StreamResponse:
        refused = _refusal(request)
        if refused is not None:
            return refused
        token = _token(request)
        mode, control = _control(token)
        visit = Visit(token, _resume_sid(request), time.monotonic())
        self.visits.append(visit)
        if len(self.visits) > self.faults:
            mode = Mode.HAPPY
        socket = visit.socket = web.WebSocketResponse()
        await socket.prepare(request)
        with contextlib.suppress(ConnectionError):
            await self._serve(visit, mode, control)
        return socket

    # -- one socket --------------------------------------------------------------------------------

    async def _serve(self, visit: Visit, mode: Mode, control: dict[str, int]) -> None:
        leave = rtc.SignalResponse(
            leave=rtc.LeaveRequest(
                reason=control.get("leaveReason", models.DisconnectReason.SERVER_SHUTDOWN),
                action=control.get("leaveAction", 0),
            )
        )
        assert visit.socket is not None
        match mode:
            case Mode.NO_FIRST_MESSAGE:
                return await self._read(visit, mode)
            case Mode.CLOSE_BEFORE_JOIN:
                await asyncio.sleep(0.05)
                await visit.socket.close(code=1011)
                return None
            case Mode.LEAVE_FIRST_MESSAGE:
                await visit.say(leave)
                return await self._read(visit, mode)
            case Mode.LEAVE_DURING_RECONNECT if visit.resume_sid:
                await visit.say(leave)
                return await self._read(visit, mode)
        await self._greet(visit)
        match mode:
            case Mode.NONSENSE:
                await visit.socket.send_bytes(b"\xff\xfe\x00nonsense")
                await visit.socket.send_bytes(b"\xfa\x7f\x02hi")  # field 2047
                await visit.socket.send_str("text")
            case Mode.CLOSE_WHEN_CONNECTED:
                self._later(lambda socket=visit.socket: socket.close(code=1011))
            case Mode.DROP_WHEN_CONNECTED:
                self._later(lambda socket=visit.socket: _drop(socket))
            case Mode.LEAVE_WHEN_CONNECTED:
                self._later(lambda: visit.say(leave))
        return await self._read(visit, mode)

    async def _greet(self, visit: Visit) -> None:
        claims = jwt.decode(visit.token, options={"verify_signature": False})
        own = models.ParticipantInfo(identity=claims["sub"])
        visit.sid = own.sid = visit.resume_sid or f"PA_{len(self.visits)}"
        if visit.resume_sid:
            await visit.say(rtc.SignalResponse(reconnect=rtc.ReconnectResponse()))
            people = rtc.ParticipantUpdate(participants=[*self.others, own])
            await visit.say(rtc.SignalResponse(update=people))
            return
        join = rtc.JoinResponse(
            room=models.Room(sid="RM_1", name=claims["video"]["room"]),
            participant=own,
            other_participants=self.others,
            ping_interval=self.ping_s,
            ping_timeout=self.silence_s,
        )
        await visit.say(rtc.SignalResponse(join=join))
        if self.fresh_token:
            await visit.say(rtc.SignalResponse(refresh_token=self.fresh_token))

    def _later(self, work: Callable[[], Coroutine[Any, Any, object]]) -> None:
        async def do() -> None:
            await asyncio.sleep(self.connected_s)
            with contextlib.suppress(ConnectionError):
                await work()

        self._tasks.append(asyncio.create_task(do()))

    async def _read(self, visit: Visit, mode: Mode) -> None:
        assert visit.socket is not None
        async for message in visit.socket:
            if message.type is not aiohttp.WSMsgType.BINARY:
                continue
            request = rtc.SignalRequest.FromString(message.data)
            visit.requests.append(request)
            match request.WhichOneof("message"):
                case "ping_req" if mode is not Mode.NO_PONG:
                    pong = rtc.Pong(last_ping_timestamp=request.ping_req.timestamp)
                    await visit.say(rtc.SignalResponse(pong_resp=pong))
                case "offer":
                    await self._answer(visit, request.offer, mode)
                case "leave":
                    await visit.socket.close()

    async def _answer(self, visit: Visit, offer: rtc.SessionDescription, mode: Mode) -> None:
        peer = self._peers.setdefault(visit.sid, RTCPeerConnection())
        await peer.setRemoteDescription(RTCSessionDescription(offer.sdp, "offer"))
        await peer.setLocalDescription(await peer.createAnswer())
        sdp = peer.localDescription.sdp
        if mode is Mode.TCP_ONLY:
            sdp = "".join(
                line.replace(" udp ", " tcp ") if line.startswith("a=candidate") else line
                for line in sdp.splitlines(keepends=True)
            )
        answer = rtc.SessionDescription(type="answer", sdp=sdp, id=offer.id)
        await visit.say(rtc.SignalResponse(answer=answer))


def mock_token(
    mode: Mode,
    *,
    identity: str = "bot",
    action: int | None = None,
    reason: int | None = None,
    secret: str = SECRET,
) -> str:
    control: dict[str, object] = {"signal": mode.value}
    if action is not None:
        control["leaveAction"] = action
    if reason is not None:
        control["leaveReason"] = reason
    signed = (
        api.AccessToken(KEY, secret)
        .with_identity(identity)
        .with_grants(api.VideoGrants(room_join=True, room="room"))
        .with_attributes({"lk.mock": json.dumps(control)})
    )
    jwt_text: str = signed.to_jwt()
    return jwt_text


def _token(request: web.Request) -> str:
    return request.headers.get("Authorization", "").removeprefix("Bearer ")


def _control(token: str) -> tuple[Mode, dict[str, int]]:
    claims = jwt.decode(token, options={"verify_signature": False})
    control = json.loads(claims.get("attributes", {}).get("lk.mock", "{}"))
    return Mode(control.get("signal", "happy")), control


def _refusal(request: web.Request) -> web.Response | None:
    token = _token(request)
    try:
        jwt.decode(token, SECRET, algorithms=["HS256"])
    except jwt.InvalidTokenError as wrong:
        # As the real one: the body quotes the token.
        return web.Response(status=401, text=f"invalid token: {token}, error: {wrong}")
    match _control(token)[0]:
        case Mode.VALIDATE_500:
            return web.Response(status=500, text="internal server error")
        case Mode.VALIDATE_SERVICE_NOT_FOUND:
            return web.Response(status=404, text="404 page not found")
        case Mode.ROOM_NOT_FOUND:
            return web.Response(status=404, text="requested room does not exist")
        case _:
            return None


def _resume_sid(request: web.Request) -> str:
    wrapped = rtc.WrappedJoinRequest.FromString(
        base64.urlsafe_b64decode(request.query["join_request"])
    )
    join = rtc.JoinRequest.FromString(gzip.decompress(wrapped.join_request))
    return join.participant_sid if join.reconnect else ""


async def _drop(socket: web.WebSocketResponse) -> None:
    """As a network would: no closing handshake."""
    request = socket._req
    assert request is not None
    assert request.transport is not None
    request.transport.abort()
