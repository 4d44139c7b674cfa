"""The relay jobs of this process: started, watched, put together anew, drained."""

import asyncio
import contextlib
import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final, Self, final

from auralink.codecs.errors import AuraLinkError
from auralink.engine.relay.errors import Draining, JobExists, JobsFull, JobUnknown
from auralink.engine.relay.job_events import EventKind, JobEvents
from auralink.engine.relay.job_values import JobId, JobSnapshot, JobSpec, JobState
from auralink.engine.relay.opening import Clocks, OpenRelay, Relay
from auralink.engine.relay.restarts import RestartPolicy, Restarts, Run, Verdict, in_words

log = logging.getLogger(__name__)

_LEAVE_S: Final = 10.0  # to say goodbye in; then a job is cancelled
_REMEMBERED: Final = 200  # jobs that are over


@dataclass(slots=True, kw_only=True)
class _Job:
    id: JobId
    spec: JobSpec
    restarts: Restarts
    created: float
    since: float
    state: JobState = JobState.STARTING
    reason: str = ""
    runs: int = 0
    joined: bool = False  # in this run
    relay: Relay | None = None
    last_status: dict[str, Any] | None = None
    stop: asyncio.Event = field(default_factory=asyncio.Event)
    task: asyncio.Task[None] | None = None


