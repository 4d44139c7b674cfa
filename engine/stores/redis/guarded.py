"""One Redis behind short deadlines and a breaker: a call is answered, or refused, soon.

While the breaker is open no call reaches the network; PINGs of a task in the background find out
when Redis is back.  Nothing here is on the path of a frame.
"""

import asyncio
import logging
import random
import socket
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Final, TypeVar, final
from urllib.parse import urlsplit

from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import AuthenticationError, RedisError

from auralink.codecs.errors import InputError
from auralink.engine.inference.breaker import (
    Breaker,
    BreakerStatistics,
    Event,
    State,
    Transition,
    Verdict,
)
from auralink.engine.inference.breaker_config import BreakerConfig
from auralink.engine.stores.errors import StoreAway
from auralink.engine.stores.redis.cancellation import cancellation_kept
from auralink.engine.tasks import spawn

T = TypeVar("T")
log = logging.getLogger(__name__)

# Opens after four failures in a row, whatever came before; a restart is noticed within 4 s.
BREAKER: Final = BreakerConfig(
    window_calls=8,
    least_calls=4,
    open_us=500_000,
    open_most_us=3_000_000,
    probes=1,
    half_open_us=500_000,
)
_SLOW_SHARE: Final = 0.8  # of the deadline


@dataclass(frozen=True, slots=True, kw_only=True)
class RedisSettings:
    """
    Attributes:
        url: ``redis://[user:password@]host:port/db``, ``rediss://`` or ``unix://``; it may hold a
            password, so this value stays out of logs.
        timeout_s: to connect, and again for the answer.
        connections: at once.  A further call waits for its turn, which is no fault of Redis and so
            not part of its deadline; when Redis does not answer, all of them are refused soon.
    """

    url: str = field(repr=False)
    timeout_s: float = 0.05
    connections: int = 16
    breaker: BreakerConfig = BREAKER


@dataclass(frozen=True, slots=True, kw_only=True)
class RedisStatus:
    """How Redis is, from memory."""

    breaker: BreakerStatistics
    last_error: str | None

    @property
    def available(self) -> bool:
        return self.breaker.state is State.CLOSED


@final
class GuardedRedis:
    """Made by `open_redis`.

    A connection on which a call was cancelled or came late is closed, never used again: its answer
    may still come, and would be taken for that of the next call (redis-py #2624).  The client does
    so by itself; a test holds it to that.
    """

    def __init__(self, settings: RedisSettings) -> None:
        timeout_s = settings.timeout_s
        try:
            self.pool = BlockingConnectionPool.from_url(
                settings.url,
                max_connections=settings.connections + 1,  # and one for probes
                timeout=timeout_s,
                socket_timeout=timeout_s,
                socket_connect_timeout=timeout_s,
                decode_responses=True,
                protocol=2,
                driver_info=None,  # it would be two more questions per connection
                retry=Retry(NoBackoff(), 0),  # the breaker decides about another try
            )
        except ValueError as error:
            refused = InputError("the Redis address is not a URL")
            refused.add_note("redis://user:password@host:6379/0")
            raise refused from error
        self.client: Redis = Redis(connection_pool=self.pool)
        self._server = _address(settings.url)
        self._deadline_s = 2 * timeout_s
        self._slow_us = round(_SLOW_SHARE * timeout_s * 1e6)
        self._slots = asyncio.Semaphore(settings.connections)
        self._opened = asyncio.Event()
        self._last_error: str | None = None
        self._breaker = Breaker(settings.breaker, rng=random.Random(), told=self._told)

    async def call(self, ask: Callable[[], Awaitable[T]]) -> T:
        """Await ``ask()``, which uses `client` or `pool`.

        Raises:
            StoreAway: no answer in time, an error, or not tried at all.
        """
        async with self._slots:
            return await self._call(ask)

    async def _call(self, ask: Callable[[], Awaitable[T]]) -> T:
        leave = self._breaker.admit(_now_us())
        if leave is None:
            raise StoreAway("Redis is away", retry_after_s=self._retry_after_s())
        began_us = _now_us()
        verdict = Verdict.ABANDONED
        try:
            with cancellation_kept():
                async with asyncio.timeout(self._deadline_s):
                    result = await ask()
            slow = _now_us() - began_us > self._slow_us
            verdict = Verdict.SLOW if slow else Verdict.GOOD
        except (RedisError, OSError) as error:  # TimeoutError is one of the latter
            verdict = Verdict.FAILED
            self._last_error = _in_words(error)
            raise StoreAway(f"Redis is away: {self._last_error}") from error
        finally:
            self._breaker.record(leave, verdict, _now_us())
        return result

    def status(self) -> RedisStatus:
        return RedisStatus(breaker=self._breaker.statistics(_now_us()), last_error=self._last_error)

    async def watch(self) -> None:
        """Probe while the breaker is open, until cancelled."""
        while True:
            await self._opened.wait()
            self._opened.clear()
            # What is in the pool was opened to a server that is gone, or holds late answers.
            with cancellation_kept():
                await self.pool.disconnect(inuse_connections=False)
            while (due_us := self._breaker.due_us) is not None:
                await asyncio.sleep(max(0.0, (due_us - _now_us()) / 1e6))
                await self._probe()

    async def _probe(self) -> None:
        permit = self._breaker.probe(_now_us())
        if permit is None:
            return
        verdict = Verdict.ABANDONED
        try:
            with cancellation_kept():
                async with asyncio.timeout(self._deadline_s):
                    await self.client.ping()
            verdict = Verdict.GOOD
        except (RedisError, OSError) as error:
            verdict = Verdict.FAILED
            self._last_error = _in_words(error)
        finally:
            self._breaker.record_probe(permit, verdict, _now_us())

    def _told(self, transition: Transition) -> None:
        if transition.event is Event.TRIPPED:
            why = self._last_error
            log.warning("Redis is away at %s, going on without it: %s", self._server, why)
        elif transition.after is State.CLOSED:
            log.info("Redis is back")
        if transition.after is State.OPEN:
            self._opened.set()

    def _retry_after_s(self) -> float:
        due_us = self._breaker.due_us
        return 1.0 if due_us is None else max(0.0, (due_us - _now_us()) / 1e6)


@asynccontextmanager
async def open_redis(settings: RedisSettings) -> AsyncIterator[GuardedRedis]:
    """Connects when first asked; Redis need not be there.

    Raises:
        InputError: the address is unusable.
    """
    redis = GuardedRedis(settings)
    watching = spawn(redis.watch(), "watching Redis", lambda error: None)
    try:
        yield redis
    finally:
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)
        await redis.client.aclose()
        await redis.pool.disconnect()


def _now_us() -> int:
    return time.monotonic_ns() // 1000


def _in_words(error: BaseException) -> str:
    """Without the message where it may hold what was sent."""
    if isinstance(error, AuthenticationError):
        return "it refuses the user or password"
    causes = (error, error.__cause__, error.__context__)
    if any(isinstance(one, socket.gaierror) for one in causes):
        return "its name cannot be looked up"
    return type(error).__name__


def _address(url: str) -> str:
    """Where it is, without user and password."""
    parts = urlsplit(url)
    return parts.path if parts.hostname is None else parts.netloc.rpartition("@")[2]
