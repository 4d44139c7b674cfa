"""The asyncio shell: a real event loop, and a backend that does what the test says."""

import asyncio
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import pytest

from auralink.engine.inference.backend import BackendError, Media, Ran, Request
from auralink.engine.inference.breaker import Event, State, Transition
from auralink.engine.inference.breaker_config import BreakerConfig
from auralink.engine.inference.engine import Answered, InferenceEngine
from auralink.engine.inference.outcome import FrameOutcome


def now_us() -> int:
    return time.monotonic_ns() // 1_000


def request(stream: str = "s", *, span_us: int = 60_000_000, payload: str = "in") -> Request[str]:
    at_us = now_us()
    return Request(
        stream=stream,
        media=Media.VIDEO,
        model="net",
        size=(64, 64),
        captured_us=at_us,
        deadline_us=at_us + span_us,
        payload=payload,
    )


@dataclass
class Played:
    """A backend whose runs end when the test says so, or at once."""

    workers: int = 1
    hangs: bool = False
    error: Exception | None = None
    run_us: int = 100
    release: asyncio.Event = field(default_factory=asyncio.Event)
    started: asyncio.Event = field(default_factory=asyncio.Event)
    probed: asyncio.Event = field(default_factory=asyncio.Event)
    runs: int = 0
    probes: int = 0

    def serves(self, model: str) -> bool:
        return model == "net"

    async def run(self, request: Request[str]) -> Ran[str]:
        self.runs += 1
        self.started.set()
        if self.hangs:
            await self.release.wait()
        if self.error is not None:
            raise self.error
        return Ran(result=request.payload.upper(), run_us=self.run_us)

    async def probe(self, model: str) -> int:
        self.probes += 1
        self.probed.set()
        if self.hangs:
            await self.release.wait()
        if self.error is not None:
            raise self.error
        return self.run_us


@pytest.fixture
async def backend() -> AsyncIterator[Played]:
    played = Played()
    yield played
    played.release.set()


async def test_a_result_comes_back_with_its_times(backend: Played) -> None:
    told: list[Answered[str]] = []
    async with InferenceEngine(backend, told=lambda _, answered: told.append(answered)) as engine:
        answered = await engine.submit(request())

    assert (answered.outcome, answered.result) == (FrameOutcome.CODED, "IN")
    assert answered.run_us == 100
    assert 0 <= answered.waited_us <= answered.total_us
    assert told == [answered]


async def test_a_backend_that_hangs_is_answered_for_at_the_deadline(backend: Played) -> None:
    backend.hangs = True
    async with InferenceEngine(backend) as engine:
        answered = await engine.submit(request(span_us=20_000))
        backend.release.set()

    assert (answered.outcome, answered.result) == (FrameOutcome.LATE, None)


async def test_a_refusal_is_there_without_a_turn_of_the_event_loop(backend: Played) -> None:
    async with InferenceEngine(backend) as engine:
        engine.force("net", "open")
        future = engine.submit(request())

        assert future.done()
        assert (await future).outcome is FrameOutcome.BREAKER
    assert backend.runs == 0


@pytest.mark.parametrize("error", [BackendError("worker died"), RuntimeError("a fault of ours")])
async def test_a_failure_costs_one_frame(
    backend: Played, error: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    async with InferenceEngine(backend) as engine:
        backend.error = error
        failed = await engine.submit(request())
        backend.error = None
        good = await engine.submit(request())

    assert (failed.outcome, good.outcome) == (FrameOutcome.INVALID, FrameOutcome.CODED)
    logged = [record for record in caplog.records if record.levelname == "ERROR"]
    assert bool(logged) is isinstance(error, RuntimeError)


async def test_what_the_guard_refuses_reaches_nobody(backend: Played) -> None:
    async with InferenceEngine(backend, judge=lambda _, result: result != "BAD") as engine:
        bad = await engine.submit(request(payload="bad"))
        good = await engine.submit(request(payload="good"))

    assert (bad.outcome, bad.result) == (FrameOutcome.INVALID, None)
    assert good.result == "GOOD"


async def test_a_caller_that_went_away_disturbs_nobody(backend: Played) -> None:
    backend.hangs = True
    async with InferenceEngine(backend) as engine:
        gone = engine.submit(request("gone"))
        gone.cancel()
        backend.release.set()
        other = await engine.submit(request("other"))

        assert other.outcome is FrameOutcome.CODED
        assert engine.statistics().open == 0


async def test_closing_answers_all_and_cancels_what_does_not_end(backend: Played) -> None:
    backend.hangs = True
    engine = InferenceEngine(backend)
    running = engine.submit(request())
    await backend.started.wait()
    waiting = engine.submit(request())

    await engine.close(drain_s=0.01)

    assert (await running).outcome is FrameOutcome.CLOSING
    assert (await waiting).outcome is FrameOutcome.CLOSING
    assert (await engine.submit(request())).outcome is FrameOutcome.CLOSING
    told = engine.statistics()
    assert (told.open, told.schedule.running) == (0, 0)


async def test_a_thousand_callers_at_half_open_cause_exactly_k_probes(backend: Played) -> None:
    heard: list[Transition] = []
    closed = asyncio.Event()

    def switched(model: str, one: Transition) -> None:
        heard.append(one)
        if one.after is State.CLOSED:
            closed.set()

    config = BreakerConfig(
        window_calls=2, least_calls=2, open_us=20_000, open_most_us=20_000, probes=3
    )
    async with InferenceEngine(backend, breaker=config, switched=switched) as engine:
        backend.error = BackendError("broken")
        for _ in range(2):
            await engine.submit(request())
        backend.error = None
        refused = [(await engine.submit(request(f"{n}"))).outcome for n in range(1_000)]
        await closed.wait()
        after = await engine.submit(request())

    assert set(refused) == {FrameOutcome.BREAKER}
    assert backend.probes == 3
    assert backend.runs == 3
    assert after.outcome is FrameOutcome.CODED
    assert [one.event for one in heard] == [Event.TRIPPED, Event.WAITED, Event.PROBES_PASSED]


async def test_a_breaker_that_is_let_go_probes_by_itself_whatever_the_frames_do(
    backend: Played,
) -> None:
    closed = asyncio.Event()

    def switched(model: str, one: Transition) -> None:
        if one.after is State.CLOSED:
            closed.set()

    config = BreakerConfig(open_us=1_000, open_most_us=1_000)
    async with InferenceEngine(backend, breaker=config, switched=switched) as engine:
        engine.force("net", "open")
        await engine.submit(request())
        engine.force("net", None)
        await closed.wait()

    assert backend.probes == 3


async def test_a_probe_that_is_cancelled_gives_its_permit_back(backend: Played) -> None:
    config = BreakerConfig(window_calls=2, least_calls=2, open_us=1_000, open_most_us=1_000)
    engine = InferenceEngine(backend, breaker=config)
    backend.error = BackendError("broken")
    for _ in range(2):
        await engine.submit(request())
    backend.hangs = True
    await backend.probed.wait()

    await engine.close(drain_s=0.0)

    told = engine.statistics().breakers["net"]
    assert (told.probing, told.state) == (0, State.OPEN)


async def test_two_workers_run_two_at_a_time(backend: Played) -> None:
    backend.workers, backend.hangs = 2, True
    async with InferenceEngine(backend) as engine:
        futures = [engine.submit(request(f"{n}")) for n in range(3)]
        await backend.started.wait()
        await asyncio.sleep(0)

        assert backend.runs == 2
        backend.release.set()
        outcomes = {(await future).outcome for future in futures}

    assert outcomes == {FrameOutcome.CODED}
