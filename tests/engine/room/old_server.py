"""A real server as an older one looks: addresses and features that are not there."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from typing import TypeAlias

import aiohttp
from aiohttp import web
from livekit.protocol import rtc

from .server import Server

Edit: TypeAlias = Callable[[bytes], bytes]


@contextlib.asynccontextmanager
async def without_new_address(server: Server) -> AsyncIterator[Server]:
    """Before 1.9.11."""
    async with _before(server, "/rtc", lambda data: data) as old:
        yield old


@contextlib.asynccontextmanager
async def without_data_tracks(server: Server) -> AsyncIterator[Server]:
    """Before 1.11, by what it says of itself; it ignores requests for data tracks, too."""
    async with _before(server, "/rtc/v1", _older) as old:
        yield old


def _older(data: bytes) -> bytes:
    response = rtc.SignalResponse.FromString(data)
    match response.WhichOneof("message"):
        case "join":
            response.join.server_info.version = "1.10.1"
        case "publish_data_track_response" | "data_track_subscriber_handles":
            raise AssertionError("an old server was asked for a data track")
    return response.SerializeToString()


@contextlib.asynccontextmanager
async def _before(server: Server, path: str, edit: Edit) -> AsyncIterator[Server]:
    """Passes signalling at one address on to the server; media goes there directly."""
    async with aiohttp.ClientSession() as http:

        async def validate(request: web.Request) -> web.Response:
            address = server.url.replace("ws", "http") + request.path_qs
            async with http.get(address, headers=_token(request)) as answer:
                return web.Response(status=answer.status, text=await answer.text())

        async def signal(request: web.Request) -> web.StreamResponse:
            try:
                there = await http.ws_connect(server.url + request.path_qs, headers=_token(request))
            except aiohttp.WSServerHandshakeError as refused:
                return web.Response(status=refused.status)
            here = web.WebSocketResponse()
            await here.prepare(request)
            ways = [
                asyncio.create_task(_pass(here, there, lambda data: data)),
                asyncio.create_task(_pass(there, here, edit)),
            ]
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
            await there.close()
            await here.close()
            await asyncio.gather(*ways)
            return here

        app = web.Application()
        app.router.add_get(path, signal)
        app.router.add_get(f"{path}/validate", validate)
        runner = web.AppRunner(app, shutdown_timeout=1.0)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        old = Server(server.path, server.folder, port=runner.addresses[0][1])
        try:
            yield old
        finally:
            await runner.cleanup()


async def _pass(
    source: web.WebSocketResponse | aiohttp.ClientWebSocketResponse,
    target: web.WebSocketResponse | aiohttp.ClientWebSocketResponse,
    edit: Edit,
) -> None:
    with contextlib.suppress(ConnectionError, aiohttp.ClientError):
        async for message in source:
            if message.type is aiohttp.WSMsgType.BINARY:
                await target.send_bytes(edit(message.data))


def _token(request: web.Request) -> dict[str, str]:
    return {"Authorization": request.headers.get("Authorization", "")}
