"""Jobs: what is started, what is tried again, what ends, and what is told of it."""

import asyncio
import itertools
import json
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Any

import pytest

from auralink.codecs.errors import InputError
from auralink.engine.relay.access import Access
from auralink.engine.relay.errors import Draining, JobExists, JobsFull, JobUnknown
from auralink.engine.relay.job import Place, RelaySettings
from auralink.engine.relay.job_events import EventKind, JobEvents
from auralink.engine.relay.job_values import JobId, JobSpec, JobState
from auralink.engine.relay.jobs import Jobs
from auralink.engine.relay.opening import Clocks, Told
from auralink.engine.relay.restarts import RestartPolicy, Restarts, Run, Verdict
from auralink.engine.room.errors import (
    AccessRefused,
    ConnectionFailed,
    Duplicate,
    RoomEnded,
    RoomMissing,
    ServerBusy,
    ServerTooOld,
)

ACCESS = Access(url="ws://host", key="key", secret="hush-hush")


def spec(room: str = "room", tenant: str = "") -> JobSpec:
    place = Place(access=ACCESS, room=room)
    return JobSpec(settings=RelaySettings(near=place, far=place), tenant=tenant, label="call")


@dataclass
class Stage:
    """A relay that does what the test says."""

    told: Told
    connected: bool = False
    keys: list[str | None] = field(default_factory=list)
    stubborn: bool = False  # does not leave when asked
    over: asyncio.Future[None] = field(
        default_factory=lambda: asyncio.get_running_loop().create_future()
    )

    async def run(self) -> None:
        await self.over

    def leave(self) -> None:
        if not self.stubborn and not self.over.done():
            self.over.set_result(None)

    def want_key(self, track: str | None = None) -> int:
        self.keys.append(track)
        return 2

    def status(self) -> dict[str, Any]:
        return {"keys": len(self.keys)}

    def join(self) -> None:
        self.connected = True
        self.told("joined")

    def fail(self, error: Exception) -> None:
        self.over.set_exception(error)


@dataclass
class House:
    jobs: Jobs
    stages: list[Stage]

    async def stage(self, number: int = -1, count: int = 1) -> Stage:
        """The newest relay, once there are so many."""
        await tick(lambda: len(self.stages) >= count)
        return self.stages[number]


async def tick(true: Callable[[], object]) -> None:
    for _ in range(1000):
        if true():
            return
        await asyncio.sleep(0)
    pytest.fail("never came")


@pytest.fixture
async def house() -> AsyncIterator[House]:
    stages: list[Stage] = []

    def open_relay(settings: RelaySettings, told: Told) -> Stage:
        stages.append(Stage(told))
        return stages[-1]

    numbers = itertools.count(1)
    seconds = itertools.count(1000.0, 1.0)
    clocks = Clocks(
        monotonic=asyncio.get_running_loop().time,
        wall=lambda: next(seconds),
        random=lambda: 0.0,
    )
    policy = RestartPolicy(first_s=0.001, most_s=0.002, faults=2)
    async with Jobs(
        open_relay, clocks=clocks, new_id=lambda: f"J{next(numbers)}", most=3, policy=policy
    ) as jobs:
        yield House(jobs, stages)


async def test_a_job_starts_runs_once_its_bots_are_in_and_ends_when_asked(house: House) -> None:
    job = house.jobs.start(spec())
    assert house.jobs.get(job).state is JobState.STARTING

    (await house.stage()).join()
    assert house.jobs.get(job).state is JobState.RUNNING
    assert house.jobs.get(job).status == {"keys": 0}

    assert house.jobs.stop(job).state is JobState.DRAINING
    over = await house.jobs.wait(job)
    assert (over.state, over.reason, over.restarts) == (JobState.ENDED, "asked to stop", 0)
    assert over.status == {"keys": 0}  # what it came to is still told


