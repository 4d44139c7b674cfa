"""One delay for sound and picture: in step, late ones at once, slowly shorter."""

import random
from itertools import pairwise

from auralink.engine.link.playout import Playout

OFFSET = 987_654_321  # between the two clocks; must not matter


def test_streams_of_different_delay_are_shown_in_step() -> None:
    playout, rng = Playout(), random.Random(3)
    shown: dict[int, list[int]] = {1: [], 2: []}
    for index in range(600):
        pts = index * 33_000
        for stream, delay in ((1, 20_000), (2, 150_000)):
            ready = OFFSET + pts + delay + rng.randrange(10_000)
            due = playout.due(stream, pts, ready)
            assert due >= ready
            shown[stream].append(due - pts)
    late = [abs(a - b) for a, b in zip(shown[1][30:], shown[2][30:], strict=True)]
    assert sorted(late)[int(len(late) * 0.95)] < 10_000
    assert max(shown[1][30:]) - OFFSET < 170_000


def test_a_slow_stream_that_ends_holds_nobody_up() -> None:
    playout = Playout()
    for index in range(100):
        playout.due(1, index * 20_000, index * 20_000 + 10_000)
        playout.due(2, index * 20_000, index * 20_000 + 300_000)
    playout.forget(2)

    delays = []
    for index in range(100, 1_200):
        pts = index * 20_000
        delays.append(playout.due(1, pts, pts + 10_000) - pts)

    assert delays[0] > 250_000
    steps = [a - b for a, b in pairwise(delays)]
    assert max(steps) <= 2_500  # of 20 ms, at an excess of 300: time stretching takes an eighth
    assert delays[-1] < 20_000


def test_a_hopeless_stream_delays_the_others_by_a_second_at_most() -> None:
    playout = Playout()
    for index in range(50):
        pts = index * 20_000
        first = playout.due(1, pts, pts + 10_000)
        playout.due(2, pts, pts + 4_000_000)
    assert first - pts <= 1_100_000


def test_a_sender_that_starts_over_is_followed_at_once() -> None:
    playout = Playout()
    for index in range(100):
        playout.due(1, index * 20_000, OFFSET + index * 20_000)

    assert playout.due(1, 5_000_000_000, OFFSET + 2_000_000) == OFFSET + 2_000_000


def test_what_the_first_pictures_waited_for_is_forgotten_at_once() -> None:
    playout = Playout()
    delays = []
    for index in range(90):
        pts = index * 33_000
        late = 30_000 + max(0, 1_200_000 - 3 * pts)
        delays.append(playout.due(1, pts, pts + late) - pts)

    assert delays[0] > 1_000_000
    assert max(delays[30:]) < 40_000


def test_a_bad_stretch_is_made_up_for_within_seconds() -> None:
    playout = Playout()
    delays = []
    for index in range(1_200):
        pts = index * 33_000
        bad = 300 <= index < 360
        ready = 500_000 if bad else 30_000
        delays.append(playout.due(1, pts, pts + ready) - pts)

    assert max(delays[360:]) <= 30_000 + 200_000  # a call would suffer more from a longer one
    assert delays[360 + 30 * 8] < 100_000
    assert delays[-1] < 35_000
