"""One limit for all replicas, counted in Redis; each counts its share while Redis is away."""

import hashlib
import time
from collections.abc import Callable
from typing import Final, final

from limits import RateLimitItemPerSecond
from limits.aio.storage import RedisStorage
from limits.aio.strategies import SlidingWindowCounterRateLimiter

from auralink.engine.stores.errors import StoreAway
from auralink.engine.stores.local_window import LocalWindows
from auralink.engine.stores.protocols import Decision, Limit
from auralink.engine.stores.redis.guarded import GuardedRedis, RedisStatus

_LONGEST_KEY: Final = 128  # characters; a client may choose its name


@final
class SharedLimiter:
    """`RateLimiter`.

    Args:
        redis: None: there is none, this is the only replica, and its count is everybody's.
        replicas: among which the limit is divided while Redis is away.
        clock: seconds, monotonic.
    """

    def __init__(
        self,
        redis: GuardedRedis | None,
        *,
        replicas: int = 1,
        clock: Callable[[], float] = time.monotonic,
        local: LocalWindows | None = None,
    ) -> None:
        if replicas < 1:
            raise ValueError(f"there is at least one replica, got {replicas}")
        self._redis = redis
        self._replicas = replicas
        self._clock = clock
        self._local = local or LocalWindows()
        self._shared = None if redis is None else _strategy(redis)

    @property
    def redis_status(self) -> RedisStatus | None:
        """``None``: there is no Redis."""
        return None if self._redis is None else self._redis.status()

    async def hit(self, key: str, limit: Limit) -> Decision:
        name = _bounded(key)
        if self._redis is None or self._shared is None:
            return self._local.hit(name, limit, self._clock(), shared=True)
        shared = self._shared

        async def ask() -> Decision:
            return await _hit(shared, name, limit)

        try:
            return await self._redis.call(ask)
        except StoreAway:
            share = Limit(amount=max(1, limit.amount // self._replicas), per_s=limit.per_s)
            return self._local.hit(name, share, self._clock(), shared=False)


async def _hit(strategy: SlidingWindowCounterRateLimiter, key: str, limit: Limit) -> Decision:
    item = RateLimitItemPerSecond(limit.amount, limit.per_s)
    allowed = await strategy.hit(item, key)
    # The windows are those of Redis's clock; only the difference is taken of ours.
    now = time.time()
    stats = await strategy.get_window_stats(item, key)
    return Decision(
        allowed=allowed,
        limit=limit.amount,
        remaining=max(0, stats.remaining),
        retry_after_s=0.0 if allowed else max(0.0, stats.reset_time - now),
        shared=True,
    )


def _strategy(redis: GuardedRedis) -> SlidingWindowCounterRateLimiter:
    storage = RedisStorage(
        "async+redis://",
        implementation="redispy",
        key_prefix="auralink:limit",
        connection_pool=redis.pool,  # type: ignore[arg-type]  # its annotation knows plain options
    )
    return SlidingWindowCounterRateLimiter(storage)


def _bounded(key: str) -> str:
    if len(key) <= _LONGEST_KEY:
        return key
    return "sha256:" + hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()
