"""F4, F5 and F40: what Redis answers is late, cut, refused or much at once."""

import asyncio
import contextlib
import logging
import random
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from functools import partial
from typing import Final

from auralink.bench.fault.network import proxied
from auralink.bench.fault.redis_rig import BACK_WITHIN_S, PATIENT_S, fault
from auralink.bench.fault.rig import until
from auralink.bench.fault.servers import RedisServer
from auralink.bench.fault.values import Trial, expect
from auralink.engine.stores.errors import StoreAway
from auralink.engine.stores.protocols import Limit
from auralink.engine.stores.redis.guarded import GuardedRedis, RedisSettings, open_redis
from auralink.engine.stores.redis.limiter import SharedLimiter


async def _late_answers(found: RedisServer, chance: random.Random) -> Trial:
    """Five hundred calls that are cancelled somewhere between question and answer."""
    wrong = cancelled = answered = 0
    async with open_redis(RedisSettings(url=found.url, timeout_s=PATIENT_S)) as direct:
        await direct.client.mset({f"key-{i}": f"value-{i}" for i in range(40)})
    async with proxied(found.port) as network:
        settings = RedisSettings(
            url=f"redis://127.0.0.1:{network.port}/0", timeout_s=PATIENT_S, connections=4
        )
        async with open_redis(settings) as redis:

            async def one(number: int) -> None:
                nonlocal wrong, answered
                got = await redis.call(lambda: redis.client.get(f"key-{number}"))
                answered += 1
                wrong += got != f"value-{number}"

            network.delay_s = lambda: chance.uniform(0, 0.004)
            while cancelled < 500:
                tasks = [asyncio.create_task(one(chance.randrange(40))) for _ in range(8)]
                await asyncio.sleep(chance.uniform(0, 0.008))
                for task in chance.sample(tasks, 4):
                    cancelled += task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)
    return Trial(
        wrong=expect(wrong_replies=wrong > 0, nothing_answered=answered == 0),
        figures={"calls cancelled": cancelled, "wrong replies": wrong},
    )


async def _cut(found: RedisServer, chance: random.Random) -> Trial:
    """A reply that ends at each of its bytes."""
    text = f"{chance.randrange(10**12):012}"
    wrong = 0
    async with open_redis(RedisSettings(url=found.url, timeout_s=PATIENT_S)) as direct:
        await direct.client.set("cut", text)
    for offset in range(len(f"$12\r\n{text}\r\n")):
        async with proxied(found.port) as network:
            url = f"redis://127.0.0.1:{network.port}/0"
            async with open_redis(RedisSettings(url=url, timeout_s=PATIENT_S)) as redis:
                await redis.call(redis.client.ping)
                network.cut_after = network.replied + offset
                for _ in range(2):
                    with contextlib.suppress(StoreAway):
                        wrong += await redis.call(partial(redis.client.get, "cut")) != text
                    network.cut_after = None
    return Trial(wrong=expect(wrong_replies=wrong > 0), figures={"wrong replies": wrong})


async def _refuses(found: RedisServer, chance: random.Random) -> Trial:
    """Data lost, read-only after a failover, out of memory, or another password."""
    amount = 20
    limit, key = Limit(amount=amount, per_s=600), f"user-{chance.random()}"
    heard = _Heard()
    logging.getLogger("auralink").addHandler(heard)
    try:
        async with open_redis(RedisSettings(url=found.url, timeout_s=PATIENT_S)) as redis:
            limiter = SharedLimiter(redis)
            before = [await limiter.hit(key, limit) for _ in range(30)]
            restart = await _spoil(
                found, redis, chance.choice(["lost", "read-only", "memory", "password"])
            )
            during = [await limiter.hit(key, limit) for _ in range(30)]
            await restart()
            back_s = await until(lambda: redis.status().available, 3 * BACK_WITHIN_S)
    finally:
        logging.getLogger("auralink").removeHandler(heard)
    admitted = sum(one.allowed for one in (*before, *during))
    return Trial(
        wrong=expect(
            admitted_more_than_twice_the_limit=admitted > 2 * amount,
            admitted_less_than_the_limit=admitted < amount,
            password_in_a_log="right-password" in heard.text,
            not_back_in_time=back_s is None or back_s > BACK_WITHIN_S,
        ),
        recovered_s=back_s,
        figures={"admitted of a limit of 20": admitted},
    )


async def _spoil(
    found: RedisServer, redis: GuardedRedis, how: str
) -> Callable[[], Awaitable[None]]:
    """Do it; returns what undoes it."""

    async def mend() -> None:
        _restart(found, [])

    async def nothing() -> None:
        pass

    match how:
        case "lost":
            await redis.client.flushall()
            return nothing
        case "read-only":
            await redis.client.replicaof("127.0.0.1", "1")
            return mend
        case "memory":
            await redis.client.config_set("maxmemory", "1")
            return mend
        case _:
            _restart(found, ["--requirepass", "right-password"])
            return mend


def _restart(found: RedisServer, options: Sequence[str]) -> None:
    found.kill()
    found.options = list(options)
    found.start()


class _Heard(logging.Handler):
    def __init__(self) -> None:
        super().__init__()
        self.text = ""

    def emit(self, record: logging.LogRecord) -> None:
        self.text += record.getMessage() + "\n"


async def _crowd(found: RedisServer, chance: random.Random) -> Trial:
    """Three replicas and 1,500 requests at once; in every second trial Redis is not there."""
    replicas, amount = 3, chance.randrange(30, 300)
    there = chance.random() < 0.5
    url = found.url if there else "redis://127.0.0.1:9/0"
    limit, key = Limit(amount=amount, per_s=600), f"user-{chance.random()}"
    async with AsyncExitStack() as stack:
        limiters = [
            SharedLimiter(
                await stack.enter_async_context(open_redis(RedisSettings(url=url, timeout_s=10.0))),
                replicas=replicas,
            )
            for _ in range(replicas)
        ]
        decisions = await asyncio.gather(
            *(limiters[number % replicas].hit(key, limit) for number in range(1_500))
        )
    admitted = sum(one.allowed for one in decisions)
    most = amount if there else amount + replicas
    return Trial(
        wrong=expect(
            too_many_admitted=admitted > most,
            too_few_admitted=admitted < amount - (0 if there else replicas),
        ),
        figures={"admitted above the limit": admitted - amount},
    )


FAULTS: Final = (
    fault(
        "F4",
        "500 calls cancelled between question and answer",
        "no reply is taken for that of another call",
        _late_answers,
    ),
    fault(
        "F4",
        "a reply is cut at each of its bytes",
        "an error or the value, never another value",
        _cut,
    ),
    fault(
        "F5",
        "Redis loses its data, is read-only, out of memory, or has another password",
        "at most twice the limit is admitted, no crash, no password in a log",
        _refuses,
    ),
    fault(
        "F40",
        "1,500 requests at once on three replicas, with and without Redis",
        "exactly the limit is admitted; without Redis three more at the most",
        _crowd,
    ),
)
