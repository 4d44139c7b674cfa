"""The engine at LiveKit's own dispatcher: jobs that nobody asked for over HTTP.

The servers are real; relays only pretend to be in rooms, but for the last test.
"""

import asyncio
import os
import random
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from livekit import api
from livekit.protocol import agent

from auralink.engine.agent.plan import Plan
from auralink.engine.agent.worker import Worker
from auralink.engine.relay.job_values import JobState
from auralink.engine.relay.jobs import Jobs
from auralink.engine.relay.opening import Clocks
from auralink.engine.relay.request import RelayRequest
from auralink.engine.service.auth.principal import Role
from auralink.engine.service.dispatching import Registration
from auralink.engine.service.errors import ConfigError
from auralink.engine.service.job_board import HereRunner
from auralink.engine.service.parts import Part
from auralink.engine.stores.keeper import JobKeeper
from auralink.engine.stores.redis.leases import RedisLeases
from auralink.engine.websocket import OneSocket

from ..agent.nodes import Played, access, admin, dispatch, node
from ..room.people import until
from ..room.server import KEY, Server
from ..room.server import SECRET as LIVEKIT_SECRET
from ..stores.redises import client
from ..stores.servers import RedisServer
from .services import API, SECRET, Service, Wanted, service_in, token_of


def settings_for(livekit: Server, name: str, **more: str) -> dict[str, str]:
    return {
        "LIVEKIT_URL": livekit.url,
        "LIVEKIT_API_KEY": KEY,
        "LIVEKIT_API_SECRET": LIVEKIT_SECRET,
        "AURALINK_AGENT__ENABLED": "true",
        "AURALINK_AGENT__NAME": name,
    } | more


@asynccontextmanager
async def engine(folder: Path, livekit: Server, name: str, **more: str) -> AsyncIterator[Service]:
    async with service_in(folder, Wanted(settings=settings_for(livekit, name, **more))) as service:
        await until(lambda: service.context.dispatcher.peek(), "registration")
        yield service


async def the_job(service: Service) -> Any:
    """The only one, as HTTP shows it."""
    await until(lambda: service.context.jobs.get().here.active == 1, "assignment")
    (job,) = (await service.ask("GET", f"{API}/jobs")).json["jobs"]
    return job


async def test_a_dispatch_becomes_a_job_that_http_shows_and_stops(
    livekit: Server, room: str, tmp_path: Path
) -> None:
    defaults = '{"rate_bps": 90000, "to_room": "hall"}'
    async with engine(
        tmp_path,
        livekit,
        "aic-http",
        AURALINK_AGENT__TENANT="blue",
        AURALINK_AGENT__DEFAULTS=defaults,
    ) as service:
        await dispatch(livekit, "aic-http", room, '{"to_room": "far"}')
        job = await the_job(service)
        stranger = token_of("eve", "red", Role.OPERATOR)
        hidden = await service.ask("GET", f"{API}/jobs/{job['id']}", token=stranger)
        key = await service.ask("POST", f"{API}/jobs/{job['id']}/key-frame", token=token_of())
        stopped = await service.ask("DELETE", f"{API}/jobs/{job['id']}", token=token_of())
        here = service.context.jobs.get().here
        over = await here.wait(job["id"])

    assert (job["room"], job["to_room"], job["rate_bps"]) == (room, "far", 90_000)
    assert (job["tenant"], job["label"], job["engine"]) == ("blue", room, "engine-1")
    assert service.relays[0].settings.token  # the dispatcher's, for the first bot
    assert hidden.status == 404
    assert key.json == {"streams": 1}
    assert stopped.status == 202
    assert over.state is JobState.ENDED


async def test_slots_are_shared_with_jobs_from_http(
    livekit: Server, room: str, tmp_path: Path
) -> None:
    async with (
        engine(tmp_path, livekit, "aic-slots", AURALINK_LIMITS__JOBS="1") as service,
    ):
        await service.ask("POST", f"{API}/jobs", json={"room": "a", "id": "mine"})
        async with node(livekit, "aic-slots") as other:
            for number in range(3):
                await dispatch(livekit, "aic-slots", f"{room}-{number}")
            await until(lambda: len(other.played) == 3, "the other one takes them all")
        jobs = (await service.ask("GET", f"{API}/jobs")).json["jobs"]

    assert [job["id"] for job in jobs] == ["mine"]


