"""The breaker, driven faster than real time by passing the time."""

import random
from collections import Counter
from dataclasses import replace

import pytest

from auralink.codecs.errors import InputError
from auralink.engine.inference.breaker import (
    TRANSITIONS,
    Breaker,
    Call,
    Event,
    Permit,
    State,
    Transition,
    Verdict,
)
from auralink.engine.inference.breaker_config import BreakerConfig

CONFIG = BreakerConfig(
    window_calls=8,
    window_us=10_000,
    least_calls=4,
    open_us=1_000,
    open_most_us=8_000,
    jitter=0.0,
    probes=3,
    half_open_us=500,
)


def breaker(config: BreakerConfig = CONFIG, told: list[Transition] | None = None) -> Breaker:
    heard = [] if told is None else told
    return Breaker(config, rng=random.Random(1), told=heard.append)


def call(subject: Breaker, verdict: Verdict, now_us: int) -> None:
    leave = subject.admit(now_us)
    assert leave is not None
    subject.record(leave, verdict, now_us)


def trip(subject: Breaker, now_us: int = 0) -> None:
    for _ in range(CONFIG.least_calls):
        call(subject, Verdict.FAILED, now_us)


def permits(subject: Breaker, now_us: int, asked: int = 1_000) -> list[Permit]:
    given = (subject.probe(now_us) for _ in range(asked))
    return [permit for permit in given if permit is not None]


def test_opens_when_half_of_the_calls_fail_but_not_before_it_has_seen_enough() -> None:
    subject = breaker()
    for verdict in (Verdict.FAILED, Verdict.GOOD, Verdict.FAILED):
        call(subject, verdict, 0)
    before = subject.state

    call(subject, Verdict.FAILED, 0)

    assert (before, subject.state) == (State.CLOSED, State.OPEN)
    assert subject.admit(1) is None


def test_slow_calls_open_it_as_well() -> None:
    subject = breaker()
    for verdict in (Verdict.SLOW, Verdict.GOOD, Verdict.GOOD, Verdict.SLOW):
        call(subject, verdict, 0)

    assert subject.state is State.OPEN


def test_old_calls_do_not_count() -> None:
    subject = breaker()
    for _ in range(3):
        call(subject, Verdict.FAILED, 0)

    call(subject, Verdict.FAILED, CONFIG.window_us + 1)

    assert subject.state is State.CLOSED


def test_only_the_last_calls_count() -> None:
    subject = breaker(replace(CONFIG, least_calls=8))
    for _ in range(3):
        call(subject, Verdict.FAILED, 0)
    for _ in range(5):
        call(subject, Verdict.GOOD, 0)
    for _ in range(3):  # each pushes a failure out
        call(subject, Verdict.FAILED, 0)

    assert subject.statistics(0).failed == 3
    assert subject.state is State.CLOSED


def test_a_cancelled_call_says_nothing() -> None:
    subject = breaker()
    for _ in range(100):
        call(subject, Verdict.ABANDONED, 0)

    assert subject.statistics(0).calls == 0


def test_a_thousand_ask_and_exactly_k_may_probe() -> None:
    subject = breaker()
    trip(subject)

    assert permits(subject, 999) == []
    assert len(permits(subject, 1_000)) == CONFIG.probes
    assert subject.state is State.HALF_OPEN
    assert subject.admit(1_000) is None  # a user's frame is no probe


def test_all_probes_must_pass() -> None:
    subject = breaker()
    trip(subject)
    first, second, third = permits(subject, 1_000)
    subject.record_probe(first, Verdict.GOOD, 1_010)
    subject.record_probe(second, Verdict.GOOD, 1_010)
    before = subject.state

    subject.record_probe(third, Verdict.GOOD, 1_020)

    assert (before, subject.state) == (State.HALF_OPEN, State.CLOSED)
    assert subject.admit(1_020) is not None


def test_one_probe_told_three_times_does_not_close_it() -> None:
    subject = breaker()
    trip(subject)
    first, *_ = permits(subject, 1_000)
    for _ in range(3):
        subject.record_probe(first, Verdict.GOOD, 1_010)

    assert subject.state is State.HALF_OPEN


@pytest.mark.parametrize("verdict", [Verdict.FAILED, Verdict.SLOW])
def test_a_bad_probe_opens_it_for_twice_as_long(verdict: Verdict) -> None:
    subject = breaker()
    trip(subject)

    subject.record_probe(permits(subject, 1_000)[0], verdict, 1_000)

    assert subject.state is State.OPEN
    assert permits(subject, 2_999) == []
    assert len(permits(subject, 3_000)) == CONFIG.probes


