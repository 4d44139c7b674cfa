"""The life of a frame, step by step; time and workers are played by the test."""

import random
from dataclasses import dataclass, field

import pytest

from auralink.codecs.errors import InputError
from auralink.engine.inference.backend import Media, Ran, Request
from auralink.engine.inference.breaker import State, Verdict
from auralink.engine.inference.breaker_config import BreakerConfig
from auralink.engine.inference.dispatch import Deliver, Dispatch, Probe, Start
from auralink.engine.inference.outcome import FrameOutcome
from auralink.engine.inference.schedule import Limits

MS = 1_000
_FORGOTTEN_US = 11_000 * MS  # what a breaker saw before
BREAKER = BreakerConfig(window_calls=4, least_calls=4, open_us=100 * MS, jitter=0.0)


def request(
    stream: str = "v",
    at_us: int = 0,
    *,
    media: Media = Media.VIDEO,
    span_us: int = 33 * MS,
    model: str = "net",
    tenant: str = "",
) -> Request[str]:
    return Request(
        stream=stream,
        media=media,
        model=model,
        size=(64, 64),
        captured_us=at_us,
        deadline_us=at_us + span_us,
        payload=stream,
        tenant=tenant,
    )


@dataclass
class Desk:
    """A dispatch, and what it wanted so far."""

    workers: int = 1
    models: set[str] = field(default_factory=lambda: {"net", "voice"})
    limits: Limits = field(default_factory=lambda: Limits(overhead_us=0))
    started: list[int] = field(default_factory=list)
    answers: dict[int, FrameOutcome] = field(default_factory=dict)
    results: dict[int, str | None] = field(default_factory=dict)
    probes: list[Probe] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.dispatch: Dispatch[str, str] = Dispatch(
            self.workers,
            serves=lambda model: model in self.models,
            rng=random.Random(0),
            limits=self.limits,
            breaker=BREAKER,
        )

    def submit(self, one: Request[str], now_us: int | None = None) -> int:
        number = self.dispatch.submit(one, one.captured_us if now_us is None else now_us)
        self.collect()
        return number

    def returned(self, number: int, run_us: int | None, now_us: int, *, sound: bool = True) -> None:
        ran = None if run_us is None else Ran(result=f"made of {number}", run_us=run_us)
        self.dispatch.returned(number, ran, now_us, sound=sound)
        self.collect()

    def tick(self, now_us: int) -> None:
        self.dispatch.tick(now_us)
        self.collect()

    def collect(self) -> None:
        for action in self.dispatch.take():
            match action:
                case Start(number):
                    self.started.append(number)
                case Deliver(number, outcome, result):
                    assert number not in self.answers
                    self.answers[number], self.results[number] = outcome, result
                case Probe():
                    self.probes.append(action)


def learned(desk: Desk, run_us: int, model: str = "net") -> int:
    """Runs a model a few times, so that its cost is known; returns when that was over."""
    for turn in range(60):
        at_us = turn * 500 * MS
        number = desk.submit(request(f"to {model}", at_us, model=model, span_us=490 * MS))
        desk.returned(number, run_us, at_us + run_us)
    desk.started.clear()
    return 29_700 * MS


def test_a_frame_runs_and_its_result_is_delivered() -> None:
    desk = Desk()
    number = desk.submit(request())
    desk.returned(number, 8 * MS, 9 * MS)

    assert desk.started == [number]
    assert desk.answers == {number: FrameOutcome.CODED}
    assert desk.results[number] == f"made of {number}"
    desk.dispatch.check_books()


def test_without_a_model_it_falls_back_at_once() -> None:
    desk = Desk(models=set())
    number = desk.submit(request())

    assert desk.answers == {number: FrameOutcome.NO_MODEL}


def test_at_its_deadline_a_frame_is_answered_and_a_late_result_changes_nothing() -> None:
    desk = Desk()
    number = desk.submit(request())
    assert desk.dispatch.due_us == 33 * MS

    desk.tick(33 * MS)
    answered = dict(desk.answers)
    desk.returned(number, 50 * MS, 50 * MS)

    assert answered == desk.answers == {number: FrameOutcome.LATE}
    desk.dispatch.check_books()


