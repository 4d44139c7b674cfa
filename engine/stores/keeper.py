"""Keeps the jobs of all engines running: renews what this one has, takes up what a dead one left.

Every engine runs one.  With leases of 6 s and a round every 2 s, a job whose engine died is taken
up by another one within 8 s.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import Final, Protocol, final

from auralink.engine.stores.errors import StoreAway, StoreError
from auralink.engine.stores.protocols import Lease, Leases, LiveSession, PostedJob

log = logging.getLogger(__name__)
ROUND_S: Final = 2.0
LEASE_S: Final = 3 * ROUND_S  # two rounds may fail
_LONGEST_REST: Final = 32  # rounds for which a job that does not start here is left to others


class Runner(Protocol):
    """What runs jobs here."""

    def has_room(self) -> bool: ...

    async def start(self, job_id: str, spec: str, fence: int) -> None:
        """
        Raises:
            AuraLinkError: this engine cannot run it; another may.
        """

    async def stop(self, job_id: str, reason: str) -> None: ...

    def running(self) -> Sequence[str]:
        """Ids of the jobs that this engine has, ended ones left out."""

    def sessions(self) -> Sequence[LiveSession]: ...


@final
class JobKeeper:
    """
    Args:
        random: 0..1; rounds of several engines spread by it.
    """

    def __init__(
        self,
        leases: Leases,
        runner: Runner,
        *,
        random: Callable[[], float],
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._leases = leases
        self._runner = runner
        self._random = random
        self._sleep = sleep
        self._held: dict[str, Lease] = {}
        self._rests: dict[str, tuple[int, int]] = {}  # rounds left, and how many it were

    @property
    def held(self) -> Sequence[str]:
        return list(self._held)

    async def submit(self, job_id: str, spec: str) -> bool:
        """Post a job and, if there is room, run it here at once; whether it runs here.

        Raises:
            StoreAway: it was not posted.
        """
        await self._leases.post(job_id, spec)
        if not self._runner.has_room():
            return False
        return await self._take(PostedJob(job_id=job_id, spec=spec))

    async def withdraw(self, job_id: str, reason: str) -> None:
        """End a job, here or on the engine that has it.

        Raises:
            StoreAway: it ended here, if it was here; others do not know of it.
        """
        if self._held.pop(job_id, None) is not None:
            await self._runner.stop(job_id, reason)
        await self._leases.withdraw(job_id)

    async def run(self) -> None:
        """A round every `ROUND_S`, until cancelled."""
        while True:
            try:
                await self.round()
            except StoreAway as error:
                log.debug("leases: %s", error)  # jobs go on; who watches Redis tells of it
            except Exception:  # one bad round must not leave all leases to run out
                log.exception("leases")
            await self._sleep(ROUND_S * (0.9 + 0.2 * self._random()))

    async def round(self) -> None:
        """
        Raises:
            StoreAway: part of it was not done.
        """
        running = set(self._runner.running())
        for job_id, lease in list(self._held.items()):
            if job_id not in running:  # it ended by itself
                del self._held[job_id]
                await self._leases.withdraw(job_id)
            elif not await self._leases.renew(lease):
                self._held.pop(job_id, None)
                await self._runner.stop(job_id, "another engine has it, or it was withdrawn")
        await self._leases.announce(self._runner.sessions())
        posted = await self._leases.jobs()
        free = {job.job_id for job in posted if job.holder is None}
        self._rests = {
            job_id: (left - 1, length)
            for job_id, (left, length) in self._rests.items()
            if job_id in free
        }
        for job in posted:
            if not self._runner.has_room():
                break
            if job.job_id in free and self._rests.get(job.job_id, (0, 0))[0] <= 0:
                await self._take(job)

    async def hand_over(self) -> None:
        """Give up all leases, so that others take the jobs at once.  Their rooms are left first."""
        for job_id, lease in list(self._held.items()):
            del self._held[job_id]
            await self._runner.stop(job_id, "this engine ends")
            try:
                await self._leases.release(lease)
            except StoreError as error:
                log.debug("lease of %s runs out by itself: %s", job_id, error)

    async def _take(self, job: PostedJob) -> bool:
        lease = await self._leases.acquire(job.job_id)
        if lease is None:
            return False
        try:
            await self._runner.start(job.job_id, job.spec, lease.fence)
        except Exception as error:  # whatever is wrong with it here, another engine may run it
            log.warning("job %s does not start here: %s", job.job_id, error)
            await self._leases.release(lease)
            length = min(_LONGEST_REST, 2 * self._rests.get(job.job_id, (0, 1))[1])
            self._rests[job.job_id] = (length, length)
            return False
        self._rests.pop(job.job_id, None)
        self._held[job.job_id] = lease
        return True
