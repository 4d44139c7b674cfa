"""An engine's process is killed, and its job goes on elsewhere: real processes, real times."""

import asyncio
import random
import sys

from auralink.engine.stores.keeper import LEASE_S, JobKeeper
from auralink.engine.stores.redis.leases import RedisLeases

from .redises import client
from .servers import RedisServer
from .test_leases import Engine, eventually

PROGRAM = """
import asyncio, random, sys
from auralink.engine.stores.keeper import JobKeeper
from auralink.engine.stores.redis.guarded import RedisSettings, open_redis
from auralink.engine.stores.redis.leases import RedisLeases

class Runner:
    jobs = []
    def has_room(self): return not self.jobs
    async def start(self, job_id, spec, fence): self.jobs.append(job_id)
    async def stop(self, job_id, reason): self.jobs.clear()
    def running(self): return self.jobs
    def sessions(self): return []

async def main():
    async with open_redis(RedisSettings(url=sys.argv[1], timeout_s=2.0)) as redis:
        keeper = JobKeeper(RedisLeases(redis, "doomed"), Runner(), random=random.random)
        assert await keeper.submit("job", "spec")
        print("has it", flush=True)
        await keeper.run()

asyncio.run(main())
"""


async def test_a_killed_engines_job_is_taken_up(own_redis: RedisServer) -> None:
    doomed = await asyncio.create_subprocess_exec(
        sys.executable, "-c", PROGRAM, own_redis.url, stdout=asyncio.subprocess.PIPE
    )
    assert doomed.stdout is not None
    assert await doomed.stdout.readline() == b"has it\n"
    engine = Engine("survivor")
    async with client(own_redis.url) as redis:
        keeper = JobKeeper(RedisLeases(redis, "survivor"), engine, random=random.random)
        running = asyncio.create_task(keeper.run())
        await asyncio.sleep(0)
        assert engine.jobs == {}

        doomed.kill()
        await doomed.wait()
        await eventually(lambda: _has(engine), within_s=5 * LEASE_S)

        assert list(engine.jobs) == ["job"]
        assert [job.holder for job in await RedisLeases(redis, "viewer").jobs()] == ["survivor"]
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


async def _has(engine: Engine) -> bool:
    return "job" in engine.jobs