def test_a_result_that_beats_the_timer_but_not_the_deadline_is_late() -> None:
    desk = Desk()
    number = desk.submit(request())

    desk.returned(number, 8 * MS, 33 * MS + 1)

    assert desk.answers == {number: FrameOutcome.LATE}
    assert desk.results[number] is None


def test_a_stream_goes_on_at_another_worker_once_its_late_frame_was_answered() -> None:
    desk = Desk(workers=2)
    at_us = learned(desk, 5 * MS)
    hung = desk.submit(request("v", at_us))
    desk.tick(at_us + 33 * MS)

    following = desk.submit(request("v", at_us + 34 * MS))

    assert desk.answers == desk.answers | {hung: FrameOutcome.LATE}
    assert desk.started == [hung, following]


def test_a_failed_run_and_a_refused_result_are_invalid() -> None:
    desk = Desk()
    failed = desk.submit(request("a"))
    desk.returned(failed, None, 5 * MS)
    refused = desk.submit(request("b", 6 * MS))
    desk.returned(refused, 5 * MS, 11 * MS, sound=False)

    assert set(desk.answers.values()) == {FrameOutcome.INVALID}
    assert desk.results[refused] is None


def test_what_cannot_meet_its_deadline_is_refused_at_once() -> None:
    desk = Desk()
    at_us = learned(desk, 15 * MS)
    numbers = [desk.submit(request(f"v{n}", at_us)) for n in range(4)]

    assert desk.started == numbers[:1]  # two of 15 ms fit into 33, on one worker
    assert [desk.answers.get(n) for n in numbers] == [None, None, *[FrameOutcome.REFUSED] * 2]


def test_the_next_frame_is_with_the_worker_before_the_one_that_runs_is_done() -> None:
    desk = Desk()
    at_us = learned(desk, 15 * MS)
    numbers = [desk.submit(request(f"v{n}", at_us)) for n in range(2)]
    due_us = desk.dispatch.due_us
    assert due_us is not None

    desk.tick(due_us)

    assert at_us + 12 * MS < due_us < at_us + 15 * MS
    assert desk.started == numbers


def test_more_workers_take_more() -> None:
    desk = Desk(workers=3)
    at_us = learned(desk, 15 * MS)
    numbers = [desk.submit(request(f"v{n}", at_us)) for n in range(8)]

    refused = [n for n in numbers if desk.answers.get(n) is FrameOutcome.REFUSED]
    assert len(refused) == 2


def test_the_newest_picture_of_a_stream_takes_the_place_of_the_one_that_waits() -> None:
    desk = Desk()
    running, old, new = (desk.submit(request(at_us=n * MS)) for n in range(3))

    assert desk.started == [running]  # one of a stream at a time
    assert desk.answers == {old: FrameOutcome.STALE}
    desk.returned(running, 5 * MS, 6 * MS)
    assert desk.started == [running, new]


def test_two_blocks_of_sound_may_wait() -> None:
    desk = Desk()
    audio = [request("a", n * MS, media=Media.AUDIO, span_us=20 * MS) for n in range(4)]
    running, first, second, third = (desk.submit(one) for one in audio)

    assert desk.answers == {first: FrameOutcome.STALE}
    desk.returned(running, 2 * MS, 5 * MS)
    desk.returned(second, 2 * MS, 7 * MS)
    assert desk.started == [running, second, third]


def test_sound_goes_before_pictures_that_came_earlier() -> None:
    desk = Desk()
    at_us = learned(desk, 4 * MS)
    pictures = [desk.submit(request(f"v{n}", at_us)) for n in range(4)]
    sound = desk.submit(request("a", at_us, media=Media.AUDIO, span_us=20 * MS, model="voice"))
    desk.returned(pictures[0], 4 * MS, at_us + 4 * MS)

    assert desk.started[:2] == [pictures[0], sound]


