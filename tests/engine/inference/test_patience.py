"""Heartbeats and pauses before a restart, in virtual time."""

from hypothesis import given
from hypothesis import strategies as st

from auralink.engine.inference.backoff import CALM_S, FREE, Backoff
from auralink.engine.inference.heartbeat import SILENCE_S, Heartbeat

GLANCE_S = 0.05


def look(heart: Heartbeat, count: int, start: float, seconds: float) -> list[bool]:
    looks = round(seconds / GLANCE_S)
    return [heart.is_alive(count, start + at * GLANCE_S) for at in range(1, looks + 1)]


def test_a_count_that_stands_still_means_death() -> None:
    heart = Heartbeat(0.0)

    seen = look(heart, 7, 0.0, 2.0)

    assert seen.index(False) * GLANCE_S <= SILENCE_S + 2 * GLANCE_S
    assert not any(seen[seen.index(False) :])


def test_a_count_that_moves_now_and_then_is_alive() -> None:
    heart = Heartbeat(0.0)

    assert all(all(look(heart, count, count * 0.7, 0.7)) for count in range(20))


def test_an_observer_that_was_away_itself_gives_time_again() -> None:
    """A machine that was suspended: all clocks jump, nobody could beat."""
    heart = Heartbeat(0.0)
    assert all(look(heart, 1, 0.0, 0.5))

    assert heart.is_alive(1, 60.0)
    assert all(look(heart, 1, 60.0, 0.7))
    assert not all(look(heart, 1, 60.7, 0.3))


def test_the_first_deaths_cost_nothing_and_more_cost_twice_as_much() -> None:
    backoff = Backoff(first_s=0.1, most_s=1.0)
    now, waits = 100.0, []
    for _ in range(8):
        backoff.died(now)
        waits.append(round(backoff.wait_s(now), 3))
        now += waits[-1] + 0.01

    assert waits == [0.0] * FREE + [0.1, 0.2, 0.4, 0.8, 1.0, 1.0]


def test_who_lived_long_enough_has_recovered() -> None:
    backoff = Backoff()
    for at in range(6):
        backoff.died(float(at))
    assert backoff.wait_s(5.0) > 0

    backoff.died(5.0 + 5.0 + CALM_S)

    assert backoff.wait_s(5.0 + 5.0 + CALM_S) == 0


@given(st.lists(st.floats(0, 30), min_size=1, max_size=50))
def test_a_pause_is_never_longer_than_the_longest(gaps: list[float]) -> None:
    backoff = Backoff(most_s=2.0)
    now = 0.0
    for gap in gaps:
        now += gap
        backoff.died(now)
        assert 0 <= backoff.wait_s(now) <= 2.0
        assert backoff.wait_s(now + 2.0) == 0
