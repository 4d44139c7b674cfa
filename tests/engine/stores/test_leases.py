"""Who runs which job: the same questions to Redis and to the memory of one engine."""

import asyncio
import uuid
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack

import pytest

from auralink.codecs.errors import InputError
from auralink.engine.stores.keeper import JobKeeper
from auralink.engine.stores.local_leases import LocalLeases
from auralink.engine.stores.protocols import Leases, LiveSession, PostedJob
from auralink.engine.stores.redis.leases import RedisLeases

from .redises import client
from .servers import RedisServer


@pytest.fixture(params=["redis", "local"])
async def leases(request: pytest.FixtureRequest) -> AsyncIterator[Leases]:
    if request.param == "local":
        yield LocalLeases("a")
        return
    server = request.getfixturevalue("shared_redis")
    async with client(server.url) as redis:
        yield RedisLeases(redis, "a", prefix=f"test-{uuid.uuid4().hex}:")


@pytest.fixture
async def pair(shared_redis: RedisServer) -> AsyncIterator[tuple[RedisLeases, RedisLeases]]:
    """Two engines; leases of 0.4 s."""
    prefix = f"test-{uuid.uuid4().hex}:"
    async with client(shared_redis.url) as one, client(shared_redis.url) as two:
        yield (
            RedisLeases(one, "a", ttl_s=0.4, prefix=prefix),
            RedisLeases(two, "b", ttl_s=0.4, prefix=prefix),
        )


async def test_a_job_is_had_by_one_until_it_is_released(leases: Leases) -> None:
    await leases.post("job", '{"room": "r"}')
    assert await leases.jobs() == [PostedJob(job_id="job", spec='{"room": "r"}')]

    first = await leases.acquire("job")
    again = await leases.acquire("job")

    assert first is not None
    assert again is None
    assert [job.holder for job in await leases.jobs()] == ["a"]
    assert await leases.renew(first)
    await leases.release(first)
    second = await leases.acquire("job")
    assert second is not None
    assert second.fence > first.fence
    assert await leases.renew(second)


async def test_a_withdrawn_job_is_nobodys(leases: Leases) -> None:
    await leases.post("job", "{}")
    lease = await leases.acquire("job")
    assert lease is not None

    await leases.withdraw("job")

    assert not await leases.renew(lease)
    assert await leases.jobs() == []
    assert await leases.acquire("job") is None
    assert await leases.acquire("never posted") is None


async def test_an_id_may_be_used_again(leases: Leases) -> None:
    await leases.post("job", "{}")
    await leases.withdraw("job")

    await leases.post("job", "{}")

    lease = await leases.acquire("job")
    assert lease is not None
    assert await leases.renew(lease)


async def test_live_sessions_are_those_told_last(leases: Leases) -> None:
    def live(name: str) -> LiveSession:
        return LiveSession(
            session_id=name, call_id="room", participant_id="ann", job_id="job", engine_id="a"
        )

    await leases.announce([live("s1"), live("s2")])
    await leases.announce([live("s2")])

    assert list(await leases.live()) == [live("s2")]


async def test_of_many_that_want_a_job_one_gets_it(
    pair: tuple[RedisLeases, RedisLeases],
) -> None:
    await pair[0].post("job", "{}")

    found = await asyncio.gather(*(pair[i % 2].acquire("job") for i in range(40)))

    assert len([lease for lease in found if lease]) == 1


async def test_a_dead_engines_lease_and_sessions_end(
    pair: tuple[RedisLeases, RedisLeases],
) -> None:
    one, two = pair
    await one.post("job", "{}")
    dead = await one.acquire("job")
    await one.announce(
        [LiveSession(session_id="s", call_id="r", participant_id="p", job_id="j", engine_id="a")]
    )
    assert dead is not None
    assert await two.acquire("job") is None
    assert len(await two.live()) == 1

    taken = await eventually(lambda: two.acquire("job"))

    assert taken.fence > dead.fence
    assert not await one.renew(dead)  # it was only asleep: now it must stop
    assert [job.holder for job in await one.jobs()] == ["b"]
    assert await eventually(lambda: _none(two.live()))


async def test_a_lease_is_not_released_by_who_had_it_before(
    pair: tuple[RedisLeases, RedisLeases],
) -> None:
    one, two = pair
    await one.post("job", "{}")
    old = await one.acquire("job")
    assert old is not None
    new = await eventually(lambda: two.acquire("job"))

    await one.release(old)

    assert await two.renew(new)


async def test_jobs_go_on_when_redis_lost_its_data(own_redis: RedisServer) -> None:
    async with client(own_redis.url) as redis, client(own_redis.url) as other:
        one, two = RedisLeases(redis, "a"), RedisLeases(other, "b")
        await one.post("job", "spec")
        lease = await one.acquire("job")
        assert lease is not None
        await redis.client.flushall()  # what a restart without a snapshot leaves

        assert await one.renew(lease)

        assert await two.jobs() == [PostedJob(job_id="job", spec="spec", holder="a")]
        await two.post("next", "{}")
        later = await two.acquire("next")
        assert later is not None
        assert later.fence > lease.fence


# -- engines ---------------------------------------------------------------------------------------