def test_sound_that_waits_is_counted_before_a_picture() -> None:
    desk = Desk()
    at_us = learned(desk, 6 * MS)
    voice_us = learned(desk, 5 * MS, "voice")
    assert voice_us == at_us
    for number in range(3):
        sound = request(f"a{number}", at_us, media=Media.AUDIO, span_us=60 * MS, model="voice")
        desk.submit(sound)

    tight = desk.submit(request("v", at_us, span_us=20 * MS))
    wide = desk.submit(request("w", at_us, span_us=30 * MS))

    assert desk.answers[tight] is FrameOutcome.REFUSED  # 15 of sound and 6 of its own
    assert wide not in desk.answers


def test_while_sound_flows_a_slow_model_does_not_block_the_only_worker() -> None:
    desk = Desk()
    at_us = learned(desk, 25 * MS)
    learned(desk, 2 * MS, "voice")
    sound = request("a", at_us, media=Media.AUDIO, span_us=20 * MS, model="voice")
    desk.returned(desk.submit(sound), 2 * MS, at_us + 2 * MS)

    number = desk.submit(request("v", at_us + 3 * MS))

    assert desk.answers[number] is FrameOutcome.REFUSED


def test_on_two_workers_it_may_run_as_one_stays_free() -> None:
    desk = Desk(workers=2)
    at_us = learned(desk, 25 * MS)
    learned(desk, 2 * MS, "voice")
    sound = request("a", at_us, media=Media.AUDIO, span_us=20 * MS, model="voice")
    desk.returned(desk.submit(sound), 2 * MS, at_us + 2 * MS)

    numbers = [desk.submit(request(f"v{n}", at_us + 3 * MS)) for n in range(2)]

    assert numbers[0] in desk.started
    assert desk.answers[numbers[1]] is FrameOutcome.REFUSED


def test_an_estimate_that_became_too_high_comes_down_again() -> None:
    desk = Desk()
    at_us = learned(desk, 100 * MS)  # a machine that was busy: longer than any deadline
    answers = []
    for turn in range(300):
        now_us = at_us + turn * 33 * MS
        number = desk.submit(request("v", now_us))
        if number in desk.started:
            desk.returned(number, 5 * MS, now_us + 5 * MS)
        answers.append(desk.answers[number])

    assert answers[0] is FrameOutcome.REFUSED
    assert answers[60:] == [FrameOutcome.CODED] * 240  # two seconds later


def test_a_model_that_is_too_slow_for_good_is_tried_four_times_a_second_and_no_more() -> None:
    desk = Desk()
    at_us = learned(desk, 100 * MS)
    for turn in range(300):
        now_us = at_us + turn * 33 * MS
        number = desk.submit(request("v", now_us))
        if number in desk.started:
            desk.tick(now_us + 33 * MS)
            desk.dispatch.breaker("net").force_closed(now_us)
            desk.returned(number, 100 * MS, now_us + 33 * MS)

    assert len(desk.started) <= 300 * 33 / 250 + 1


def test_frames_fall_back_while_the_breaker_is_open_and_golden_vectors_close_it() -> None:
    desk = Desk()
    for turn in range(4):
        desk.returned(desk.submit(request(at_us=turn * 40 * MS)), None, turn * 40 * MS + MS)
    assert desk.dispatch.breaker("net").state is State.OPEN
    blocked = desk.submit(request(at_us=150 * MS))
    assert desk.answers[blocked] is FrameOutcome.BREAKER

    due_us = desk.dispatch.due_us
    assert due_us == 221 * MS
    desk.tick(due_us)
    for turn in range(3):
        assert len(desk.probes) == turn + 1  # one after the other
        desk.dispatch.probed(desk.probes[-1], Verdict.GOOD, due_us + turn)
        desk.collect()

    assert desk.dispatch.breaker("net").state is State.CLOSED
    assert desk.submit(request(at_us=300 * MS)) in desk.started


def test_a_breaker_that_opens_reaches_the_frames_that_wait() -> None:
    desk = Desk()
    at_us = learned(desk, 3 * MS) + _FORGOTTEN_US
    numbers = [desk.submit(request(f"v{n}", at_us)) for n in range(8)]
    for number in numbers[:4]:
        desk.returned(number, None, at_us + MS)

    assert [desk.answers[n] for n in numbers[:4]] == [FrameOutcome.INVALID] * 4
    assert [desk.answers.get(n) for n in numbers[4:]] == [FrameOutcome.BREAKER] * 4