async def test_a_job_may_be_stopped_before_its_relay_is_there(house: House) -> None:
    job = house.jobs.start(spec())
    house.jobs.stop(job)

    assert (await house.jobs.wait(job)).state is JobState.ENDED
    assert house.stages == []


async def test_a_fault_is_mended_by_a_new_relay(house: House) -> None:
    job = house.jobs.start(spec())
    (await house.stage()).fail(ZeroDivisionError())
    again = await house.stage(count=2)
    again.join()

    told = house.jobs.get(job)
    assert (told.state, told.restarts) == (JobState.RUNNING, 1)


async def test_a_fault_that_comes_back_at_once_ends_the_job_after_some_tries(house: House) -> None:
    job = house.jobs.start(spec())
    for count in (1, 2, 3):
        (await asyncio.wait_for(house.stage(count=count), 5)).fail(ZeroDivisionError("secret"))
        await asyncio.sleep(0.01)

    told = await house.jobs.wait(job)
    assert told.state is JobState.FAILED
    assert told.reason == "a fault of the engine: ZeroDivisionError (its log has more)"


async def test_what_another_try_cannot_mend_is_not_tried_again(house: House) -> None:
    job = house.jobs.start(spec())
    (await house.stage()).fail(Duplicate("taken"))

    told = await house.jobs.wait(job)
    assert (told.state, told.reason, told.restarts) == (JobState.FAILED, "taken", 0)


async def test_a_room_that_somebody_closed_is_an_end_and_no_failure(house: House) -> None:
    job = house.jobs.start(spec())
    (await house.stage()).fail(RoomEnded("the room was closed"))

    told = await house.jobs.wait(job)
    assert (told.state, told.reason) == (JobState.ENDED, "the room was closed")


async def test_no_more_jobs_than_may_and_room_again_once_one_is_over(house: House) -> None:
    jobs = house.jobs
    first, *_ = [jobs.start(spec()) for _ in range(3)]
    assert jobs.load == 1.0
    with pytest.raises(JobsFull, match="3 jobs"):
        jobs.start(spec())

    jobs.stop(first)
    await jobs.wait(first)
    assert jobs.load == pytest.approx(2 / 3)
    jobs.start(spec())


async def test_an_id_is_used_once_and_unknown_ones_are_named(house: House) -> None:
    given = house.jobs.start(spec(), JobId("AJ_1"))
    with pytest.raises(JobExists, match="AJ_1"):
        house.jobs.start(spec(), given)
    for ask in (house.jobs.get, house.jobs.stop, house.jobs.request_key):
        with pytest.raises(JobUnknown, match="AJ_2"):
            ask(JobId("AJ_2"))


async def test_keys_are_asked_of_the_relay_that_runs(house: House) -> None:
    job = house.jobs.start(spec())
    stage = await house.stage()

    assert house.jobs.request_key(job) == 2
    assert house.jobs.request_key(job, "TR_1") == 2
    assert stage.keys == [None, "TR_1"]


async def test_draining_takes_nothing_new_and_lets_jobs_end_by_themselves(house: House) -> None:
    jobs = house.jobs
    job = jobs.start(spec())
    stage = await house.stage()
    stage.join()
    draining = asyncio.create_task(jobs.drain(60.0))
    await tick(lambda: jobs.draining)

    assert jobs.get(job).state is JobState.DRAINING
    with pytest.raises(Draining):
        jobs.start(spec())
    stage.fail(RoomEnded("the room was closed"))
    await asyncio.wait_for(draining, 5)
    assert (jobs.get(job).state, jobs.get(job).reason) == (JobState.ENDED, "the room was closed")


async def test_at_the_deadline_jobs_are_stopped(house: House) -> None:
    job = house.jobs.start(spec())
    await house.stage()

    await asyncio.wait_for(house.jobs.drain(0.01), 5)
    assert house.jobs.get(job).state is JobState.ENDED
    assert house.jobs.get(job).reason == "the engine ended"