class Engine:
    """A runner that remembers."""

    def __init__(self, name: str, room: int = 10) -> None:
        self.name = name
        self.room = room
        self.jobs: dict[str, tuple[str, int]] = {}
        self.stopped: list[tuple[str, str]] = []
        self.refuses: set[str] = set()
        self.broken = False
        self.tried = 0

    def has_room(self) -> bool:
        return len(self.jobs) < self.room

    async def start(self, job_id: str, spec: str, fence: int) -> None:
        self.tried += 1
        if job_id in self.refuses:
            raise InputError("not here")
        self.jobs[job_id] = (spec, fence)

    async def stop(self, job_id: str, reason: str) -> None:
        self.jobs.pop(job_id, None)
        self.stopped.append((job_id, reason))

    def running(self) -> Sequence[str]:
        if self.broken:
            raise RuntimeError("a bad round")
        return list(self.jobs)

    def sessions(self) -> Sequence[LiveSession]:
        return [
            LiveSession(
                session_id=f"{job}-s", call_id="r", participant_id="p", job_id=job,
                engine_id=self.name,
            )
            for job in self.jobs
        ]  # fmt: skip


def keeper(leases: Leases, engine: Engine) -> JobKeeper:
    return JobKeeper(leases, engine, random=lambda: 0.5)


async def test_a_job_moves_to_another_engine_when_its_own_dies(
    pair: tuple[RedisLeases, RedisLeases],
) -> None:
    alive, dead = Engine("b"), Engine("a")
    dying = keeper(pair[0], dead)
    surviving = keeper(pair[1], alive)
    assert await dying.submit("job", "spec")
    await surviving.round()
    assert alive.jobs == {}

    async def taken() -> object:  # the first engine has no more rounds
        await surviving.round()
        return alive.jobs.get("job")

    spec, fence = await eventually(taken)

    assert spec == "spec"
    assert fence > dead.jobs["job"][1]
    await dying.round()  # and if it was only frozen, it stops when it wakes
    assert dead.jobs == {}
    assert dead.stopped[0][0] == "job"


async def test_a_full_engine_leaves_jobs_to_others(pair: tuple[RedisLeases, RedisLeases]) -> None:
    full, free = Engine("a", room=0), Engine("b")

    here = await keeper(pair[0], full).submit("job", "spec")
    await keeper(pair[1], free).round()

    assert not here
    assert list(free.jobs) == ["job"]


async def test_a_job_that_does_not_start_here_is_left_to_others_for_a_while(
    leases: Leases,
) -> None:
    engine = Engine("a")
    engine.refuses.add("job")
    keeping = keeper(leases, engine)
    await keeping.submit("job", "spec")

    for _ in range(100):
        await keeping.round()

    assert 5 <= engine.tried <= 10
    assert [job.holder for job in await leases.jobs()] == [None]


async def test_a_job_that_ended_is_forgotten_everywhere(leases: Leases) -> None:
    engine = Engine("a")
    keeping = keeper(leases, engine)
    await keeping.submit("job", "spec")
    engine.jobs.clear()

    await keeping.round()

    assert await leases.jobs() == []
    assert keeping.held == []


async def test_an_engine_that_ends_hands_its_jobs_over_at_once(
    pair: tuple[RedisLeases, RedisLeases],
) -> None:
    ending, staying = Engine("a"), Engine("b")
    first = keeper(pair[0], ending)
    await first.submit("job", "spec")

    await first.hand_over()
    await keeper(pair[1], staying).round()

    assert ending.stopped == [("job", "this engine ends")]
    assert list(staying.jobs) == ["job"]


async def test_withdrawing_ends_a_job_on_whichever_engine_has_it(
    pair: tuple[RedisLeases, RedisLeases],
) -> None:
    has, asks = Engine("a"), Engine("b")
    holding = keeper(pair[0], has)
    await holding.submit("job", "spec")

    await keeper(pair[1], asks).withdraw("job", "asked to stop")
    await holding.round()

    assert has.jobs == {}
    assert has.stopped[0][0] == "job"


async def test_an_outage_of_redis_stops_no_job(own_redis: RedisServer) -> None:
    engine = Engine("a")
    async with AsyncExitStack() as stack:
        redis = await stack.enter_async_context(client(own_redis.url))
        keeping = JobKeeper(
            RedisLeases(redis, "a", ttl_s=0.2),
            engine,
            random=lambda: 0.5,
            sleep=lambda seconds: asyncio.sleep(0.02),
        )
        await keeping.submit("job", "spec")
        task = asyncio.create_task(keeping.run())
        own_redis.kill()
        await eventually(lambda: _is(not redis.status().available))
        assert list(engine.jobs) == ["job"]

        own_redis.start()  # without its data, and after the lease ran out
        await eventually(lambda: _is(redis.status().available))
        found = await eventually(lambda: _holders(keeping, redis))

        assert found == ["a"]
        assert engine.stopped == []
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_a_round_that_fails_is_not_the_last(caplog: pytest.LogCaptureFixture) -> None:
    engine, turns = Engine("a"), 0
    leases = LocalLeases("a")

    async def sleep(seconds: float) -> None:
        nonlocal turns
        turns += 1
        engine.broken = turns < 3
        await asyncio.sleep(0)

    keeping = JobKeeper(leases, engine, random=lambda: 0.5, sleep=sleep)
    await keeping.submit("job", "spec")
    engine.broken = True
    task = asyncio.create_task(keeping.run())

    await eventually(lambda: _is(turns > 5))

    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert "a bad round" in caplog.text
    assert keeping.held == ["job"]


async def eventually(ask, within_s=10.0):  # type: ignore[no-untyped-def]
    """The first true answer."""
    async with asyncio.timeout(within_s):
        while not (found := await ask()):  # noqa: ASYNC110 - what Redis does has no event here
            await asyncio.sleep(0.02)
    return found


async def _is(value: bool) -> bool:
    return value


async def _none(asked):  # type: ignore[no-untyped-def]
    return not await asked


async def _holders(keeping: JobKeeper, redis: object) -> list[str | None]:
    leases = RedisLeases(redis, "viewer")  # type: ignore[arg-type]
    return [job.holder for job in await leases.jobs()]
