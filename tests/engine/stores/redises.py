"""Guarded Redis clients for tests: patient ones, unless patience is the question."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from auralink.engine.stores.redis.guarded import GuardedRedis, RedisSettings, open_redis


@asynccontextmanager
async def client(url: str, **changes: Any) -> AsyncIterator[GuardedRedis]:
    values: dict[str, Any] = {"timeout_s": 2.0}  # a busy test machine is no outage
    async with open_redis(RedisSettings(url=url, **(values | changes))) as redis:
        yield redis
