"""A worker: its registration with LiveKit's dispatcher, and the jobs that come from there."""

import asyncio
import contextlib
import logging
import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, TypeAlias, final

import aiohttp
from google.protobuf.message import DecodeError
from livekit.protocol import agent, models

from auralink.codecs.errors import AuraLinkError
from auralink.engine.agent.actions import (
    Action,
    Assigned,
    Capacity,
    Close,
    Ended,
    Lost,
    Open,
    Registered,
    Send,
    Terminated,
)
from auralink.engine.agent.plan import Plan
from auralink.engine.agent.session import PING_S, WorkerSession
from auralink.engine.relay.errors import JobUnknown
from auralink.engine.relay.job_values import JobId, JobState
from auralink.engine.relay.jobs import Jobs
from auralink.engine.room import endpoints
from auralink.engine.room.errors import (
    AccessRefused,
    ConnectionFailed,
    RoomError,
    ServerBusy,
    ServerTooOld,
)
from auralink.engine.websocket import Arrived, Closed, OneSocket, Opened, Refused, open_http

log = logging.getLogger(__name__)

_MAX_MESSAGE_BYTES: Final = 2 << 20  # what the server itself accepts
_INBOX: Final = 256


@dataclass(frozen=True, slots=True)
class _Look:
    """It is time, or the number of jobs changed, or the node drains."""


@dataclass(frozen=True, slots=True)
class _Stop:
    pass


_Input: TypeAlias = Opened | Refused | Arrived | Closed | agent.UpdateJobStatus | _Look | _Stop


