"""F1 to F3: a Redis that dies, freezes or lags; and the family of all its faults.

What is asked of it are limits, as the control plane does for each request, and leases.  No frame
waits for Redis, so what is measured is how long a *request* was held up.
"""

import asyncio
import random
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final

from auralink.bench.fault import redis_answers, redis_jobs
from auralink.bench.fault.network import proxied
from auralink.bench.fault.redis_rig import BACK_WITHIN_S, fault
from auralink.bench.fault.rig import until
from auralink.bench.fault.servers import RedisServer
from auralink.bench.fault.values import Trial, expect
from auralink.engine.inference.breaker import State
from auralink.engine.stores.errors import StoreAway
from auralink.engine.stores.protocols import Decision, Limit
from auralink.engine.stores.redis.guarded import GuardedRedis, RedisSettings, open_redis
from auralink.engine.stores.redis.limiter import SharedLimiter

_OPEN_WITHIN_S: Final = 1.0
_PERIOD_S: Final = 0.01  # a hundred requests a second
_OUTAGE_S: Final = 0.5
_NEVER: Final = Limit(amount=10**9, per_s=60)


@dataclass(slots=True)
class _Requests:
    """A hundred a second, each counted against a limit."""

    limiter: SharedLimiter
    decisions: list[tuple[float, float, Decision]] = field(default_factory=list)  # at, took
    errors: list[BaseException] = field(default_factory=list)

    async def run(self) -> None:
        while True:
            began = time.monotonic()
            try:
                decision = await self.limiter.hit("somebody", _NEVER)
            except StoreAway as error:
                self.errors.append(error)
            else:
                self.decisions.append((began, time.monotonic() - began, decision))
            await asyncio.sleep(_PERIOD_S)

    def slowest_ms(self, since: float) -> float:
        return 1e3 * max((took for at, took, _ in self.decisions if at >= since), default=0.0)

    def shared_since(self, since: float) -> bool:
        return any(one.shared for at, _, one in self.decisions if at >= since)


@asynccontextmanager
async def _requests(url: str, **changes: Any) -> AsyncIterator[tuple[_Requests, GuardedRedis]]:
    async with open_redis(RedisSettings(url=url, **changes)) as redis:
        requests = _Requests(SharedLimiter(redis, replicas=3))
        sending = asyncio.create_task(requests.run())
        try:
            await until(lambda: requests.shared_since(0), 10.0)
            yield requests, redis
        finally:
            sending.cancel()
            await asyncio.gather(sending, return_exceptions=True)


async def _outage(
    found: RedisServer,
    chance: random.Random,
    *,
    begin: Callable[[RedisServer], None],
    end: Callable[[RedisServer], None],
) -> Trial:
    async with _requests(found.url) as (requests, redis):
        await asyncio.sleep(chance.random() * 0.1)
        struck = time.monotonic()
        await asyncio.to_thread(begin, found)
        opened_s = await until(lambda: redis.status().breaker.state is not State.CLOSED, 5.0)
        await asyncio.sleep(_OUTAGE_S)
        slowest_ms = requests.slowest_ms(struck)
        end(found)  # in this thread: a server ends with the thread that started it
        mended = time.monotonic()
        back_s = await until(lambda: requests.shared_since(mended), 3 * BACK_WITHIN_S)
    return Trial(
        wrong=expect(
            breaker_not_open_in_time=opened_s is None or opened_s > _OPEN_WITHIN_S,
            a_request_failed=bool(requests.errors),
            not_back_in_time=back_s is None or back_s > BACK_WITHIN_S,
        ),
        recovered_s=back_s,
        figures={
            "breaker open after, ms": 1e3 * (opened_s or 0.0),
            "slowest request, ms": slowest_ms,
        },
    )


async def _slow(found: RedisServer, chance: random.Random) -> Trial:
    async with (
        proxied(found.port) as network,
        _requests(f"redis://127.0.0.1:{network.port}/0") as (requests, redis),
    ):
        struck = time.monotonic()
        network.delay_s = lambda: chance.uniform(0.05, 0.5)
        opened_s = await until(lambda: redis.status().breaker.state is not State.CLOSED, 5.0)
        await asyncio.sleep(_OUTAGE_S)
        slowest_ms = requests.slowest_ms(struck)
        network.delay_s = lambda: 0.0
        mended = time.monotonic()
        back_s = await until(lambda: requests.shared_since(mended), 3 * BACK_WITHIN_S)
    return Trial(
        wrong=expect(
            breaker_not_open_in_time=opened_s is None or opened_s > _OPEN_WITHIN_S,
            a_request_failed=bool(requests.errors),
            not_back_in_time=back_s is None or back_s > BACK_WITHIN_S,
        ),
        recovered_s=back_s,
        figures={
            "breaker open after, ms": 1e3 * (opened_s or 0.0),
            "slowest request, ms": slowest_ms,
        },
    )


def _killed(found: RedisServer) -> None:
    found.kill()


FAULTS: Final = (
    fault(
        "F1",
        "Redis is killed and started again",
        "breaker open within 1 s, no request fails, shared again within 5 s without our restart",
        partial(_outage, begin=_killed, end=lambda found: found.start()),
    ),
    fault(
        "F2",
        "Redis is frozen (SIGSTOP)",
        "as F1; each request is held up for 100 ms at the most, and what the machine adds",
        partial(_outage, begin=lambda found: found.freeze(), end=lambda found: found.thaw()),
    ),
    fault("F3", "Redis answers 50 to 500 ms late", "as F1", _slow),
    *redis_answers.FAULTS,
    *redis_jobs.FAULTS,
)
