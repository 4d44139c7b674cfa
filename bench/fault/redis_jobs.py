"""F6: Redis is away for longer than leases last."""

import asyncio
import contextlib
import random
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack
from itertools import chain
from typing import Final

from auralink.bench.fault.redis_rig import BACK_WITHIN_S, PATIENT_S, fault
from auralink.bench.fault.servers import RedisServer
from auralink.bench.fault.values import Trial, expect
from auralink.engine.stores.errors import StoreAway
from auralink.engine.stores.keeper import JobKeeper
from auralink.engine.stores.protocols import LiveSession
from auralink.engine.stores.redis.guarded import RedisSettings, open_redis
from auralink.engine.stores.redis.leases import RedisLeases


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
                open_redis(RedisSettings(url=found.url, timeout_s=PATIENT_S))
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
            jobs_lost=sorted(chain(*kept)) != ["job-0", "job-1", "job-2"],
            not_back_in_time=back_s is None or back_s > BACK_WITHIN_S,
        ),
        recovered_s=back_s,
    )


async def _held_again(viewer: RedisLeases, since: float) -> float | None:
    while time.monotonic() - since < 3 * BACK_WITHIN_S:
        with contextlib.suppress(StoreAway):
            if len([job for job in await viewer.jobs() if job.holder]) == 3:
                return time.monotonic() - since
        await asyncio.sleep(0.02)
    return None


FAULTS: Final = (
    fault(
        "F6",
        "Redis is away for ten leases, three engines",
        "no job stops, all leases are held again within 5 s",
        _long_outage,
    ),
)
