"""Which blocks are brought to a key's quality, and when."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from auralink.codecs.base.hierarchy import COARSEST
from auralink.codecs.base.protocol import Sharpening
from auralink.codecs.video.rate.sharpness import Blocks, KeyBits, Sharpness, block_grid

GRID = (4, 6)
STILL = np.zeros(GRID, np.float32)
EVEN = np.full(GRID, 1 / 24, np.float32)
KEYS = KeyBits(math.log(400_000), 0.06)  # 11 kbit at 60, 120 kbit at 20


def choose(
    sharpness: Sharpness,
    budget: float,
    *,
    goal: float = 20,
    rest: int = 44,
    changed: Blocks = STILL,
    weights: Blocks = EVEN,
) -> tuple[Sharpening, float] | None:
    return sharpness.choose(
        budget, goal=goal, rest=rest, changed=changed, weights=weights, key_bits=KEYS
    )


def test_a_picture_is_brought_to_the_goal_in_a_few_frames() -> None:
    sharpness = Sharpness(GRID)
    sharpness.keyed(60)
    spent, frames = 0.0, 0

    while (found := choose(sharpness, 25_000)) is not None:
        sharpening, bits = found
        spent, frames = spent + bits, frames + 1
        sharpness.coded(44, STILL, sharpening, bits)
        assert frames < 20

    assert sharpness.coarsest <= 20 + 5
    assert frames > 3
    assert bits <= 25_000
    # Not much more than one key at the goal would have taken.
    assert spent < 1.3 * float(KEYS(np.float32(20)))


def test_little_money_goes_to_the_whole_picture_before_any_part_is_perfect() -> None:
    sharpness = Sharpness(GRID)
    sharpness.keyed(60)

    found = choose(sharpness, 9_000)

    assert found is not None
    assert 25 < found[0].quantizer < 44


def test_what_moves_waits_until_it_rests() -> None:
    sharpness = Sharpness(GRID)
    sharpness.keyed(20)
    changed = STILL.copy()
    changed[1, 2] = 0.5
    sharpness.coded(40, changed, None, 0)

    assert choose(sharpness, 50_000, changed=changed) is None
    found = choose(sharpness, 50_000)

    assert found is not None
    assert np.argwhere(found[0].blocks).tolist() == [[1, 2]]


def test_the_middle_of_the_picture_comes_first() -> None:
    sharpness = Sharpness((5, 5))
    sharpness.keyed(60)
    even = np.full((5, 5), 1 / 25, np.float32)

    found = choose(sharpness, 5_000, changed=np.zeros((5, 5), np.float32), weights=even)

    assert found is not None
    assert found[0].blocks[2, 2]
    assert not found[0].blocks[[0, 0, -1, -1], [0, -1, 0, -1]].any()


def test_never_far_finer_than_the_rest_nor_coarser() -> None:
    sharpness = Sharpness(GRID)
    sharpness.keyed(60)

    found = choose(sharpness, 1e9, goal=1, rest=50)

    assert found is not None
    assert 50 - 24 <= found[0].quantizer < 50


def test_learns_what_blocks_really_take() -> None:
    sharpness = Sharpness(GRID)
    sharpness.keyed(60)
    first = choose(sharpness, 20_000)
    assert first is not None
    sharpness.coded(44, STILL, first[0], 3 * first[1])

    second = choose(sharpness, 20_000)

    assert second is not None
    assert second[0].blocks.sum() < first[0].blocks.sum()


@given(
    st.floats(0, 1e7),
    st.floats(-20, 80),
    st.integers(1, 63),
    st.lists(st.floats(0, 1), min_size=24, max_size=24),
    st.lists(st.integers(1, 63), min_size=1, max_size=6),
)
def test_never_plans_more_than_the_budget_or_what_moves(
    budget: float, goal: float, rest: int, changed: list[float], keys: list[int]
) -> None:
    sharpness = Sharpness(GRID)
    moving = np.array(changed, np.float32).reshape(GRID)
    for key in keys:
        sharpness.keyed(key)
        found = choose(sharpness, budget, goal=goal, rest=rest, changed=moving)
        if found is None:
            continue
        sharpening, bits = found
        assert bits <= budget
        assert sharpening.blocks.any()
        assert (moving[sharpening.blocks] < 0.06).all()
        assert 1 <= sharpening.quantizer < rest
        sharpness.coded(rest, moving, sharpening, bits)
        assert sharpness.coarsest <= COARSEST


@pytest.mark.parametrize(
    ("size", "grid"), [((640, 360), (6, 10)), ((64, 64), (1, 1)), ((16, 65), (2, 1))]
)
def test_a_part_of_a_block_is_a_block(size: tuple[int, int], grid: tuple[int, int]) -> None:
    assert block_grid(size) == grid
