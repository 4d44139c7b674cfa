"""The jobs of all engines, seen from one: those that run here, and those posted elsewhere."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import final

from auralink.codecs.errors import InputError
from auralink.engine.relay.errors import JobExists, JobUnknown
from auralink.engine.relay.job_values import JobId, JobSnapshot
from auralink.engine.relay.jobs import Jobs
from auralink.engine.service.errors import Conflict
from auralink.engine.service.job_order import JobOrder
from auralink.engine.service.settings.tree import Settings
from auralink.engine.stores.errors import StoreAway
from auralink.engine.stores.keeper import JobKeeper
from auralink.engine.stores.protocols import Leases, LiveSession
from auralink.engine.tasks import spawn


@dataclass(frozen=True, slots=True, kw_only=True)
class Elsewhere:
    """A job that this engine knows of and does not run.

    Attributes:
        engine: that has it; empty: nobody has it yet.
    """

    id: str
    order: JobOrder
    engine: str


@final
class HereRunner:
    """What the keeper runs: the jobs of this process."""

    def __init__(self, jobs: Jobs, settings: Callable[[], Settings], engine_id: str) -> None:
        self._jobs = jobs
        self._settings = settings
        self._engine_id = engine_id

    def has_room(self) -> bool:
        return not self._jobs.draining and self._jobs.active < self._jobs.most

    async def start(self, job_id: str, spec: str, fence: int) -> None:
        """
        Raises:
            InputError, Unusable, JobRefused: it cannot run here.
        """
        self._jobs.start(JobOrder.parse(spec).spec(job_id, self._settings()), JobId(job_id))

    async def stop(self, job_id: str, reason: str) -> None:
        with contextlib.suppress(JobUnknown):
            self._jobs.stop(JobId(job_id), reason)
            await self._jobs.wait(JobId(job_id))

    def running(self) -> Sequence[str]:
        return [job.id for job in self._jobs.list() if not job.state.over]

    def sessions(self) -> Sequence[LiveSession]:
        return [
            LiveSession(
                session_id=f"{job.id}.{room['identity']}",
                call_id=job.spec.settings.near.room,
                participant_id=room["identity"],
                job_id=job.id,
                engine_id=self._engine_id,
            )
            for job in self._jobs.list()
            if not job.state.over and job.status is not None
            for room in job.status["rooms"]
            if room["connected"]
        ]


@final
class JobBoard:
    """Made by `open_board`.

    Args:
        shared: other engines see what is posted.
    """

    def __init__(
        self,
        here: Jobs,
        keeper: JobKeeper,
        leases: Leases,
        settings: Callable[[], Settings],
        *,
        shared: bool,
    ) -> None:
        self.here = here
        self._shared = shared
        self._keeper = keeper
        self._leases = leases
        self._settings = settings

    async def start(self, job_id: str, order: JobOrder) -> JobSnapshot | Elsewhere:
        """Run a job here, or (if there is no room, and other engines share) post it for others.

        Raises:
            Unusable, InputError: it makes no sense here, so it would nowhere.
            JobsFull, Draining, JobExists: nothing was started.
            StoreAway: Redis is away and there is no room here.
        """
        spec = order.spec(job_id, self._settings())
        if any(job.id == job_id for job in self.here.list()):
            raise JobExists(f"job {job_id} is there already")
        full = self.here.active >= self.here.most
        if self.here.draining or (full and not self._shared):
            return self.here.get(self.here.start(spec, JobId(job_id)))  # raises what says why
        text = order.model_dump_json()
        try:
            if await self._keeper.submit(job_id, text):
                return self.here.get(JobId(job_id))
        except StoreAway:
            # Nobody else can know of it; it runs here all the same.
            return self.here.get(self.here.start(spec, JobId(job_id)))
        return await self._posted(job_id)

    async def get(self, job_id: str) -> JobSnapshot | Elsewhere:
        """
        Raises:
            JobUnknown: nobody has it.
        """
        try:
            return self.here.get(JobId(job_id))
        except JobUnknown:
            return await self._posted(job_id)

    async def list(self, tenant: str | None) -> Sequence[JobSnapshot | Elsewhere]:
        """Those here first; those of others as far as Redis can be asked.

        Args:
            tenant: None: everybody's.
        """
        here = self.here.list(tenant=tenant)
        known = {job.id for job in here}
        others = [
            one
            for one in await self._elsewhere()
            if one.id not in known and tenant in (None, one.order.tenant)
        ]
        return [*here, *others]

    async def stop(self, job_id: str, reason: str) -> JobSnapshot | Elsewhere:
        """Leave the rooms, here or wherever it runs.

        Raises:
            JobUnknown: nobody has it.
            StoreAway: another engine has it and cannot be told.
        """
        found = await self.get(job_id)
        if isinstance(found, Elsewhere):
            await self._keeper.withdraw(job_id, reason)
            return found
        told = self.here.stop(found.id, reason)
        with contextlib.suppress(StoreAway):
            await self._leases.withdraw(job_id)
        return told

    async def here_only(self, job_id: str) -> JobSnapshot:
        """A job that this engine runs.

        Raises:
            JobUnknown: nobody has it.
            Conflict: another engine has it, and must be asked itself.
        """
        found = await self.get(job_id)
        if isinstance(found, Elsewhere):
            raise Conflict(f"job {job_id} runs on engine {found.engine or '(none yet)'}")
        return found

    async def drain(self, deadline_s: float, hurry: asyncio.Event) -> None:
        """Let jobs end by themselves until the deadline; hand over what is left to other engines.

        Args:
            hurry: set: the deadline is now.
        """
        ending = asyncio.create_task(self.here.drain(deadline_s + 5.0), name="drain jobs")
        hurried = asyncio.create_task(hurry.wait())
        try:
            await asyncio.wait(
                [ending, hurried], timeout=deadline_s, return_when=asyncio.FIRST_COMPLETED
            )
        finally:
            hurried.cancel()
        await self._keeper.hand_over()
        await self.here.drain(0.0)
        await ending

    async def _posted(self, job_id: str) -> Elsewhere:
        for one in await self._elsewhere():
            if one.id == job_id:
                return one
        raise JobUnknown(f"no job {job_id!r}")

    async def _elsewhere(self) -> Sequence[Elsewhere]:
        try:
            posted = await self._leases.jobs()
        except StoreAway:
            return ()
        found = []
        for one in posted:
            with contextlib.suppress(InputError):
                order = JobOrder.parse(one.spec)
                found.append(Elsewhere(id=one.job_id, order=order, engine=one.holder or ""))
        return found


@asynccontextmanager
async def open_board(
    jobs: Jobs,
    leases: Leases,
    settings: Callable[[], Settings],
    *,
    engine_id: str,
    shared: bool,
    random: Callable[[], float],
) -> AsyncIterator[JobBoard]:
    """Keep the leases of what runs here until the block ends; then stop what still runs."""
    keeper = JobKeeper(leases, HereRunner(jobs, settings, engine_id), random=random)
    keeping = spawn(keeper.run(), "job keeper", lambda error: None)
    try:
        yield JobBoard(jobs, keeper, leases, settings, shared=shared)
    finally:
        keeping.cancel()
        await asyncio.gather(keeping, return_exceptions=True)
        await keeper.hand_over()
        await jobs.drain(0.0)