def test_another_model_is_not_touched_by_it() -> None:
    desk = Desk()
    desk.dispatch.breaker("net").force_open(0)

    assert desk.answers.get(desk.submit(request("a"))) is FrameOutcome.BREAKER
    assert desk.submit(request("b", model="voice")) in desk.started


def test_a_stalled_worker_opens_the_breaker_by_slow_calls_alone() -> None:
    desk = Desk()
    at_us = learned(desk, 5 * MS) + _FORGOTTEN_US
    for turn in range(4):
        now_us = at_us + turn * 2_000 * MS
        number = desk.submit(request(f"v{turn}", now_us))
        desk.tick(now_us + 33 * MS)
        assert desk.answers[number] is FrameOutcome.LATE
        assert desk.dispatch.breaker("net").state is (State.OPEN if turn == 3 else State.CLOSED)
        desk.returned(number, None, now_us + 1_000 * MS)

    assert desk.dispatch.breaker("net").state is State.OPEN


def test_behind_a_worker_that_hangs_frames_are_refused_and_not_queued() -> None:
    desk = Desk()
    at_us = learned(desk, 5 * MS)
    desk.submit(request("hung", at_us))

    number = desk.submit(request("next", at_us + 20 * MS))

    assert desk.answers[number] is FrameOutcome.REFUSED


def test_waiting_long_at_a_full_engine_is_no_fault_of_the_model() -> None:
    desk = Desk()
    at_us = learned(desk, 14 * MS)
    for turn in range(8):
        now_us = at_us + turn * 100 * MS
        first, second = (desk.submit(request(f"{turn}.{n}", now_us)) for n in range(2))
        desk.tick(now_us + 13 * MS)
        desk.returned(first, 14 * MS, now_us + 20 * MS)
        desk.tick(now_us + 33 * MS)
        desk.returned(second, 14 * MS, now_us + 34 * MS)
        assert desk.answers[second] is FrameOutcome.LATE

    assert desk.dispatch.breaker("net").state is State.CLOSED


def test_a_flood_of_streams_meets_the_bound_and_disturbs_nobody() -> None:
    desk = Desk(limits=Limits(streams=4, overhead_us=0))
    desk.returned(desk.submit(request("good")), MS, MS)
    flood = [desk.submit(request(f"s{n}", 2 * MS)) for n in range(10_000)]
    good = desk.submit(request("good", 3 * MS))

    told = desk.dispatch.schedule
    assert told.streams == 4
    assert sum(desk.answers.get(n) is FrameOutcome.REFUSED for n in flood) >= 9_997
    assert desk.answers.get(good) is not FrameOutcome.REFUSED


def test_streams_that_fell_silent_make_room() -> None:
    desk = Desk(limits=Limits(streams=1, overhead_us=0))
    desk.returned(desk.submit(request("old")), MS, MS)

    early = desk.submit(request("new", 4_000 * MS))
    late = desk.submit(request("new", 6_000 * MS))

    assert desk.answers[early] is FrameOutcome.REFUSED
    assert late in desk.started


def test_a_time_that_goes_back_is_stale() -> None:
    desk = Desk()
    desk.returned(desk.submit(request(at_us=50 * MS)), MS, 51 * MS)

    number = desk.submit(request(at_us=49 * MS), now_us=52 * MS)

    assert desk.answers[number] is FrameOutcome.STALE


def test_what_comes_after_its_deadline_is_late() -> None:
    desk = Desk()

    assert desk.answers[desk.submit(request(), now_us=33 * MS)] is FrameOutcome.LATE


def test_closing_answers_what_waits_and_lets_the_rest_end() -> None:
    desk = Desk()
    running = desk.submit(request(at_us=0))
    waiting = desk.submit(request(at_us=1))

    desk.dispatch.close()
    desk.collect()
    after = desk.submit(request("other", 2))
    desk.returned(running, 5 * MS, 5 * MS)

    assert desk.answers == {
        waiting: FrameOutcome.CLOSING,
        after: FrameOutcome.CLOSING,
        running: FrameOutcome.CODED,
    }
    desk.dispatch.check_books()