async def test_draining_gives_new_work_to_others_and_tells_how_the_old_ended(
    livekit: Server, room: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent: list[agent.WorkerMessage] = []
    send = OneSocket.send

    async def noted(socket: OneSocket, data: bytes) -> None:
        await send(socket, data)
        sent.append(agent.WorkerMessage.FromString(data))

    monkeypatch.setattr(OneSocket, "send", noted)
    async with engine(tmp_path, livekit, "aic-drain", AURALINK_ENGINE__DRAIN_S="60") as service:
        await dispatch(livekit, "aic-drain", room)
        job = await the_job(service)
        await service.ask("POST", f"{API}/drain")
        async with node(livekit, "aic-drain") as other:
            for number in range(3):
                await dispatch(livekit, "aic-drain", f"{room}-{number}")
            await until(lambda: len(other.played) == 3, "the other one takes them all")
            assert not service.running.done()
            service.relays[0].leave()  # its room is over
            code = await asyncio.wait_for(service.running, 20)

    assert code == 0
    assert len(service.relays) == 1
    told = [one.update_job.status for one in sent if one.update_job.job_id == job["id"]]
    assert told == [agent.JobStatus.JS_RUNNING, agent.JobStatus.JS_SUCCESS]
    full = [one.update_worker for one in sent if one.update_worker.draining]
    assert {one.status for one in full} == {agent.WorkerStatus.WS_FULL}


async def test_without_the_dispatcher_the_engine_serves_and_says_so(
    own_server: Server, room: str, tmp_path: Path
) -> None:
    own_server.stop()
    wanted = Wanted(settings=settings_for(own_server, "aic-away"))
    async with service_in(tmp_path, wanted) as service:
        await until(lambda: "cannot reach" in service.context.dispatcher.state.why, "the reason")
        ready = await service.ask("GET", "/readiness", token=None)
        job = await service.ask("POST", f"{API}/jobs", json={"room": "a"})
        own_server.start()
        await until(lambda: service.context.dispatcher.peek(), "registration")
        later = await service.ask("GET", "/readiness", token=None)

    assert (ready.status, ready.json) == (200, {"status": "degraded", "away": ["dispatcher"]})
    assert job.status == 201
    assert later.json["status"] == "ready"


async def test_a_key_that_the_server_does_not_know_is_told_and_not_shown(
    livekit: Server, tmp_path: Path
) -> None:
    secret = "canary-of-a-secret-that-this-server-never-saw"
    wanted = Wanted(settings=settings_for(livekit, "aic", LIVEKIT_API_SECRET=secret))
    async with service_in(tmp_path, wanted) as service:
        await until(lambda: "does not let" in service.context.dispatcher.state.why, "the reason")
        answer = await service.ask("GET", "/health/detailed")

    (part,) = [part for part in answer.json["parts"] if part["name"] == "dispatcher"]
    assert (part["ready"], part["needed"]) == (False, False)
    assert secret not in answer.text


async def test_a_key_that_is_put_there_later_is_let_in(livekit: Server) -> None:
    secrets = iter(["a-secret-that-the-server-does-not-know-yet", LIVEKIT_SECRET])
    part = Part[Registration]("dispatcher")
    async with Jobs(Played, clocks=Clocks(), new_id=lambda: "J") as jobs:

        def open_worker(registered: Callable[[str], None]) -> Worker:
            plan = Plan(access=access(livekit, next(secrets)), defaults=RelayRequest())
            return Worker(jobs, plan, agent_name="aic-late", version="0", registered=registered)

        registration = Registration(open_worker, part, again_s=0.01)
        keeping = asyncio.create_task(registration.keep())
        await until(lambda: part.state.ready, "registration")
        await registration.sign_off()
        await asyncio.wait_for(keeping, 20)


async def test_leases_are_not_asked_about_jobs_that_were_never_posted(
    livekit: Server, room: str, tmp_path: Path, shared_redis: RedisServer
) -> None:
    """Every round renews what is held; a job without a lease runs on, here alone."""
    async with (
        engine(tmp_path, livekit, "aic-lease", REDIS_URL=shared_redis.url) as service,
        client(shared_redis.url) as redis,
    ):
        await dispatch(livekit, "aic-lease", room)
        job = await the_job(service)
        here = service.context.jobs.get().here
        runner = HereRunner(here, lambda: service.context.settings.now, "engine-1")
        leases = RedisLeases(redis, "engine-1")
        keeper = JobKeeper(leases, runner, random=random.random)
        for _ in range(3):
            await keeper.round()
        await keeper.hand_over()
        running, posted, live = here.get(job["id"]), await leases.jobs(), await leases.live()
        stopped = await service.ask("DELETE", f"{API}/jobs/{job['id']}")
        await here.wait(job["id"])

    assert running.state is JobState.RUNNING
    assert posted == []
    assert [one.job_id for one in live] == [job["id"]]
    assert stopped.status == 202


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"LIVEKIT_URL": ""}, "agent.enabled"),
        ({"AURALINK_AGENT__TO_SERVER": "livekit_to"}, "agent.to_server"),
        ({"AURALINK_AGENT__DEFAULTS": '{"rate": "canary"}'}, "agent.defaults"),
    ],
)
async def test_settings_that_make_no_sense_are_refused(
    tmp_path: Path, changes: dict[str, str], named: str
) -> None:
    wanted = Wanted(settings={"AURALINK_AGENT__ENABLED": "true"} | changes)
    with pytest.raises(ConfigError, match=named) as refused:
        async with service_in(tmp_path, wanted):
            pass

    assert "canary" not in str(refused.value)


