"""A Redis that dies, freezes, lags, cuts connections or refuses: never a wrong reply."""

import asyncio
import logging
import random

import pytest

from auralink.bench.fault.network import Proxy, proxied
from auralink.codecs.errors import InputError
from auralink.engine.inference.breaker import State
from auralink.engine.stores.errors import StoreAway
from auralink.engine.stores.redis.guarded import GuardedRedis, RedisSettings, open_redis

from .redises import client
from .servers import RedisServer


async def get(redis: GuardedRedis, key: str) -> str | None:
    async def ask() -> str | None:
        found: str | None = await redis.client.get(key)
        return found

    return await redis.call(ask)


async def back(redis: GuardedRedis) -> None:
    async with asyncio.timeout(10):
        while redis.status().breaker.state is not State.CLOSED:  # noqa: ASYNC110 - no event
            await asyncio.sleep(0.02)


def url_of(proxy: Proxy) -> str:
    return f"redis://127.0.0.1:{proxy.port}/0"


async def test_a_killed_redis_opens_the_breaker_and_its_return_closes_it(
    own_redis: RedisServer, caplog: pytest.LogCaptureFixture
) -> None:
    async with client(own_redis.url) as redis:
        assert await get(redis, "nothing") is None
        own_redis.kill()

        for _ in range(5):
            with pytest.raises(StoreAway):
                await get(redis, "nothing")
        assert redis.status().breaker.state is not State.CLOSED
        with pytest.raises(StoreAway) as refused:
            await get(redis, "nothing")
        assert 0 <= refused.value.retry_after_s < 4

        own_redis.start()
        await back(redis)
        assert await get(redis, "nothing") is None
        assert redis.status().available

    told = [record.message for record in caplog.records if record.name.startswith("auralink")]
    assert sum("Redis is away" in line for line in told) == 1


async def test_a_name_that_nobody_knows_is_told_with_the_place_and_without_the_password(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with client("redis://ann:hunter2@no-such-host.invalid:6379/0") as redis:
        for _ in range(5):
            with pytest.raises(StoreAway):
                await get(redis, "nothing")

    assert "away at no-such-host.invalid:6379" in caplog.text
    assert "its name cannot be looked up" in caplog.text
    assert "hunter2" not in caplog.text


async def test_a_frozen_redis_costs_two_deadlines_at_most(own_redis: RedisServer) -> None:
    async with client(own_redis.url, timeout_s=0.2) as redis:
        await get(redis, "warm")
        own_redis.freeze()
        try:
            clock = asyncio.get_running_loop().time
            began = clock()
            with pytest.raises(StoreAway):
                await get(redis, "nothing")
            took = clock() - began
        finally:
            own_redis.thaw()
        await back(redis)

    assert took < 10 * 0.4  # without a deadline it would be for ever


async def test_a_late_answer_is_never_taken_for_that_of_another_call(
    shared_redis: RedisServer,
) -> None:
    """The off-by-one of redis-py: a call is cancelled between its question and its answer."""
    rng = random.Random(7)
    async with client(shared_redis.url) as direct:
        await direct.client.mset({f"key-{i}": f"value-{i}" for i in range(40)})
    async with (
        proxied(shared_redis.port) as network,
        client(url_of(network), connections=4) as redis,
    ):
        wrong: list[tuple[int, str | None]] = []
        answered = cancelled = 0

        async def one(number: int) -> None:
            nonlocal answered
            found = await get(redis, f"key-{number}")
            answered += 1
            if found != f"value-{number}":
                wrong.append((number, found))

        network.delay_s = lambda: 0.004
        for _ in range(150):
            tasks = [asyncio.create_task(one(rng.randrange(40))) for _ in range(8)]
            await asyncio.sleep(rng.uniform(0, 0.01))
            for task in rng.sample(tasks, 3):
                cancelled += task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    assert wrong == []
    assert cancelled > 100
    assert answered > 500


async def test_a_reply_that_is_cut_at_any_byte_is_an_error_and_no_wrong_value(
    shared_redis: RedisServer,
) -> None:
    async with client(shared_redis.url) as direct:
        await direct.client.set("cut", "0123456789")
    reply = len(b"$10\r\n0123456789\r\n")
    failed = 0
    for offset in range(reply + 1):
        async with proxied(shared_redis.port) as network, client(url_of(network)) as redis:
            await redis.client.execute_command("PING")
            network.cut_after = network.replied + offset
            try:
                assert await get(redis, "cut") == "0123456789"
            except StoreAway:
                failed += 1
            network.cut_after = None
            assert await get(redis, "cut") == "0123456789"

    assert failed == reply  # every offset but the last, which is a whole reply


async def test_a_wrong_password_is_said_once_and_never_shown(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    server = RedisServer()
    server.options = ["--requirepass", "right"]
    server.start()
    settings = RedisSettings(url=f"redis://:canary-1@127.0.0.1:{server.port}/0", timeout_s=2.0)
    try:
        async with open_redis(settings) as redis:
            for _ in range(10):
                with pytest.raises(StoreAway) as caught:
                    await get(redis, "nothing")
                assert "canary" not in str(caught.value)
    finally:
        server.remove()

    told = [record.getMessage() for record in caplog.records if record.name.startswith("auralink")]
    assert len([line for line in told if "user or password" in line]) == 1
    assert "canary" not in caplog.text
    assert "canary" not in repr(settings)


async def test_a_cancelled_call_says_nothing_about_redis(shared_redis: RedisServer) -> None:
    async with (
        proxied(shared_redis.port) as network,
        client(url_of(network), timeout_s=0.5) as redis,
    ):
        await get(redis, "warm")
        network.hold()
        for _ in range(20):
            task = asyncio.create_task(get(redis, "nothing"))
            await asyncio.sleep(0)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
        network.release()

        assert redis.status().breaker.failed == 0
        assert await get(redis, "nothing") is None


async def test_more_callers_than_connections_wait_their_turn(shared_redis: RedisServer) -> None:
    async with client(shared_redis.url, connections=2) as redis:
        found = await asyncio.gather(*(get(redis, "nothing") for _ in range(200)))

    assert found == [None] * 200


@pytest.mark.parametrize("bad", ["", "http://host", "redis//host"])
async def test_an_unusable_address_is_refused_with_an_example(bad: str) -> None:
    with pytest.raises(InputError) as caught:
        async with open_redis(RedisSettings(url=bad)):
            pytest.fail("opened")

    assert caught.value.__notes__