def test_a_cancelled_probe_restarts_the_same_wait() -> None:
    subject = breaker()
    trip(subject)

    subject.record_probe(permits(subject, 1_000)[0], Verdict.ABANDONED, 1_100)

    assert subject.state is State.OPEN
    assert permits(subject, 2_099) == []
    assert len(permits(subject, 2_100)) == CONFIG.probes


def test_a_probe_that_hangs_does_not_wedge_it() -> None:
    subject = breaker()
    trip(subject)
    hung, *_ = permits(subject, 1_000)

    subject.tick(1_500)
    again = permits(subject, 1_500 + 2_000)
    subject.record_probe(hung, Verdict.FAILED, 3_600)  # long after: changes nothing

    assert subject.state is State.HALF_OPEN
    assert len(again) == CONFIG.probes
    assert subject.statistics(3_600).outdated == 1


def test_waits_double_up_to_a_limit_and_start_over_after_a_good_time() -> None:
    subject = breaker()
    trip(subject)
    waits, now_us = [], 0
    for _ in range(5):
        assert subject.due_us is not None
        waits.append(subject.due_us - now_us)
        now_us = subject.due_us
        subject.record_probe(permits(subject, now_us)[0], Verdict.FAILED, now_us)
    assert waits == [1_000, 2_000, 4_000, 8_000, 8_000]

    assert subject.due_us is not None
    now_us = subject.due_us
    for permit in permits(subject, now_us):
        subject.record_probe(permit, Verdict.GOOD, now_us)
    trip(subject, now_us + 8_001)

    assert subject.due_us == now_us + 8_001 + 1_000


def test_one_that_flaps_waits_longer_each_time() -> None:
    subject = breaker()
    trip(subject)
    for permit in permits(subject, 1_000):
        subject.record_probe(permit, Verdict.GOOD, 1_000)

    trip(subject, 1_001)

    assert subject.due_us == 1_001 + 2_000


def test_jitter_is_drawn_from_the_seed_and_stays_in_its_share() -> None:
    config = replace(CONFIG, jitter=0.2, open_us=1_000_000, open_most_us=1_000_000)
    waits = []
    for seed in range(50):
        subject = Breaker(config, rng=random.Random(seed))
        trip(subject)
        waits.append(subject.due_us or 0)

    assert 800_000 <= min(waits) < 850_000
    assert 1_150_000 < max(waits) <= 1_200_000


def test_answers_from_before_the_trip_do_not_touch_the_new_state() -> None:
    subject = breaker()
    late = [subject.admit(0) for _ in range(20)]
    trip(subject)
    for permit in permits(subject, 1_000):
        subject.record_probe(permit, Verdict.GOOD, 1_000)

    for leave in late:
        assert leave is not None
        subject.record(leave, Verdict.FAILED, 1_001)

    assert subject.state is State.CLOSED
    assert subject.statistics(1_001).calls == 0
    assert subject.statistics(1_001).outdated == 20


def test_an_operator_can_hold_it_open_or_closed() -> None:
    subject = breaker()
    subject.force_open(0)
    assert subject.admit(0) is None
    assert permits(subject, 10**9) == []

    subject.force_closed(10**9)
    for _ in range(50):
        call(subject, Verdict.FAILED, 10**9)
    told = subject.statistics(10**9)

    assert told.state is State.FORCED_CLOSED
    subject.release(10**9)
    assert (subject.state, told.calls) == (State.CLOSED, 0)


def test_released_from_open_it_probes_before_it_closes() -> None:
    subject = breaker()
    subject.force_open(0)

    subject.release(50)

    assert subject.state is State.OPEN
    assert subject.due_us == 50 + 1_000


def test_a_clock_that_steps_back_delays_it_but_does_not_stop_it() -> None:
    subject = breaker()
    trip(subject, 10**12)
    subject.tick(0)

    assert permits(subject, 999) == []
    assert len(permits(subject, 1_000)) == CONFIG.probes


def test_every_transition_is_told_with_its_generation() -> None:
    told: list[Transition] = []
    subject = breaker(told=told)
    trip(subject, 5)
    subject.record_probe(permits(subject, 1_005)[0], Verdict.FAILED, 1_006)

    assert [(one.event, one.at_us, one.generation) for one in told] == [
        (Event.TRIPPED, 5, 1),
        (Event.WAITED, 1_005, 2),
        (Event.PROBE_FAILED, 1_006, 3),
    ]


def test_statistics_say_when_it_will_try_again() -> None:
    subject = breaker()
    trip(subject)
    subject.admit(400)

    told = subject.statistics(400)

    assert (told.state, told.trips, told.refused, told.retry_at_us) == (State.OPEN, 1, 1, 1_000)


