"""Leases where there is no Redis: one engine, which gets every job."""

from collections.abc import Sequence
from typing import final

from auralink.engine.stores.protocols import Lease, LiveSession, PostedJob


@final
class LocalLeases:
    """`Leases` of one process."""

    def __init__(self, engine_id: str) -> None:
        self._engine_id = engine_id
        self._jobs: dict[str, str] = {}
        self._fences: dict[str, int] = {}  # of the leases that are out
        self._last_fence = 0
        self._live: tuple[LiveSession, ...] = ()

    async def post(self, job_id: str, spec: str) -> None:
        self._jobs[job_id] = spec

    async def withdraw(self, job_id: str) -> None:
        self._jobs.pop(job_id, None)
        self._fences.pop(job_id, None)

    async def jobs(self) -> Sequence[PostedJob]:
        return [
            PostedJob(
                job_id=job_id, spec=spec, holder=self._engine_id if job_id in self._fences else None
            )
            for job_id, spec in sorted(self._jobs.items())
        ]

    async def acquire(self, job_id: str) -> Lease | None:
        if job_id not in self._jobs or job_id in self._fences:
            return None
        self._last_fence += 1
        self._fences[job_id] = self._last_fence
        return Lease(job_id=job_id, holder=self._engine_id, fence=self._last_fence)

    async def renew(self, lease: Lease) -> bool:
        return self._fences.get(lease.job_id) == lease.fence

    async def release(self, lease: Lease) -> None:
        if self._fences.get(lease.job_id) == lease.fence:
            del self._fences[lease.job_id]

    async def announce(self, sessions: Sequence[LiveSession]) -> None:
        self._live = tuple(sessions)

    async def live(self) -> Sequence[LiveSession]:
        return self._live
