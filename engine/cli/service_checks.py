"""What the service stands on, as far as it is set up: settings, ports, LiveKit, database, Redis."""

import asyncio
from collections.abc import Awaitable
from pathlib import Path
from typing import Final

import aiohttp

from auralink.codecs.errors import AuraLinkError
from auralink.engine.cli.fact import Fact
from auralink.engine.cli.settings import settings
from auralink.engine.service.errors import ConfigError, StartError
from auralink.engine.service.settings.load import DEFAULT, Loaded
from auralink.engine.service.settings.tree import LiveKit

_LIMIT_S: Final = 3.0


def service_facts(config: Path | None, secrets: Path | None) -> list[Fact]:
    """Nothing is said of what was not set up: then the engine serves without it."""
    try:
        loaded = settings(config, secrets, whole=False)
    except ConfigError as error:
        return [Fact(name="settings", ok=False, value=str(error))]
    return [_settings(config, secrets), *asyncio.run(_all(loaded))]


def _settings(config: Path | None, secrets: Path | None) -> Fact:
    try:
        settings(config, secrets)
    except ConfigError as error:
        return Fact(name="settings", ok=False, value=f"serve will refuse: {error}", needed=False)
    return Fact(name="settings", ok=True, value="good")


async def _all(loaded: Loaded) -> list[Fact]:
    given = loaded.settings
    checks: list[Awaitable[Fact]] = []
    for name, server in (("livekit", given.livekit), ("livekit_to", given.livekit_to)):
        if server.url:
            checks.append(_named(name, _livekit(server)))
    if loaded.origins["database.url"] != DEFAULT:
        checks.append(_named("database", _database(given.database.url.get_secret_value())))
    if given.redis.url is not None:
        checks.append(_named("redis", _redis(given.redis.url.get_secret_value())))
    ports = [_port(given.http.host, given.http.port, "HTTP")]
    if given.grpc.enabled:
        ports.append(_port(given.grpc.host, given.grpc.port, "gRPC"))
    return [*ports, *await asyncio.gather(*checks)]


async def _named(name: str, check: Awaitable[str]) -> Fact:
    try:
        async with asyncio.timeout(_LIMIT_S):
            return Fact(name=name, ok=True, value=await check)
    except TimeoutError:
        return Fact(name=name, ok=False, value=f"no answer within {_LIMIT_S:.0f} s")
    except (AuraLinkError, aiohttp.ClientError, OSError) as error:
        return Fact(name=name, ok=False, value=str(error))


async def _livekit(server: LiveKit) -> str:
    """The server's key and secret are tried too: a list of rooms is asked for."""
    from livekit import api

    secret = server.api_secret.get_secret_value()
    async with api.LiveKitAPI(server.url, server.api_key, secret) as client:
        try:
            rooms = await client.room.list_rooms(api.ListRoomsRequest())
        except api.TwirpError as error:
            raise StartError(f"the server refused: {error.code}") from None
    return f"answers at {server.url}; {len(rooms.rooms)} rooms"


async def _database(url: str) -> str:
    from auralink.engine.stores.database.connection import Database
    from auralink.engine.stores.database.migrate import check, head

    database = Database(url, operation_s=_LIMIT_S)
    try:
        async with database.reading() as connection:
            await check(connection)
    finally:
        await database.close()
    return f"{database.backend} at {head()}"


async def _redis(url: str) -> str:
    from auralink.engine.stores.redis.guarded import RedisSettings, open_redis

    async with open_redis(RedisSettings(url=url, timeout_s=1.0)) as redis:
        await redis.call(redis.client.ping)
    return "answers"


def _port(host: str, port: int, what: str) -> Fact:
    from auralink.engine.service.http.server import bind

    try:
        bind(host, port).close()
    except StartError as error:
        return Fact(name=f"port {port}", ok=False, value=str(error), needed=False)
    return Fact(name=f"port {port}", ok=True, value=f"free, for {what}")
