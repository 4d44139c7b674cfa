"""A real server as one before 1.9.11 looks: the newer address is not there."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

import aiohttp
from aiohttp import web

from .server import Server


@contextlib.asynccontextmanager
async def without_new_address(server: Server) -> AsyncIterator[Server]:
    """Passes signalling on to the server; media goes there directly."""
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
                asyncio.create_task(_pass(here, there)),
                asyncio.create_task(_pass(there, here)),
            ]
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
            await there.close()
            await here.close()
            await asyncio.gather(*ways)
            return here

        app = web.Application()
        app.router.add_get("/rtc", signal)
        app.router.add_get("/rtc/validate", validate)
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
) -> None:
    with contextlib.suppress(ConnectionError, aiohttp.ClientError):
        async for message in source:
            if message.type is aiohttp.WSMsgType.BINARY:
                await target.send_bytes(message.data)


def _token(request: web.Request) -> dict[str, str]:
    return {"Authorization": request.headers.get("Authorization", "")}