def test_a_cancelled_run_says_nothing_about_the_model() -> None:
    desk = Desk()
    for turn in range(20):
        number = desk.submit(request(at_us=turn * 40 * MS))
        desk.dispatch.abandoned(number, turn * 40 * MS + 1)
        desk.collect()

    assert desk.dispatch.breaker("net").state is State.CLOSED
    assert set(desk.answers.values()) == {FrameOutcome.CLOSING}


@pytest.mark.parametrize(("size", "span_us"), [((0, 0), 1), ((8, 0), 1), ((8, 8), 0), ((8, 8), -5)])
def test_a_request_that_no_model_can_serve_is_the_callers_fault(
    size: tuple[int, int], span_us: int
) -> None:
    with pytest.raises(InputError, match="stream s"):
        Request(
            stream="s",
            media=Media.VIDEO,
            model="net",
            size=size,
            captured_us=0,
            deadline_us=span_us,
            payload="",
        )


def watched(desk: Desk, cameras: dict[str, tuple[str, int]]) -> dict[int, list[str]]:
    """Which streams had a frame made, by second, over twelve of them, where a run takes 10 ms.

    Args:
        cameras: tenant of each, and the millisecond when it begins.
    """
    chance = random.Random(3)
    due = [(at * MS + chance.randrange(33 * MS), name) for name, (_, at) in cameras.items()]
    now_us, returns_us, streams, coded = 0, None, {}, {}
    while now_us < 12_000 * MS:
        due.sort()
        ticks = [at for at in (desk.dispatch.due_us, returns_us) if at is not None]
        now_us = max(now_us, min([due[0][0], *ticks]))
        if returns_us is not None and returns_us <= now_us:
            done, returns_us = desk.started.pop(0), None
            desk.returned(done, 10 * MS, now_us)
        elif due[0][0] <= now_us:
            at_us, stream = due.pop(0)
            one = request(stream, at_us, tenant=cameras[stream][0])
            streams[desk.submit(one, now_us)] = stream, at_us
            due.append((at_us + 33 * MS + chance.randrange(-MS, MS), stream))
        else:
            desk.tick(now_us)
        if returns_us is None and desk.started:
            returns_us = now_us + 10 * MS
    for number, outcome in desk.answers.items():
        if outcome is FrameOutcome.CODED:
            stream, at_us = streams[number]
            coded.setdefault(at_us // 1_000_000, []).append(stream)
    return coded


def test_where_there_is_too_much_those_that_are_served_stay_served() -> None:
    """Sixty cameras, and time for about three: what was sharp in one second is so in the next."""
    coded = watched(Desk(), {f"v{number}": ("", 0) for number in range(60)})

    for second in range(3, 11):
        made = coded[second]
        regular = {stream for stream in made if made.count(stream) > 15}
        assert len(made) > 80  # nothing of the worker's time is given away
        assert sum(made.count(stream) for stream in regular) > 0.5 * len(made)
    assert len({stream for second in range(3, 11) for stream in coded[second]}) < 30


def test_a_tenant_that_comes_into_a_crowd_has_its_share() -> None:
    cameras = {f"v{number}": ("loud", 0) for number in range(60)}

    coded = watched(Desk(), cameras | {"quiet": ("quiet", 6_000)})

    assert all(coded[second].count("quiet") >= 25 for second in range(7, 11))  # of 30


def test_a_stream_that_comes_later_finds_its_place_where_there_is_room() -> None:
    desk = Desk()
    at_us = learned(desk, 14 * MS)
    outcomes = []
    for turn in range(20):  # two cameras that take their pictures at the same moment
        now_us = at_us + turn * 33 * MS
        first = desk.submit(request("a", now_us))
        second = desk.submit(request("b", now_us))
        desk.returned(first, 14 * MS, now_us + 14 * MS)
        if second in desk.started:
            desk.returned(second, 14 * MS, now_us + 28 * MS)
        outcomes.append(desk.answers[second])

    assert set(outcomes) == {FrameOutcome.CODED}