@pytest.mark.parametrize(
    "wrong",
    [
        {"least_calls": 21},
        {"failed_share": 0.0},
        {"slow_share": 1.1},
        {"probes": 0},
        {"jitter": 1.0},
        {"open_us": 0},
        {"open_us": 31_000_000},
        {"half_open_us": 0},
    ],
)
def test_a_config_that_cannot_work_is_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(InputError):
        BreakerConfig(**wrong)  # type: ignore[arg-type]


def test_every_state_can_be_left_and_reached() -> None:
    assert {before for before, _ in TRANSITIONS} == set(State)
    assert set(TRANSITIONS.values()) == set(State)


def test_survives_a_million_random_events() -> None:
    """Calls and probes that answer late, twice or never, cancels, clock jumps, operators."""
    torture = Torture(seed=20_260_101)

    torture.run(1_000_000)

    assert torture.seen == set(TRANSITIONS)  # or the test would have missed a part of the table
    assert torture.counts["outdated"] > 1_000


class Torture:
    """Random events against a breaker, with the promises checked as they happen."""

    def __init__(self, seed: int) -> None:
        self.rng = random.Random(seed)
        self.seen: set[tuple[State, Event]] = set()
        self.counts: Counter[str] = Counter()
        self.state = State.CLOSED
        self.generation = 0
        self.fresh = 0  # permits given in this generation
        self.subject = Breaker(replace(CONFIG, jitter=0.2), rng=self.rng, told=self.told)

    def told(self, one: Transition) -> None:
        assert TRANSITIONS[one.before, one.event] is one.after
        assert one.before is self.state
        assert one.generation == self.generation + 1
        self.state, self.generation, self.fresh = one.after, one.generation, 0
        self.seen.add((one.before, one.event))

    def run(self, events: int) -> None:
        subject, draw = self.subject, self.rng.random
        verdicts = tuple(Verdict)
        calls: list[Call] = []
        probes: list[Permit] = []
        now_us, health = 0, 0.5
        for number in range(events):
            what = draw()
            if number % 997 == 0:
                health = draw()  # good and bad times
            if what < 0.45:
                leave = subject.admit(now_us)
                passes = self.state in (State.CLOSED, State.FORCED_CLOSED)
                assert (leave is not None) is passes
                if leave is not None:
                    calls.append(leave)
            elif what < 0.75 and calls:
                leave = calls.pop(int(draw() * len(calls)))
                verdict = Verdict.GOOD if draw() < health else verdicts[int(draw() * 4)]
                if leave.generation == self.generation:
                    subject.record(leave, verdict, now_us)
                else:
                    self.outdated(leave, verdict, now_us)
            elif what < 0.85:
                permit = subject.probe(now_us)
                if permit is not None:
                    self.fresh += 1
                    assert self.state is State.HALF_OPEN
                    assert self.fresh <= CONFIG.probes
                    probes.append(permit)
            elif what < 0.95 and probes:
                at = int(draw() * len(probes))
                permit = probes[at] if draw() < 0.1 else probes.pop(at)  # told twice, now and then
                subject.record_probe(permit, self.verdict(health), now_us)
            elif what < 0.997:
                now_us += int(draw() * 200)
            elif what < 0.998:
                now_us += int((draw() - 0.5) * 10**10)  # hours, either way
            else:
                self.operate(now_us)
            if len(calls) > 200:
                calls.clear()  # cancelled by somebody who told nobody
            if len(probes) > 20:
                probes.clear()
            if number % 50_000 == 0:
                self.recovers(now_us)

    def outdated(self, leave: Call, verdict: Verdict, now_us: int) -> None:
        """An answer out of an older generation: nothing may move."""
        before = self.subject.statistics(now_us)
        self.subject.record(leave, verdict, now_us)
        after = self.subject.statistics(now_us)
        assert after == replace(before, outdated=before.outdated + 1)
        self.counts["outdated"] += 1

    def verdict(self, health: float) -> Verdict:
        draw = self.rng.random
        return Verdict.GOOD if draw() < health else tuple(Verdict)[int(draw() * 4)]

    def operate(self, now_us: int) -> None:
        subject = self.subject
        do = self.rng.choice((subject.force_open, subject.force_closed, subject.release))
        do(now_us)
        if self.state in (State.FORCED_OPEN, State.FORCED_CLOSED) and self.rng.random() < 0.5:
            subject.release(now_us)

    def recovers(self, now_us: int) -> None:
        """However it stands: with a sound model it is closed within two longest waits."""
        subject = self.subject
        subject.release(now_us)
        for at_us in range(now_us, now_us + 2 * 10_000, 100):
            for permit in permits(subject, at_us, CONFIG.probes + 1):
                subject.record_probe(permit, Verdict.GOOD, at_us)
        assert self.state is State.CLOSED