@final
class Jobs:
    """
    Use it as an async context manager; leaving it stops what still runs.

    Args:
        open_relay: puts a relay together; may raise what `RelayJob` does.
        most: jobs at one time.
        cpu: share of this machine's processors that is busy, 0..1.
        new_id: makes ids that no other engine makes.
    """

    def __init__(
        self,
        open_relay: OpenRelay,
        *,
        clocks: Clocks,
        new_id: Callable[[], str],
        most: int = 16,
        policy: RestartPolicy | None = None,
        cpu: Callable[[], float] = lambda: 0.0,
    ) -> None:
        self.events = JobEvents()
        self.most = most
        self._open = open_relay
        self._clocks = clocks
        self._new_id = new_id
        self._policy = policy or RestartPolicy()
        self._cpu = cpu
        self._draining = False
        self._jobs: dict[JobId, _Job] = {}  # in the order of their start

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *ignored: object) -> None:
        await self.drain(0.0)

    # -- what is asked of it -----------------------------------------------------------------------

    def start(self, spec: JobSpec, job_id: JobId | None = None) -> JobId:
        """
        Args:
            job_id: one that somebody else gave it; None: a new one.

        Raises:
            Draining, JobsFull, JobExists: nothing was started.
        """
        if self._draining:
            raise Draining("this engine ends and takes no new jobs")
        if self.active >= self.most:
            full = JobsFull(f"{self.active} jobs run here, as many as may")
            full.add_note("stop one, start another engine, or raise the limit")
            raise full
        found = job_id or JobId(self._new_id())
        if found in self._jobs:
            raise JobExists(f"job {found} is there already, {self._jobs[found].state.value}")
        now = self._clocks.wall()
        job = _Job(id=found, spec=spec, restarts=Restarts(self._policy), created=now, since=now)
        self._jobs[found] = job
        job.task = asyncio.create_task(self._live(job), name=f"job {found}")
        self._tell(job, EventKind.STATE, "")
        self._forget()
        return found

    def stop(self, job_id: JobId, reason: str = "asked to stop") -> JobSnapshot:
        """Let a job leave its rooms; it is over soon, see `wait`.  Nothing if it is over.

        Raises:
            JobUnknown: no such job.
        """
        job = self._find(job_id)
        if not job.state.over and not job.stop.is_set():
            job.stop.set()
            self._change(job, JobState.DRAINING, reason)
            if job.relay is not None:
                job.relay.leave()
            assert job.task is not None
            timer = asyncio.get_running_loop().call_later(_LEAVE_S, job.task.cancel)
            job.task.add_done_callback(lambda task: timer.cancel())
        return self._snapshot(job)

    async def drain(self, deadline_s: float) -> None:
        """Take nothing new, let jobs go on until the deadline, then stop them.  May be repeated.

        Jobs end by themselves when their rooms close.  Returns when all are over.
        """
        self._draining = True
        running = [job for job in self._jobs.values() if not job.state.over]
        for job in running:
            if job.state is not JobState.DRAINING:
                self._change(job, JobState.DRAINING, "the engine ends")
        tasks = [job.task for job in running if job.task is not None]
        if not tasks:
            return
        _, left = await asyncio.wait(tasks, timeout=deadline_s)
        for job in running:
            if job.task in left:
                self.stop(job.id, "the engine ended")
        if left:
            await asyncio.wait(left)

    def get(self, job_id: JobId) -> JobSnapshot:
        """
        Raises:
            JobUnknown: no such job.
        """
        return self._snapshot(self._find(job_id))

    def list(self, *, tenant: str | None = None) -> list[JobSnapshot]:
        """In the order of their start; those that are over too, as far as they are remembered."""
        jobs = self._jobs.values()
        return [self._snapshot(job) for job in jobs if tenant in (None, job.spec.tenant)]

    async def wait(self, job_id: JobId) -> JobSnapshot:
        """Until the job is over.

        Raises:
            JobUnknown: no such job.
        """
        job = self._find(job_id)
        assert job.task is not None
        await asyncio.wait([job.task])
        return self._snapshot(job)

    def request_key(self, job_id: JobId, track: str | None = None) -> int:
        """Make a stream of a job, or all of them, decodable anew; how many it was.

        Args:
            track: as `status` names it.

        Raises:
            JobUnknown: no such job.
        """
        relay = self._find(job_id).relay
        return 0 if relay is None else relay.want_key(track)

    def force_rung(self, job_id: JobId, name: str | None, track: str | None = None) -> int:
        """Hold the video of a job on a rung of the fallback ladder, or (None) let it find its own;
        how many streams it was.

        Args:
            track: as `status` names it.

        Raises:
            JobUnknown: no such job.
            KeyError: no rung has that name.
        """
        relay = self._find(job_id).relay
        return 0 if relay is None else relay.force_rung(name, track)

    # -- how much there is to do -------------------------------------------------------------------

    @property
    def active(self) -> int:
        """Jobs that are not over."""
        return sum(not job.state.over for job in self._jobs.values())

    @property
    def draining(self) -> bool:
        return self._draining

    @property
    def cpu(self) -> float:
        """Share of the machine's processors that is busy, 0..1."""
        return self._cpu()

    @property
    def load(self) -> float:
        """0 (idle) to 1 (takes nothing more).

        The greater of the share of job slots that are taken and the share of the machine's
        processors that are busy, whoever keeps them busy: the bound that is nearer decides.
        """
        if self._draining or self.most <= 0:
            return 1.0
        return min(1.0, max(self.active / self.most, self._cpu()))

    # -- life of a job -----------------------------------------------------------------------------

    async def _live(self, job: _Job) -> None:
        try:
            while not job.stop.is_set():
                verdict, pause_s, error = await self._once(job)
                if job.stop.is_set() or verdict is Verdict.END:
                    reason = job.reason if job.stop.is_set() else in_words(error)
                    return self._change(job, JobState.ENDED, reason)
                if verdict is Verdict.FAIL or self._draining:
                    return self._change(job, JobState.FAILED, in_words(error))
                self._change(job, JobState.STARTING, f"{in_words(error)}; again in {pause_s:.1f} s")
                await _set_within(job.stop, pause_s)
            self._change(job, JobState.ENDED, job.reason)
        except asyncio.CancelledError:
            self._change(job, JobState.ENDED, f"{job.reason or 'cancelled'}, without a goodbye")
            raise

    async def _once(self, job: _Job) -> tuple[Verdict, float, BaseException | None]:
        """One run."""
        began = self._clocks.monotonic()
        error: BaseException | None = None
        job.joined = False
        settings = job.spec.settings.renewed() if job.runs else job.spec.settings
        job.runs += 1
        try:
            relay = job.relay = self._open(settings, lambda text: self._note(job, text))
            await relay.run()
        except Exception as caught:  # any fault of one job must stay with that job
            error = caught
            if not isinstance(caught, AuraLinkError):
                log.exception("job %s", job.id)
        finally:
            if job.relay is not None:
                job.last_status, job.relay = job.relay.status(), None
        run = Run(
            error=error,
            lasted_s=self._clocks.monotonic() - began,
            joined=job.joined,
            renews=job.spec.settings.renewable,
        )
        verdict, pause_s = job.restarts.after(run, self._clocks.random())
        return verdict, pause_s, error

    def _note(self, job: _Job, text: str) -> None:
        if job.relay is not None and job.relay.connected and not job.joined:
            job.joined = True
            if job.state is JobState.STARTING:
                self._change(job, JobState.RUNNING, "")
        self._tell(job, EventKind.NOTE, text)

    def _change(self, job: _Job, state: JobState, reason: str) -> None:
        job.state, job.reason, job.since = state, reason, self._clocks.wall()
        self._tell(job, EventKind.STATE, reason)

    def _tell(self, job: _Job, kind: EventKind, text: str) -> None:
        self.events.add(
            at=self._clocks.wall(),
            job=job.id,
            tenant=job.spec.tenant,
            kind=kind,
            state=job.state,
            text=text,
        )

    def _find(self, job_id: JobId) -> _Job:
        try:
            return self._jobs[job_id]
        except KeyError:
            raise JobUnknown(f"no job {job_id!r} here") from None

    def _forget(self) -> None:
        over = [job.id for job in self._jobs.values() if job.state.over]
        for old in over[: max(0, len(over) - _REMEMBERED)]:
            del self._jobs[old]

    def _snapshot(self, job: _Job) -> JobSnapshot:
        return JobSnapshot(
            id=job.id,
            spec=job.spec,
            state=job.state,
            reason=job.reason,
            created=job.created,
            since=job.since,
            restarts=max(0, job.runs - 1),
            status=job.last_status if job.relay is None else job.relay.status(),
        )


async def _set_within(event: asyncio.Event, seconds: float) -> None:
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await event.wait()
