"""One limit for several replicas, on a real Redis."""

import asyncio
import uuid
from contextlib import AsyncExitStack

import pytest

from auralink.bench.fault.network import proxied
from auralink.engine.stores.protocols import Limit
from auralink.engine.stores.redis.limiter import SharedLimiter

from .redises import client
from .servers import RedisServer


@pytest.fixture
def key() -> str:
    return f"user-{uuid.uuid4().hex}"


async def test_three_replicas_admit_exactly_the_amount(shared_redis: RedisServer, key: str) -> None:
    limit = Limit(amount=50, per_s=600)
    async with AsyncExitStack() as stack:
        replicas = [
            SharedLimiter(await stack.enter_async_context(client(shared_redis.url)), replicas=3)
            for _ in range(3)
        ]

        decisions = await asyncio.gather(*(replicas[i % 3].hit(key, limit) for i in range(1_500)))

    assert sum(one.allowed for one in decisions) == 50
    assert all(one.shared for one in decisions)
    assert {one.remaining for one in decisions if not one.allowed} == {0}


async def test_a_refused_hit_is_not_stored_and_says_when_to_come_again(
    shared_redis: RedisServer, key: str
) -> None:
    limit = Limit(amount=2, per_s=30)
    async with client(shared_redis.url) as redis:
        limiter = SharedLimiter(redis)
        first = await limiter.hit(key, limit)
        await limiter.hit(key, limit)
        refused = [await limiter.hit(key, limit) for _ in range(50)]
        stored = [
            await redis.client.get(name)
            async for name in redis.client.scan_iter(match=f"auralink:limit*{key}*")
        ]

    assert (first.allowed, first.remaining, first.retry_after_s) == (True, 1, 0.0)
    assert not any(one.allowed for one in refused)
    assert all(0 < one.retry_after_s <= 60 for one in refused)
    assert stored == ["2"]


async def test_a_long_name_is_bounded_in_redis_and_still_one_client(
    shared_redis: RedisServer, key: str
) -> None:
    limit = Limit(amount=1, per_s=600)
    async with client(shared_redis.url) as redis:
        limiter = SharedLimiter(redis)
        name = key + "x" * 10_000

        assert (await limiter.hit(name, limit)).allowed
        assert not (await limiter.hit(name, limit)).allowed
        longest = max([len(found) async for found in redis.client.scan_iter()])

    assert longest < 300


async def test_a_dead_redis_leaves_each_replica_its_share(key: str) -> None:
    server = RedisServer()  # never started
    limit = Limit(amount=90, per_s=600)
    try:
        async with AsyncExitStack() as stack:
            replicas = [
                SharedLimiter(await stack.enter_async_context(client(server.url)), replicas=3)
                for _ in range(3)
            ]
            decisions = [await replicas[i % 3].hit(key, limit) for i in range(300)]
    finally:
        server.remove()

    assert sum(one.allowed for one in decisions) == 90
    assert not any(one.shared for one in decisions)
    assert {one.limit for one in decisions} == {30}


async def test_a_small_limit_still_lets_something_through_everywhere(key: str) -> None:
    server = RedisServer()  # never started
    try:
        async with client(server.url) as redis:
            limiter = SharedLimiter(redis, replicas=10)

            decisions = [await limiter.hit(key, Limit(amount=3)) for _ in range(5)]
    finally:
        server.remove()

    assert sum(one.allowed for one in decisions) == 1


async def test_works_without_any_redis(key: str) -> None:
    limiter = SharedLimiter(None, clock=lambda: 0.0)

    decisions = [await limiter.hit(key, Limit(amount=3)) for _ in range(5)]

    assert [one.allowed for one in decisions] == [True, True, True, False, False]
    assert all(one.shared for one in decisions)  # this is the only replica


async def test_counting_begins_again_at_most_once_when_redis_loses_its_data(
    own_redis: RedisServer, key: str
) -> None:
    limit = Limit(amount=20, per_s=600)
    async with client(own_redis.url) as redis:
        limiter = SharedLimiter(redis)
        before = [await limiter.hit(key, limit) for _ in range(30)]
        own_redis.kill()
        own_redis.start()
        async with asyncio.timeout(10):
            other = Limit(amount=10_000)
            while not (await limiter.hit("other", other)).shared:  # noqa: ASYNC110 - no event
                await asyncio.sleep(0.02)
        after = [await limiter.hit(key, limit) for _ in range(30)]

    assert sum(one.allowed for one in before) == 20
    assert sum(one.allowed for one in after) == 20


async def test_a_redis_that_runs_out_of_memory_is_as_good_as_none(
    own_redis: RedisServer, key: str
) -> None:
    async with client(own_redis.url) as redis:
        limiter = SharedLimiter(redis)
        await redis.client.config_set("maxmemory", "1")

        decision = await limiter.hit(key, Limit(amount=5))

    assert decision.allowed
    assert not decision.shared


async def test_a_slow_redis_does_not_make_requests_slow(
    shared_redis: RedisServer, key: str
) -> None:
    async with proxied(shared_redis.port) as network:
        network.delay_s = lambda: 0.3
        async with client(f"redis://127.0.0.1:{network.port}/0", timeout_s=0.05) as redis:
            limiter = SharedLimiter(redis)
            for _ in range(4):
                assert not (await limiter.hit(key, Limit(amount=100))).shared
            connections = network.opened

            for _ in range(20):
                assert not (await limiter.hit(key, Limit(amount=100))).shared

            # The breaker is open: the network has not seen those twenty, a probe at the most.
            assert network.opened <= connections + 1
            assert redis.status().breaker.refused == 20
