"""The ladder of fallbacks, seen from outside: signs in, moves out."""

import random
from itertools import pairwise

import pytest

from auralink.codecs.video.options import EncoderOptions
from auralink.engine.inference.fallback_ladder import (
    HOLD_US,
    Cause,
    FallbackLadder,
    Move,
    Signs,
)
from auralink.engine.inference.fallback_rungs import BY_NAME, RUNGS, Need, Order, order

STEP_US = 100_000
WELL = Signs(bits_bps=200_000, load=0.3)
LATE = Signs(bits_bps=200_000, late_share=0.5)
NO_MODEL = Signs(bits_bps=200_000, gone=frozenset({Need.MODEL}))
NO_WORKERS = Signs(bits_bps=200_000, gone=frozenset({Need.WORKERS}))
THIN = Signs(bits_bps=4_000)


class Watched:
    """A ladder and all its moves, shown the same signs ten times a second."""

    def __init__(self) -> None:
        self.now_us = 0
        self.ladder = FallbackLadder(0)
        self.moves: list[Move] = []

    def show(self, signs: Signs, seconds: float) -> None:
        for _ in range(round(seconds * 1e6) // STEP_US):
            self.now_us += STEP_US
            move = self.ladder.look(signs, self.now_us)
            if move is not None:
                self.moves.append(move)

    @property
    def path(self) -> list[tuple[str, Cause]]:
        return [(move.after.name, move.cause) for move in self.moves]


def test_a_model_that_is_gone_is_left_at_once_and_taken_up_after_five_good_seconds() -> None:
    watched = Watched()
    watched.show(WELL, 1)
    watched.show(NO_MODEL, 0.1)
    assert watched.path == [("plain", Cause.MODEL)]

    watched.show(NO_MODEL, 20)
    watched.show(WELL, 4.9)
    assert len(watched.moves) == 1
    watched.show(WELL, 0.5)

    assert watched.path[1:] == [("wished", Cause.CALM)]


def test_without_workers_the_rooms_own_codec_takes_over_and_the_way_back_is_one_move() -> None:
    watched = Watched()
    watched.show(NO_WORKERS, 0.1)
    watched.show(WELL, 6)

    assert watched.path == [("native", Cause.WORKERS), ("wished", Cause.CALM)]


def test_without_workers_on_a_thin_link_only_sound_is_left() -> None:
    watched = Watched()
    watched.show(Signs(gone=frozenset({Need.WORKERS}), bits_bps=20_000), 0.1)

    assert watched.path == [("audio", Cause.WORKERS)]


def test_lateness_goes_down_rung_by_rung_never_twice_in_five_seconds() -> None:
    watched = Watched()
    watched.show(LATE, 60)

    assert [name for name, _ in watched.path] == [rung.name for rung in RUNGS[1:]]
    assert {cause for _, cause in watched.path} == {Cause.LATE}
    assert all(b.at_us - a.at_us >= HOLD_US for a, b in pairwise(watched.moves))
    assert 1_000_000 <= watched.moves[0].at_us <= 1_200_000


def test_a_single_late_moment_moves_nothing() -> None:
    watched = Watched()
    for _ in range(20):
        watched.show(LATE, 0.8)
        watched.show(WELL, 0.2)

    assert watched.moves == []


def test_a_machine_that_is_too_slow_is_told_so() -> None:
    watched = Watched()
    watched.show(Signs(load=1.3, bits_bps=200_000), 1.5)

    assert watched.path == [("plain", Cause.SLOW)]


def test_up_only_where_the_load_is_predicted_to_fit() -> None:
    watched = Watched()
    watched.show(LATE, 7)
    assert watched.ladder.rung.name == "fast"

    watched.show(Signs(load=0.6, bits_bps=200_000), 60)  # "plain" takes 1.8 times as much
    assert watched.ladder.rung.name == "fast"
    watched.show(Signs(load=0.4, bits_bps=200_000), 6)

    assert watched.ladder.rung.name == "plain"


def test_after_a_climb_the_way_back_leads_to_the_top_again() -> None:
    watched = Watched()
    watched.show(LATE, 7)
    watched.show(Signs(bits_bps=200_000, load=0.05), 20)
    assert watched.ladder.rung.name == "wished"

    watched.show(NO_WORKERS, 0.1)
    watched.show(Signs(bits_bps=200_000, load=0.05), 30)

    assert watched.path[-2:] == [("native", Cause.WORKERS), ("wished", Cause.CALM)]


def test_a_failed_try_makes_the_next_one_wait_twice_as_long() -> None:
    watched = Watched()
    for _ in range(4):
        watched.show(NO_MODEL, 0.1)
        while watched.ladder.rung.name != "wished":
            watched.show(WELL, 0.1)

    ups = [move.at_us for move in watched.moves if move.cause is Cause.CALM]
    downs = [move.at_us for move in watched.moves if move.cause is Cause.MODEL]
    waits = [round((up - down) / 1e6) for up, down in zip(ups, downs, strict=True)]
    assert waits == [5, 10, 20, 40]


def test_a_link_too_thin_for_pictures_ends_in_sound_and_comes_back() -> None:
    watched = Watched()
    watched.show(THIN, 1.9)
    assert watched.moves == []
    watched.show(THIN, 0.5)
    assert watched.path == [("audio", Cause.THIN)]

    watched.show(Signs(bits_bps=15_000), 6)

    assert watched.path[1:] == [("slow", Cause.CALM)]  # native would need more bits


def test_an_operators_rung_holds_against_all_signs_until_it_is_given_free() -> None:
    watched = Watched()
    watched.ladder.force("small")
    watched.show(WELL, 30)
    watched.show(NO_WORKERS, 5)
    assert watched.path == [("small", Cause.OPERATOR)]
    assert watched.ladder.statistics().forced

    watched.ladder.force(None)
    watched.show(Signs(bits_bps=200_000, load=0.1), 5.2)

    assert watched.path[1:] == [("fast", Cause.CALM)]


def test_no_rung_is_called_that() -> None:
    with pytest.raises(KeyError):
        FallbackLadder(0).force("neural")


def test_statistics_say_where_it_stands_and_why() -> None:
    watched = Watched()
    watched.show(NO_MODEL, 1)

    told = watched.ladder.statistics()

    assert (told.rung, told.cause, told.moves, told.forced) == ("plain", Cause.MODEL, 1, False)
    assert told.since_us == STEP_US


@pytest.mark.parametrize("seed", range(40))
def test_whatever_happens_it_never_swings_and_always_recovers(seed: int) -> None:
    rng = random.Random(seed)
    watched = Watched()
    for _ in range(60):
        gone = {need for need in Need if rng.random() < 0.2}
        signs = Signs(
            gone=frozenset(gone),
            late_share=rng.choice((0.0, 0.0, 0.05, 0.4)),
            load=rng.choice((0.0, 0.3, 0.7, 1.5)),
            bits_bps=rng.choice((None, 3_000, 9_000, 30_000, 300_000)),
        )
        watched.show(signs, rng.choice((0.1, 0.5, 3.0, 12.0)))
        assert watched.ladder.rung.needs.isdisjoint(signs.gone), f"{seed = }"

    for before, after in pairwise(watched.moves):
        down = BY_NAME[after.after.name] > BY_NAME[after.before.name]
        gone_at_once = down and after.cause in (Cause.MODEL, Cause.WORKERS)
        assert after.at_us - before.at_us >= HOLD_US or gone_at_once, f"{seed = }"
        assert down is (after.cause is not Cause.CALM), f"{seed = }"
    watched.show(Signs(bits_bps=300_000, load=0.01), 60 + 6 * 62)
    assert watched.ladder.rung.name == "wished", f"{seed = }"


def test_each_rung_down_asks_for_less() -> None:
    efforts = [rung.effort for rung in RUNGS]

    assert efforts == sorted(efforts, reverse=True)
    assert RUNGS[-1].needs == RUNGS[-2].needs == frozenset()
    assert RUNGS[-1].least_bps == 0


def test_rungs_command_the_encoder_by_its_own_options() -> None:
    wished = Order(profile="hybrid", options=EncoderOptions(), size=(1280, 720), fps=30.0)

    made = {rung.name: order(rung, wished) for rung in RUNGS}

    assert made["wished"] == wished
    plain, fast, small, slow = (made[name] for name in ("plain", "fast", "small", "slow"))
    assert plain is not None
    assert (plain.options.neural, plain.options.preset) == (False, None)
    assert fast is not None
    assert (fast.options.preset, fast.size) == (11, (1280, 720))
    assert small is not None
    assert (small.size, small.fps) == ((640, 360), 30.0)
    assert slow is not None
    assert (slow.fps, slow.profile) == (15.0, "hybrid")
    native = made["native"]
    assert native is not None
    assert (native.profile, native.size) == ("native-vp8", (640, 360))
    assert made["audio"] is None


def test_a_learned_profile_without_its_network_gives_way_to_the_base() -> None:
    wished = Order(profile="neural-s", options=EncoderOptions(), size=(640, 360), fps=30.0)

    profiles = [made.profile for rung in RUNGS if (made := order(rung, wished)) is not None]

    assert profiles == ["neural-s", "hybrid", "hybrid", "hybrid", "hybrid", "native-vp8"]


def test_a_preset_that_is_faster_already_stays() -> None:
    wished = Order(profile="hybrid", options=EncoderOptions(preset=12), size=(321, 181), fps=30.0)

    made = order(RUNGS[BY_NAME["small"]], wished)

    assert made is not None
    assert (made.options.preset, made.size) == (12, (160, 90))