@final
class Worker:
    """
    Args:
        jobs: shared with whatever else starts jobs here; the worker does not close it.
        agent_name: named dispatches only; empty: every new room, unasked.
        told: takes a line for people.
        registered: takes why the server does not know this worker now; empty: it does.

    Raises:
        InputError: no key and secret.
    """

    def __init__(
        self,
        jobs: Jobs,
        plan: Plan,
        *,
        agent_name: str,
        job_type: agent.JobType = agent.JobType.JT_ROOM,
        version: str,
        told: Callable[[str], None] = lambda text: None,
        registered: Callable[[str], None] = lambda why: None,
    ) -> None:
        endpoints.check_server(plan.access.url)
        plan.access.agent_token()
        self._jobs = jobs
        self._plan = plan
        self._told = told
        self._registered = registered
        self._refusing = False
        register = agent.RegisterWorkerRequest(
            type=job_type,
            agent_name=agent_name,
            version=version,
            ping_interval=round(PING_S),
            allowed_permissions=models.ParticipantPermission(
                can_subscribe=True, can_publish=True, can_publish_data=True
            ),
        )
        self._session = WorkerSession(register, plan.identity)
        self._inbox: asyncio.Queue[_Input] = asyncio.Queue(_INBOX)
        self._socket: OneSocket | None = None
        self._watchers: dict[JobId, asyncio.Task[None]] = {}
        self._drainer: asyncio.Task[None] | None = None
        self._error: RoomError | None = None
        self._random = random.Random()

    @property
    def session(self) -> WorkerSession:
        """For its state and counts."""
        return self._session

    async def run(self) -> None:
        """Take jobs until `drain` is through or `stop`.

        Raises:
            RoomError: the server does not let this worker register.
        """
        loop = asyncio.get_running_loop()
        async with open_http() as http:
            self._socket = OneSocket(http, self._inbox.put, most_bytes=_MAX_MESSAGE_BYTES)
            try:
                await self._do(self._session.start(loop.time()))
                while self._session.next_at is not None:
                    await self._step(loop.time)
            finally:
                await self._end()
        if self._error is not None:
            raise self._error

    def refuse(self) -> None:
        """Take nothing new from now on; jobs go on, and the server hears how they end."""
        self._refusing = True
        self._put(_Look())

    def stop(self) -> None:
        """Sign off; jobs go on."""
        self._put(_Stop())

    async def sign_off(self) -> None:
        """Stop when the server has heard of the end of every job that came from it."""
        await asyncio.gather(*self._watchers.values(), return_exceptions=True)
        await self._inbox.put(_Stop())

    def drain(self, deadline_s: float) -> None:
        """Take nothing new, end when all jobs have; called again: end them now."""
        if self._drainer is None:
            self._told(f"draining, at most {deadline_s:g} s: {self._jobs.active} jobs run")
            self.refuse()
            self._drainer = asyncio.create_task(self._drain(deadline_s), name="drain")
            return
        self._told("ending at once")
        for job in self._jobs.list():
            self._jobs.stop(job.id, "the engine was told to end at once")

    async def _drain(self, deadline_s: float) -> None:
        await self._jobs.drain(deadline_s)
        await self.sign_off()

    # -- the socket --------------------------------------------------------------------------------

    async def _step(self, clock: Callable[[], float]) -> None:
        assert self._session.next_at is not None
        given: _Input = _Look()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(max(0.0, self._session.next_at - clock())):
                given = await self._inbox.get()
        await self._take(given, clock())
        await self._do(self._session.tick(clock(), self._capacity(), self._random.random()))

    async def _take(self, given: _Input, now: float) -> None:
        session, chance = self._session, self._random.random()
        assert self._socket is not None
        match given:
            case agent.UpdateJobStatus():
                await self._do(session.job(given))
            case _Stop():
                await self._do(session.stop())
            case _Look():
                pass  # the tick that follows is for it
            case _ if not self._socket.is_current(given):
                pass
            case Opened():
                await self._do(session.opened(now))
            case Refused(error=error):
                assert isinstance(error, RoomError)
                await self._do(session.refused(now, error, chance))
            case Arrived(data=data):
                message = _parse(data)
                await self._do(session.message(now, message, self._capacity(), chance))
            case Closed():
                await self._do(session.closed(now, chance))

    async def _do(self, actions: list[Action]) -> None:
        assert self._socket is not None
        for action in actions:
            match action:
                case Open():
                    url = endpoints.agent_url(self._plan.access.url)
                    self._socket.open(url, self._plan.access.agent_token(), self._why)
                case Close():
                    await self._socket.close()
                case Send(message):
                    await self._socket.send(message.SerializeToString())
                case Registered(worker_id, version):
                    self._told(f"registered as {worker_id}, LiveKit {version}")
                    self._registered("")
                case Lost(reason):
                    self._told(f"not registered: {reason}")
                    self._registered(reason)
                case Assigned(assignment):
                    self._start(assignment)
                case Terminated(job_id):
                    self._terminate(JobId(job_id))
                case Ended(error):
                    self._error = error

    async def _why(self, failed: Exception) -> RoomError:
        server = self._plan.access.url
        if not isinstance(failed, aiohttp.WSServerHandshakeError):
            return ConnectionFailed(f"cannot reach {server}: {type(failed).__name__}")
        match failed.status:
            case 401 | 403:
                refused = AccessRefused(f"{server} does not let this key register workers")
                refused.add_note("LIVEKIT_API_KEY and LIVEKIT_API_SECRET must be the server's")
                return refused
            case 404:
                return ServerTooOld(f"{server} has no /agent: is it a LiveKit server?")
            case status:
                return ServerBusy(f"{server} answered {status}")

    # -- jobs --------------------------------------------------------------------------------------

    def _start(self, assignment: agent.JobAssignment) -> None:
        job_id = JobId(assignment.job.id)
        try:
            self._jobs.start(self._plan.spec(assignment), job_id)
        except AuraLinkError as error:
            self._told(f"job {job_id} not started: {error}")
            self._put(_update(job_id, agent.JobStatus.JS_FAILED, str(error)))
            return
        self._put(_update(job_id, agent.JobStatus.JS_RUNNING))
        self._watchers[job_id] = asyncio.create_task(self._watch(job_id), name=f"watch {job_id}")

    async def _watch(self, job_id: JobId) -> None:
        over = await self._jobs.wait(job_id)
        failed = over.state is JobState.FAILED
        status = agent.JobStatus.JS_FAILED if failed else agent.JobStatus.JS_SUCCESS
        await self._inbox.put(_update(job_id, status, over.reason if failed else ""))
        del self._watchers[job_id]

    def _terminate(self, job_id: JobId) -> None:
        try:
            self._jobs.stop(job_id, "the dispatch was ended")
        except JobUnknown:
            log.warning("the server ends job %s, which is not here", job_id)

    def _capacity(self) -> Capacity:
        jobs = self._jobs
        return Capacity(
            slots=jobs.most,
            taken=jobs.active,
            load=jobs.load,
            cpu=jobs.cpu,
            draining=self._refusing or jobs.draining,
            jobs=tuple(self._watchers),
        )

    # -- the end -----------------------------------------------------------------------------------

    async def _end(self) -> None:
        assert self._socket is not None
        await self._socket.close()
        left = [*self._watchers.values(), *([self._drainer] if self._drainer else [])]
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)

    def _put(self, given: _Input) -> None:
        # A full inbox means that the loop is behind: making room beats losing an order.
        if self._inbox.full():
            self._inbox.get_nowait()
        self._inbox.put_nowait(given)


def _update(job_id: JobId, status: agent.JobStatus, error: str = "") -> agent.UpdateJobStatus:
    return agent.UpdateJobStatus(job_id=job_id, status=status, error=error)


def _parse(data: bytes) -> agent.ServerMessage:
    try:
        return agent.ServerMessage.FromString(data)
    except DecodeError:
        return agent.ServerMessage()  # of no kind, and so ignored
