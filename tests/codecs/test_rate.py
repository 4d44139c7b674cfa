"""Rate control against a made-up encoder whose bits follow its own law, with scatter."""

import math
from collections.abc import Callable
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from auralink.codecs.base.hierarchy import FLAT, Hierarchy
from auralink.codecs.base.svt import CAMERA_HIERARCHY
from auralink.codecs.video.rate.activity import Activity
from auralink.codecs.video.rate.bits_model import KEY, BitsModel
from auralink.codecs.video.rate.controller import Plan, RateController, RateOptions, largest_share
from auralink.codecs.video.rate.debt import Debt
from auralink.codecs.video.rate.ladder import HOLD_S, Ladder, Rung, rungs, start_rung

FPS = 30
PIXELS = 640 * 360


class MadeUpEncoder:
    """``bits = exp(level - slope * q)``, by layer, with log-normal scatter."""

    def __init__(self, *, complexity: float, scatter: float, seed: int) -> None:
        self._random = np.random.default_rng(seed)
        self._level = math.log(complexity)
        self._scatter = scatter

    def bits(self, kind: int, quantizer: float) -> int:
        below = {KEY: -2.0, 0: -0.6, 1: -0.3, 2: 0.2, 3: 0.8}[kind]
        noise = self._random.normal(0, self._scatter)
        return max(64, round(math.exp(self._level - below - 0.08 * quantizer + noise)))


def drive(
    target: Callable[[float], int],
    *,
    seconds: float = 12,
    complexity: float = 60_000,
    scatter: float = 0.2,
    hierarchy: Hierarchy = CAMERA_HIERARCHY,
    seed: int = 1,
) -> tuple[list[int], list[float]]:
    """Bits of each captured frame, and the delay after each."""
    encoder = MadeUpEncoder(complexity=complexity, scatter=scatter, seed=seed)
    control = RateController(hierarchy=hierarchy, pixels=PIXELS, fps=FPS)
    spent, delays, position = [], [], 0
    for number in range(round(seconds * FPS)):
        key = number == 0
        now_us = round(number * 1e6 / FPS)
        plan = control.plan(now_us, target(number / FPS), key=key)
        if plan.drop:
            spent.append(0)
        else:
            layer = hierarchy.layer(position)
            bits = encoder.bits(KEY if key else layer, plan.quantizer)
            if key:  # as the encoder does: code it again with what the first try taught
                control.tried(bits, plan.quantizer)
                plan = control.plan_key_again()
                bits = encoder.bits(KEY, plan.quantizer)
            control.coded(bits, plan.quantizer, key=key, layer=layer)
            spent.append(bits)
            position += 1
        delays.append(control.delay_s)
    return spent, delays


def windows(spent: list[int], target: Callable[[float], int]) -> np.ndarray:
    """Bits over target bits of every 2 s window."""
    frames = 2 * FPS
    want = np.cumsum([0.0] + [target(number / FPS) / FPS for number in range(len(spent))])
    have = np.cumsum([0, *spent])
    return (have[frames:] - have[:-frames]) / (want[frames:] - want[:-frames])


