"""Workers and the dispatcher of a real server."""

import asyncio
import time

import pytest
from livekit import api
from livekit.protocol import agent

from auralink.engine.agent.plan import Plan
from auralink.engine.agent.session import State
from auralink.engine.agent.worker import Worker
from auralink.engine.relay.job_values import JobState
from auralink.engine.relay.jobs import Jobs
from auralink.engine.relay.opening import Clocks, relay_opener
from auralink.engine.relay.request import RelayRequest
from auralink.engine.room.errors import AccessRefused
from auralink.engine.room.video_in import VideoIn

from ...codecs.pictures import moving
from ..room.people import camera, member, until
from ..room.server import Server
from .nodes import Played, access, admin, dispatch, node

SIZE = (320, 240)


async def test_a_dispatch_with_a_name_and_metadata_becomes_a_relay(
    livekit: Server, room: str
) -> None:
    """The whole way: an application asks, and a viewer sees the restored picture."""
    opener = relay_opener(version="0", clocks=Clocks())
    async with (
        node(livekit, "aic", open_relay=opener) as engine,
        member(livekit, room, "alice") as (alice, _),
        member(livekit, room + "-far", "bob") as (bob, seen),
        camera(alice, lambda index: moving(index % 60, SIZE)),
    ):
        asked = f'{{"to_room": "{room}-far", "rate_bps": 200000, "preset": 11}}'
        dispatched = await dispatch(livekit, "aic", room, asked)
        await until(lambda: seen.track("aic/alice/cam"), "the restored picture")
        video = VideoIn(time.monotonic)
        bob.subscribe_video(seen.track("aic/alice/cam"), video.push)
        async with asyncio.timeout(20):
            for _ in range(10):
                await video.take()
        (job,) = engine.jobs.list()
        assert job.state is JobState.RUNNING
        assert job.status is not None
        assert {one["identity"] for one in job.status["rooms"]} == {
            f"aic-{job.id}-src",
            f"aic-{job.id}-up",
            f"aic-{job.id}-down",
        }
        assert engine.jobs.request_key(job.id) == 2  # asked of both ends

        async with admin(livekit) as lk:
            await lk.agent_dispatch.delete_dispatch(dispatched, room)
        over = await asyncio.wait_for(engine.jobs.wait(job.id), 20)
        assert (over.state, over.reason) == (JobState.ENDED, "the dispatch was ended")


async def test_two_workers_share_rooms_and_a_full_one_gets_nothing(
    livekit: Server, room: str
) -> None:
    async with node(livekit, "aic", most=2) as one, node(livekit, "aic", most=2) as two:
        for number in range(4):
            await dispatch(livekit, "aic", f"{room}-{number}")
            await until(lambda n=number: len(one.played) + len(two.played) == n + 1, "assignment")
        await dispatch(livekit, "aic", f"{room}-too-many")
        await asyncio.sleep(0.5)

        assert (len(one.played), len(two.played)) == (2, 2)
        rooms = {played.settings.near.room for played in one.played + two.played}
        assert rooms == {f"{room}-{number}" for number in range(4)}


async def test_a_draining_worker_takes_nothing_more_and_ends_with_its_last_job(
    livekit: Server, room: str
) -> None:
    async with node(livekit, "aic") as old:
        await dispatch(livekit, "aic", room)
        await until(lambda: old.played, "assignment")
        old.worker.drain(60.0)
        async with node(livekit, "aic") as new:
            for number in range(3):
                await dispatch(livekit, "aic", f"{room}-{number}")
            await until(lambda: len(new.played) == 3, "the new worker takes them")

        assert len(old.played) == 1
        assert not old.task.done()
        old.played[0].over.set()  # its room closes
        async with asyncio.timeout(20):
            await old.task


async def test_told_twice_to_end_it_ends_at_once(livekit: Server, room: str) -> None:
    async with node(livekit, "aic") as engine:
        await dispatch(livekit, "aic", room)
        await until(lambda: engine.played, "assignment")
        engine.worker.drain(3600.0)
        engine.worker.drain(3600.0)
        async with asyncio.timeout(20):
            await engine.task

        (job,) = engine.jobs.list()
        assert (job.state, job.reason) == (
            JobState.ENDED,
            "the engine was told to end at once",
        )


async def test_jobs_outlive_the_server_and_are_told_of_at_the_next_registration(
    own_server: Server, room: str
) -> None:
    async with node(own_server, "aic") as engine:
        await dispatch(own_server, "aic", room)
        await until(lambda: engine.played, "assignment")
        own_server.stop()
        await until(lambda: engine.worker.session.state is not State.REGISTERED, "the loss")
        own_server.start()
        await until(lambda: engine.worker.session.counts.registrations == 2, "back again")

        assert [job.state for job in engine.jobs.list()] == [JobState.RUNNING]
        await dispatch(own_server, "aic", room + "-2")
        await until(lambda: len(engine.played) == 2, "and takes new jobs")


async def test_a_worker_for_publishers_gets_one_job_for_each(livekit: Server, room: str) -> None:
    async with node(livekit, "aicp", job_type=agent.JobType.JT_PUBLISHER) as engine:
        await dispatch(livekit, "aicp", room)
        async with (
            member(livekit, room, "alice") as (alice, _),
            camera(alice, lambda index: moving(index % 60, SIZE), fps=5),
        ):
            await until(lambda: engine.played, "assignment")

        (played,) = engine.played
        assert played.settings.options.identities == {"alice"}


async def test_wrong_metadata_starts_nothing_and_is_said(livekit: Server, room: str) -> None:
    async with node(livekit, "aic") as engine:
        await dispatch(livekit, "aic", room, '{"rate_bps": 5}')
        await until(lambda: any("rate_bps" in text for text in engine.told), "the reason")

        assert engine.jobs.list() == []
        await dispatch(livekit, "aic", room + "-2")
        await until(lambda: len(engine.played) == 1, "others are served")


async def test_a_closed_room_ends_its_job(livekit: Server, room: str) -> None:
    opener = relay_opener(version="0", clocks=Clocks())
    async with node(livekit, "aic", open_relay=opener) as engine:
        await dispatch(livekit, "aic", room, '{"role": "receive"}')
        await until(lambda: [job for job in engine.jobs.list() if job.state is JobState.RUNNING])
        async with admin(livekit) as lk:
            await lk.room.delete_room(api.DeleteRoomRequest(room=room))

        (job,) = engine.jobs.list()
        over = await asyncio.wait_for(engine.jobs.wait(job.id), 20)
        assert over.state is JobState.ENDED


async def test_a_key_that_may_not_register_ends_it_with_a_reason(livekit: Server) -> None:
    stranger = access(livekit, "not the secret of this server, by far")
    plan = Plan(access=stranger, defaults=RelayRequest())
    async with Jobs(Played, clocks=Clocks(), new_id=lambda: "J") as jobs:
        worker = Worker(jobs, plan, agent_name="aic", version="0")
        with pytest.raises(AccessRefused) as caught:
            await asyncio.wait_for(worker.run(), 20)

    assert "not the secret" not in str(caught.value)