async def test_a_served_engine_takes_a_dispatch_and_ends_by_sigterm(
    livekit: Server, room: str, tmp_path: Path
) -> None:
    """A process, as it is run; its relay is in the room."""
    settings = settings_for(livekit, "aic-serve") | {
        "AURALINK_AUTH__SECRET": SECRET,
        "AURALINK_HTTP__PORT": "0",
        "AURALINK_GRPC__ENABLED": "false",
        "AURALINK_LOG__FORMAT": "text",
        "DATABASE_URL": f"sqlite:///{tmp_path / 'records.db'}",
    }
    # aioice never offers loopback, which is all that the server listens on; and a machine that runs
    # other tests is too busy for an engine that looks.
    program = (
        "from auralink.engine import cpu; cpu.CpuShare.__call__ = lambda self: 0.0;"
        "from auralink.engine.room import compat; compat.use_addresses(['127.0.0.1']);"
        "from auralink.engine.cli.main import main; main()"
    )
    process = await asyncio.create_subprocess_exec(
        *[sys.executable, "-c", program, "serve", "--drain", "60"],
        env=os.environ | settings,
        stderr=asyncio.subprocess.PIPE,
    )
    assert process.stderr is not None
    said = ""

    async def line(text: str) -> None:
        nonlocal said
        assert process.stderr is not None
        async with asyncio.timeout(60):
            while text not in (heard := (await process.stderr.readline()).decode()):
                assert heard, said
                said += heard
        said += heard

    try:
        await line("registered as")
        await dispatch(livekit, "aic-serve", room, '{"role": "receive"}')
        async with admin(livekit) as lk:
            await until_in(lk, room, "-down")
            process.terminate()
            await line("draining")
            assert process.returncode is None  # the job goes on
            await lk.room.delete_room(api.DeleteRoomRequest(room=room))
        async with asyncio.timeout(30):
            _, rest = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()

    assert process.returncode == 0, said + rest.decode()
    assert LIVEKIT_SECRET not in said + rest.decode()


async def until_in(lk: api.LiveKitAPI, room: str, ending: str) -> None:
    """Wait for a participant by the end of its identity."""
    async with asyncio.timeout(30):
        while True:
            there = await lk.room.list_participants(api.ListParticipantsRequest(room=room))
            if any(one.identity.endswith(ending) for one in there.participants):
                return
            await asyncio.sleep(0.1)