@pytest.mark.parametrize("rate", [30_000, 90_000, 400_000, 2_000_000])
def test_two_second_windows_stay_within_five_percent(rate: int) -> None:
    complexity = rate * 1.3  # coded at about the middle of the range

    spent, _ = drive(lambda t: rate, complexity=complexity, scatter=0.1)
    shares = windows(spent, lambda t: rate)

    settled = shares[5 * FPS // 4 :]  # the first key is repaid within a second, and a little more
    assert settled.min() > 0.95
    assert settled.max() < 1.05


def test_a_tenfold_drop_never_leaves_more_than_a_second_and_a_half() -> None:
    def target(t: float) -> int:
        return 1_000_000 if t < 5 else 100_000

    spent, delays = drive(target, complexity=900_000)

    assert max(delays) < 1.5
    after = sum(spent[7 * FPS :]) / 5
    assert after == pytest.approx(100_000, rel=0.08)


def test_a_rise_is_used_within_a_second() -> None:
    def target(t: float) -> int:
        return 60_000 if t < 5 else 600_000

    spent, _ = drive(target, complexity=500_000)

    assert sum(spent[6 * FPS : 8 * FPS]) / 2 == pytest.approx(600_000, rel=0.1)


def test_a_key_is_planned_for_four_frame_budgets_and_the_first_for_more() -> None:
    control = RateController(hierarchy=CAMERA_HIERARCHY, pixels=PIXELS, fps=FPS)

    plan = control.plan(0, 300_000, key=True)

    assert plan.limit_bits == pytest.approx(RateOptions().first_key_s * 300_000)
    control.coded(90_000, plan.quantizer, key=True, layer=0)
    later = control.plan(500_000, 300_000, key=True)
    assert later.limit_bits == pytest.approx(4 * 300_000 / FPS)
    assert not plan.drop


def test_a_key_in_debt_is_coded_all_the_same() -> None:
    control = RateController(hierarchy=FLAT, pixels=PIXELS, fps=FPS)
    control.plan(0, 100_000, key=True)
    control.coded(500_000, 40, key=True, layer=0)

    assert control.plan(33_333, 100_000, key=False).drop
    assert not control.plan(66_666, 100_000, key=True).drop


def test_drops_frames_while_the_debt_is_beyond_the_stated_delay() -> None:
    control = RateController(
        hierarchy=FLAT, pixels=PIXELS, fps=FPS, options=RateOptions(delay_s=0.2, first_key_s=0)
    )
    control.plan(0, 100_000, key=True)
    control.coded(20_000, 40, key=True, layer=0)
    control.plan(33_333, 100_000, key=False)
    control.coded(45_000, 40, key=False, layer=0)  # most of half a second of rate

    dropped = [control.plan(us, 100_000, key=False).drop for us in range(66_666, 600_000, 33_333)]

    assert dropped[:8] == [True] * 8
    assert not dropped[-1]


@given(
    st.lists(
        st.tuples(st.integers(0, 3_000_000), st.integers(1, 5_000_000), st.booleans()),
        min_size=1,
        max_size=60,
    )
)
@settings(max_examples=80, deadline=None)
def test_any_sequence_of_orders_gives_a_usable_plan(orders: list[tuple[int, int, bool]]) -> None:
    control = RateController(hierarchy=CAMERA_HIERARCHY, pixels=PIXELS, fps=FPS)
    now_us = 0
    for step_us, rate, key in orders:
        now_us += step_us
        plan = control.plan(now_us, rate, key=key)
        assert 1 <= plan.quantizer <= 63
        if not plan.drop:
            layer = 0 if key else CAMERA_HIERARCHY.layer(now_us % 8)
            control.coded(step_us + 1, plan.quantizer, key=key, layer=layer)
        assert math.isfinite(control.delay_s)
        assert math.isfinite(control.wanted)


def test_the_model_finds_the_law_it_is_shown() -> None:
    model = BitsModel(PIXELS)
    for quantizer in (30, 40, 50, 35, 45, 55, 30, 50) * 6:
        model.observe(1, quantizer, round(math.exp(13 - 0.1 * quantizer)))

    assert model.bits(1, 40) == pytest.approx(math.exp(9), rel=0.05)
    assert model.quantizer(1, math.exp(9)) == pytest.approx(40, abs=0.6)


def test_the_model_follows_a_new_size() -> None:
    model = BitsModel(PIXELS)
    model.observe(2, 40, 10_000)

    model.resize(PIXELS // 4)

    assert 2_500 < model.bits(2, 40) < 3_500


def test_what_the_link_still_carries_is_owed_though_the_encoder_did_not_code_it() -> None:
    def after(backlog_bits: int) -> Plan:
        control = RateController(hierarchy=FLAT, pixels=PIXELS, fps=FPS)
        for number in range(30):
            plan = control.plan(round(number * 1e6 / FPS), 300_000, key=number == 0)
            control.coded(10_000, plan.quantizer, key=number == 0, layer=0)
        return control.plan(1_000_000, 300_000, key=False, backlog_bits=backlog_bits)

    assert after(60_000).quantizer > after(0).quantizer
    assert after(300_000).drop


@pytest.mark.parametrize(("largest_s", "most"), [(1.0, 60), (0.08, 12), (0.01, 0)])
def test_what_sharpens_takes_no_more_of_the_rate_than_it_may(largest_s: float, most: int) -> None:
    grid = (6, 10)
    control = RateController(
        hierarchy=CAMERA_HIERARCHY,
        pixels=PIXELS,
        fps=FPS,
        grid=grid,
        options=RateOptions(largest_s=largest_s),
    )
    still = Activity(
        layers=(0.1,) * 4,
        still=1.0,
        changed=np.zeros(grid, np.float32),
        weights=np.full(grid, 1 / 60, np.float32),
    )
    sharpened = []
    for number in range(60):
        plan = control.plan(round(number * 1e6 / FPS), 300_000, key=number == 0, activity=still)
        layer = CAMERA_HIERARCHY.layer(number)
        bits = 60_000 if number == 0 else 3_000
        control.coded(bits, plan.quantizer, key=number == 0, layer=layer)
        sharpened.append(0 if plan.sharpen is None else int(plan.sharpen.blocks.sum()))

    assert max(sharpened) <= most
    assert any(sharpened) is (most > 0)


def test_debt_drains_with_time_and_saves_little() -> None:
    debt = Debt()
    debt.advance(0, 100_000)
    debt.add(50_000)

    debt.advance(250_000, 100_000)
    assert debt.delay_s(100_000) == pytest.approx(0.25)
    debt.advance(60_000_000, 100_000)
    assert debt.bits == pytest.approx(-10_000)
    debt.advance(0, 100_000)  # time goes back: nothing happens
    assert debt.bits == pytest.approx(-10_000)


@given(st.floats(5, 60), st.sampled_from([1, 2, 4, 8, 16]))
def test_the_largest_share_is_a_share(fps: float, period: int) -> None:
    assert 1 / (period + 1) < largest_share(1 / fps, period) <= 1


SCALES = (1.0, 2 / 3, 0.5)


def first_move(ladder: Ladder, wanted: float, start_s: float) -> float:
    before, now_s = ladder.rung, start_s
    while ladder.rung == before:
        now_s += 1 / 30
        ladder.observe(round(now_s * 1e6), wanted)
        assert now_s < start_s + 200
    return now_s


def walk(ladder: Ladder, wanted: float, start_s: float, seconds: float) -> list[tuple[float, Rung]]:
    moves, before = [], ladder.rung
    for step in range(round(seconds * 30)):
        now_s = start_s + step / 30
        ladder.observe(round(now_s * 1e6), wanted)
        if ladder.rung != before:
            before = ladder.rung
            moves.append((now_s, before))
    return moves


def test_the_ladder_goes_down_a_rung_at_a_time_with_pauses() -> None:
    moves = walk(Ladder(rungs(SCALES)), 75.0, 0.0, 12.0)

    assert [rung for _, rung in moves] == [
        Rung(2 / 3, 1),
        Rung(0.5, 1),
        Rung(0.5, 2),
        Rung(0.5, 3),
    ]
    sizes = [at for at, rung in moves if rung.divisor == 1]
    assert all(b - a >= HOLD_S for a, b in pairwise(sizes))


def test_the_ladder_stays_while_a_quantizer_fits() -> None:
    assert not walk(Ladder(rungs(SCALES)), 62.9, 0.0, 20.0)


def test_the_ladder_climbs_only_when_the_rung_above_should_fit() -> None:
    ladder = Ladder(rungs(SCALES), start=2)

    assert not walk(ladder, 58.0, 0.0, 20.0)
    assert [rung for _, rung in walk(ladder, 30.0, 20.0, 20.0)] == [Rung(2 / 3, 1), Rung(1.0, 1)]


def test_a_failed_climb_makes_the_next_one_wait_longer() -> None:
    ladder = Ladder(rungs(SCALES), start=1)
    waits, now_s = [], 0.0
    for _ in range(4):
        climbed = first_move(ladder, 40.0, now_s)
        waits.append(climbed - now_s)
        now_s = first_move(ladder, 70.0, climbed)

    assert waits[1] > 1.5 * waits[0]
    assert waits[2] > 1.5 * waits[1]


@pytest.mark.parametrize(
    ("bits_per_pixel", "scale"), [(None, 1.0), (0.05, 1.0), (0.003, 2 / 3), (0.0005, 0.5)]
)
def test_the_start_rung_follows_the_bits_there_are(
    bits_per_pixel: float | None, scale: float
) -> None:
    steps = rungs(SCALES)

    assert steps[start_rung(steps, bits_per_pixel)] == Rung(scale, 1)


def test_a_stream_that_must_not_scale_starts_at_the_top() -> None:
    assert start_rung(rungs((1.0,)), 0.0001) == 0