async def test_a_relay_that_does_not_leave_is_cancelled(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("auralink.engine.relay.jobs._LEAVE_S", 0.01)
    job = house.jobs.start(spec())
    (await house.stage()).stubborn = True
    house.jobs.stop(job)

    told = await asyncio.wait_for(house.jobs.wait(job), 5)
    assert told.state is JobState.ENDED
    assert "without a goodbye" in told.reason


async def test_listeners_hear_every_change_and_may_come_back(house: House) -> None:
    with house.jobs.events.subscribe() as heard:
        job = house.jobs.start(spec(tenant="acme"))
        (await house.stage()).join()
        house.jobs.stop(job)
        await house.jobs.wait(job)
        events = [await heard.next() for _ in range(house.jobs.events.newest)]

    states = [event.state.value for event in events if event.kind is EventKind.STATE]
    assert states == ["starting", "running", "draining", "ended"]
    assert {event.tenant for event in events} == {"acme"}
    with house.jobs.events.subscribe(after=events[1].number) as again:
        assert [await again.next() for _ in events[2:]] == events[2:]


async def test_a_listener_that_sleeps_loses_the_oldest_and_knows_how_many() -> None:
    events = JobEvents()

    def happen(text: str) -> None:
        events.add(
            at=0, job=JobId("J"), tenant="", kind=EventKind.NOTE, state=JobState.RUNNING, text=text
        )

    with events.subscribe() as slow:
        for number in range(1000):
            happen(str(number))
        first = await slow.next()

    assert int(first.text) == slow.missed > 0
    with events.subscribe(after=0) as late:
        first = await late.next()
    assert first.number == late.missed + 1


async def test_snapshots_are_plain_and_hold_no_secrets(house: House) -> None:
    house.jobs.start(spec(tenant="acme"))
    house.jobs.start(spec())

    (told,) = house.jobs.list(tenant="acme")
    text = json.dumps(told.plain()) + repr(told)
    assert '"room": "room"' in text
    assert "hush" not in text
    assert len(house.jobs.list()) == 2


@pytest.mark.parametrize(
    ("error", "joined", "renews", "verdict"),
    [
        (None, True, True, Verdict.END),
        (RoomEnded("closed"), True, True, Verdict.END),
        (AccessRefused("no"), False, True, Verdict.FAIL),
        (AccessRefused("expired"), True, False, Verdict.FAIL),
        (AccessRefused("expired"), True, True, Verdict.AGAIN),
        (RoomMissing("no"), True, True, Verdict.FAIL),
        (ServerTooOld("no"), True, True, Verdict.FAIL),
        (Duplicate("no"), True, True, Verdict.FAIL),
        (ServerBusy("later"), False, True, Verdict.AGAIN),
        (ConnectionFailed("later"), False, True, Verdict.AGAIN),
        (InputError("no key"), False, True, Verdict.FAIL),
        (OSError(), False, True, Verdict.AGAIN),
    ],
)
def test_what_the_end_of_a_run_means(
    error: Exception | None, joined: bool, renews: bool, verdict: Verdict
) -> None:
    run = Run(error=error, lasted_s=1, joined=joined, renews=renews)

    assert Restarts(RestartPolicy()).after(run, 0.5)[0] is verdict


def test_pauses_grow_to_a_minute_and_start_anew_after_a_healthy_run() -> None:
    restarts = Restarts(RestartPolicy())
    short = Run(error=ServerBusy("later"), lasted_s=1, joined=False, renews=True)
    pauses = [restarts.after(short, 1.0)[1] for _ in range(40)]

    assert pauses[:4] == [1, 2, 4, 8]
    assert pauses[-1] == 60
    healthy = Run(error=ServerBusy("later"), lasted_s=61, joined=True, renews=True)
    assert restarts.after(healthy, 1.0) == (Verdict.AGAIN, 1.0)
