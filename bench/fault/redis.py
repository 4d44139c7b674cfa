"""F1 to F6 and F40: a Redis that dies, freezes, lags, answers nonsense or refuses.

What is asked of it are limits, as the control plane does for each request, and leases.  No frame
waits for Redis, so what is measured is how long a *request* was held up.
"""

import asyncio
import contextlib
import logging
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final, TypeAlias

from auralink.bench.fault.network import proxied
from auralink.bench.fault.rig import until
from auralink.bench.fault.servers import RedisServer
from auralink.bench.fault.values import Fault, Trial, expect
from auralink.engine.inference.breaker import State
from auralink.engine.stores.errors import StoreAway
from auralink.engine.stores.keeper import JobKeeper
from auralink.engine.stores.protocols import Decision, Limit, LiveSession
from auralink.engine.stores.redis.guarded import GuardedRedis, RedisSettings, open_redis
from auralink.engine.stores.redis.leases import RedisLeases
from auralink.engine.stores.redis.limiter import SharedLimiter

_OPEN_WITHIN_S: Final = 1.0
_BACK_WITHIN_S: Final = 5.0
_PERIOD_S: Final = 0.01  # a hundred requests a second
_OUTAGE_S: Final = 0.5
_NEVER: Final = Limit(amount=10**9, per_s=60)
_PATIENT_S: Final = 2.0  # where a late answer is not the question

AsyncTrial: TypeAlias = Callable[[RedisServer, random.Random], Awaitable[Trial]]


