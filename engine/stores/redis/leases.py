"""Job leases and the registry of live sessions, in Redis.

Keys, all under a prefix:

``jobs``          hash: job id to its spec
``lease:<job>``   ``<holder> <fence>``, with a time to live; whoever made it has the job
``over:<job>``    the job was withdrawn: a holder that was away learns it here, for an hour
``fence``         the last fence given out
``engines``       set of the engines that told of sessions
``live:<engine>`` its sessions as JSON, with a time to live

A script runs in Redis as one step, so that nobody acts between its reading and its writing.  A
fence is never below Redis's clock in milliseconds: one given out after Redis lost its data is still
larger than those before.
"""

import json
from collections.abc import Awaitable, Sequence
from dataclasses import asdict
from typing import Final, cast, final

from auralink.engine.stores.protocols import Lease, LiveSession, PostedJob
from auralink.engine.stores.redis.guarded import GuardedRedis

_OVER_MS: Final = 3_600_000

# KEYS: jobs, lease, fence.  ARGV: job, holder, time to live.
_ACQUIRE: Final = """
if redis.call('HEXISTS', KEYS[1], ARGV[1]) == 0 then return 0 end
local time = redis.call('TIME')
local now_ms = time[1] * 1000 + math.floor(time[2] / 1000)
local fence = math.max(tonumber(redis.call('GET', KEYS[3]) or '0') + 1, now_ms)
local value = ARGV[2] .. ' ' .. string.format('%d', fence)
if not redis.call('SET', KEYS[2], value, 'NX', 'PX', ARGV[3]) then return 0 end
redis.call('SET', KEYS[3], string.format('%d', fence))
return fence
"""

# KEYS: jobs, lease, over.  ARGV: job, value, time to live, spec.  A lease that is gone without a
# successor, because Redis was away for longer than it or lost its data, is taken again.
_RENEW: Final = """
local found = redis.call('GET', KEYS[2])
if found and found ~= ARGV[2] then return 0 end
if redis.call('EXISTS', KEYS[3]) == 1 then return 0 end
redis.call('SET', KEYS[2], ARGV[2], 'PX', ARGV[3])
redis.call('HSET', KEYS[1], ARGV[1], ARGV[4])
return 1
"""

# KEYS: lease.  ARGV: value.
_RELEASE: Final = """
if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end
return 0
"""


@final
class RedisLeases:
    """`Leases`.

    Args:
        engine_id: of this engine, without spaces; no two engines have the same.
        ttl_s: a dead engine's leases end so long after it renewed them last.
    """

    def __init__(
        self, redis: GuardedRedis, engine_id: str, *, ttl_s: float = 6.0, prefix: str = "auralink:"
    ) -> None:
        if not engine_id or " " in engine_id:
            raise ValueError(f"an engine's id has no spaces: {engine_id!r}")
        self._redis = redis
        self._engine_id = engine_id
        self._ttl_ms = round(ttl_s * 1000)
        self._prefix = prefix
        self._specs: dict[str, str] = {}  # of the jobs that this engine has

    async def post(self, job_id: str, spec: str) -> None:
        async def ask() -> None:
            async with self._redis.client.pipeline(transaction=True) as together:
                together.hset(self._key("jobs"), job_id, spec)
                together.delete(self._key("over", job_id))
                await together.execute()

        await self._redis.call(ask)

    async def withdraw(self, job_id: str) -> None:
        self._specs.pop(job_id, None)

        async def ask() -> None:
            async with self._redis.client.pipeline(transaction=True) as together:
                together.set(self._key("over", job_id), "1", px=_OVER_MS)
                together.hdel(self._key("jobs"), job_id)
                together.delete(self._key("lease", job_id))
                await together.execute()

        await self._redis.call(ask)

    async def jobs(self) -> Sequence[PostedJob]:
        async def ask() -> list[PostedJob]:
            client = self._redis.client
            specs = await cast(Awaitable[dict[str, str]], client.hgetall(self._key("jobs")))
            ids = sorted(specs)
            leases = await self._many([self._key("lease", job) for job in ids])
            return [
                PostedJob(
                    job_id=job, spec=specs[job], holder=lease.split(" ")[0] if lease else None
                )
                for job, lease in zip(ids, leases, strict=True)
            ]

        return await self._redis.call(ask)

    async def acquire(self, job_id: str) -> Lease | None:
        keys = (self._key("jobs"), self._key("lease", job_id), self._key("fence"))

        async def ask() -> tuple[int, str | None]:
            client = self._redis.client
            fence = await self._script(_ACQUIRE, keys, job_id, self._engine_id, self._ttl_ms)
            spec = await cast(Awaitable[str | None], client.hget(self._key("jobs"), job_id))
            return fence, spec

        fence, spec = await self._redis.call(ask)
        if not fence or spec is None:
            return None
        self._specs[job_id] = spec
        return Lease(job_id=job_id, holder=self._engine_id, fence=fence)

    async def renew(self, lease: Lease) -> bool:
        job, spec = lease.job_id, self._specs.get(lease.job_id)
        if spec is None:
            return False  # withdrawn or released here
        keys = (self._key("jobs"), self._key("lease", job), self._key("over", job))
        kept = await self._redis.call(
            lambda: self._script(_RENEW, keys, job, _value(lease), self._ttl_ms, spec)
        )
        if not kept:
            self._specs.pop(job, None)
        return bool(kept)

    async def release(self, lease: Lease) -> None:
        self._specs.pop(lease.job_id, None)
        keys = (self._key("lease", lease.job_id),)
        await self._redis.call(lambda: self._script(_RELEASE, keys, _value(lease)))

    async def announce(self, sessions: Sequence[LiveSession]) -> None:
        told = json.dumps([asdict(one) for one in sessions], separators=(",", ":"))

        async def ask() -> None:
            async with self._redis.client.pipeline(transaction=True) as together:
                together.sadd(self._key("engines"), self._engine_id)
                together.set(self._key("live", self._engine_id), told, px=self._ttl_ms)
                await together.execute()

        await self._redis.call(ask)

    async def live(self) -> Sequence[LiveSession]:
        async def ask() -> list[LiveSession]:
            client = self._redis.client
            engines = sorted(await cast(Awaitable[set[str]], client.smembers(self._key("engines"))))
            if not engines:
                return []
            told = await self._many([self._key("live", engine) for engine in engines])
            silent = [engine for engine, text in zip(engines, told, strict=True) if text is None]
            if silent:
                await client.srem(self._key("engines"), *silent)
            return [LiveSession(**one) for text in told if text for one in json.loads(text)]

        return await self._redis.call(ask)

    async def _script(self, text: str, keys: Sequence[str], *arguments: str | int) -> int:
        values = [str(one) for one in (*keys, *arguments)]
        asked = self._redis.client.eval(text, len(keys), *values)
        return int(await cast(Awaitable[int], asked))

    async def _many(self, keys: Sequence[str]) -> Sequence[str | None]:
        if not keys:
            return []
        return cast(Sequence[str | None], await self._redis.client.mget(keys))

    def _key(self, kind: str, name: str | None = None) -> str:
        return f"{self._prefix}{kind}" if name is None else f"{self._prefix}{kind}:{name}"


def _value(lease: Lease) -> str:
    return f"{lease.holder} {lease.fence}"