@contextlib.contextmanager
def server() -> Iterator[RedisServer]:
    found = RedisServer()
    found.start()
    try:
        yield found
    finally:
        found.remove()


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
        back_s = await until(lambda: requests.shared_since(mended), 3 * _BACK_WITHIN_S)
    return Trial(
        wrong=expect(
            breaker_not_open_in_time=opened_s is None or opened_s > _OPEN_WITHIN_S,
            a_request_failed=bool(requests.errors),
            not_back_in_time=back_s is None or back_s > _BACK_WITHIN_S,
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
        back_s = await until(lambda: requests.shared_since(mended), 3 * _BACK_WITHIN_S)
    return Trial(
        wrong=expect(
            breaker_not_open_in_time=opened_s is None or opened_s > _OPEN_WITHIN_S,
            a_request_failed=bool(requests.errors),
            not_back_in_time=back_s is None or back_s > _BACK_WITHIN_S,
        ),
        recovered_s=back_s,
        figures={
            "breaker open after, ms": 1e3 * (opened_s or 0.0),
            "slowest request, ms": slowest_ms,
        },
    )


async def _late_answers(found: RedisServer, chance: random.Random) -> Trial:
    """Five hundred calls that are cancelled somewhere between question and answer."""
    wrong = cancelled = answered = 0
    async with open_redis(RedisSettings(url=found.url, timeout_s=_PATIENT_S)) as direct:
        await direct.client.mset({f"key-{i}": f"value-{i}" for i in range(40)})
    async with proxied(found.port) as network:
        settings = RedisSettings(
            url=f"redis://127.0.0.1:{network.port}/0", timeout_s=_PATIENT_S, connections=4
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
    async with open_redis(RedisSettings(url=found.url, timeout_s=_PATIENT_S)) as direct:
        await direct.client.set("cut", text)
    for offset in range(len(f"$12\r\n{text}\r\n")):
        async with proxied(found.port) as network:
            url = f"redis://127.0.0.1:{network.port}/0"
            async with open_redis(RedisSettings(url=url, timeout_s=_PATIENT_S)) as redis:
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
        async with open_redis(RedisSettings(url=found.url, timeout_s=_PATIENT_S)) as redis:
            limiter = SharedLimiter(redis)
            before = [await limiter.hit(key, limit) for _ in range(30)]
            restart = await _spoil(
                found, redis, chance.choice(["lost", "read-only", "memory", "password"])
            )
            during = [await limiter.hit(key, limit) for _ in range(30)]
            await restart()
            back_s = await until(lambda: redis.status().available, 3 * _BACK_WITHIN_S)
    finally:
        logging.getLogger("auralink").removeHandler(heard)
    admitted = sum(one.allowed for one in (*before, *during))
    return Trial(
        wrong=expect(
            admitted_more_than_twice_the_limit=admitted > 2 * amount,
            admitted_less_than_the_limit=admitted < amount,
            password_in_a_log="right-password" in heard.text,
            not_back_in_time=back_s is None or back_s > _BACK_WITHIN_S,
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


class _Jobs:
    """A runner whose jobs never end by themselves."""

    def __init__(self) -> None:
        self.jobs: list[str] = []
        self.stopped = 0

    def has_room(self) -> bool:
        return len(self.jobs) < 2

    async def start(self, job_id: str, spec: str, fence: int) -> None:
        self.jobs.append(job_id)

    async def stop(self, job_id: str, reason: str) -> None:
        self.jobs.remove(job_id)
        self.stopped += 1

    def running(self) -> Sequence[str]:
        return list(self.jobs)

    def sessions(self) -> Sequence[LiveSession]:
        return []


async def _long_outage(found: RedisServer, chance: random.Random) -> Trial:
    """Three engines with a job each, away for ten times as long as a lease lasts."""
    lease_s = 0.2
    prefix = f"f6-{chance.random()}:"
    runners = [_Jobs() for _ in range(3)]
    async with AsyncExitStack() as stack:
        tasks = []
        for number, runner in enumerate(runners):
            redis = await stack.enter_async_context(
                open_redis(RedisSettings(url=found.url, timeout_s=_PATIENT_S))
            )
            leases = RedisLeases(redis, f"engine-{number}", ttl_s=lease_s, prefix=prefix)
            keeper = JobKeeper(
                leases,
                runner,
                random=chance.random,
                sleep=lambda seconds: asyncio.sleep(lease_s / 4),
            )
            await keeper.submit(f"job-{number}", "spec")
            tasks.append(asyncio.create_task(keeper.run()))
        await asyncio.to_thread(found.kill)
        await asyncio.sleep(10 * lease_s)
        kept = [list(runner.jobs) for runner in runners]
        found.start()
        mended = time.monotonic()
        viewer = RedisLeases(redis, "viewer", prefix=prefix)
        back_s = await _held_again(viewer, mended)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    return Trial(
        wrong=expect(
            jobs_stopped=any(runner.stopped for runner in runners),
            jobs_lost=kept != [["job-0"], ["job-1"], ["job-2"]],
            not_back_in_time=back_s is None or back_s > _BACK_WITHIN_S,
        ),
        recovered_s=back_s,
    )


async def _held_again(viewer: RedisLeases, since: float) -> float | None:
    while time.monotonic() - since < 3 * _BACK_WITHIN_S:
        with contextlib.suppress(StoreAway):
            if len([job for job in await viewer.jobs() if job.holder]) == 3:
                return time.monotonic() - since
        await asyncio.sleep(0.02)
    return None


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


def _inject(trial: AsyncTrial, found: RedisServer, seed: int) -> Trial:
    return asyncio.run(trial(found, random.Random(seed)))  # type: ignore[arg-type]


def _killed(found: RedisServer) -> None:
    found.kill()


def _fault(number: str, name: str, expected: str, trial: AsyncTrial) -> Fault[RedisServer]:
    return Fault(
        number=number, name=name, expected=expected, prepare=server, inject=partial(_inject, trial)
    )


FAULTS: Final = (
    _fault(
        "F1",
        "Redis is killed and started again",
        "breaker open within 1 s, no request fails, shared again within 5 s without our restart",
        partial(_outage, begin=_killed, end=lambda found: found.start()),
    ),
    _fault(
        "F2",
        "Redis is frozen (SIGSTOP)",
        "as F1; each request is held up for 100 ms at the most, and what the machine adds",
        partial(_outage, begin=lambda found: found.freeze(), end=lambda found: found.thaw()),
    ),
    _fault("F3", "Redis answers 50 to 500 ms late", "as F1", _slow),
    _fault(
        "F4",
        "500 calls cancelled between question and answer",
        "no reply is taken for that of another call",
        _late_answers,
    ),
    _fault(
        "F4",
        "a reply is cut at each of its bytes",
        "an error or the value, never another value",
        _cut,
    ),
    _fault(
        "F5",
        "Redis loses its data, is read-only, out of memory, or has another password",
        "at most twice the limit is admitted, no crash, no password in a log",
        _refuses,
    ),
    _fault(
        "F6",
        "Redis is away for ten leases, three engines",
        "no job stops, all leases are held again within 5 s",
        _long_outage,
    ),
    _fault(
        "F40",
        "1,500 requests at once on three replicas, with and without Redis",
        "exactly the limit is admitted; without Redis three more at the most",
        _crowd,
    ),
)
