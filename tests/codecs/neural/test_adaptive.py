"""Adaptive quantization: x264's curve, in integers, hardly moved by a grey level."""

import math

import numpy as np
import pytest

from auralink.codecs.neural import adaptive


def cell(deviation: float) -> np.ndarray:
    """One cell of two values around grey."""
    half = round(deviation)
    return np.where(np.indices((16, 16)).sum(0) % 2, 128 + half, 128 - half).astype(np.uint8)


@pytest.mark.parametrize("deviation", [1, 2, 5, 9, 20, 60])
@pytest.mark.parametrize("strength", [1, 2, 3])
def test_offsets_follow_the_log_of_the_variance(deviation: int, strength: int) -> None:
    wanted = -strength / 4 * 1.04 * 0.0535 * (math.log2(deviation**2) - 6.43)
    wanted = min(max(wanted, -0.3), 0.3)

    (got,) = adaptive.offsets(cell(deviation), strength)[0] / adaptive.UNIT

    assert got == pytest.approx(wanted, abs=0.004)


def test_flat_cells_get_the_most_and_strength_zero_nothing() -> None:
    flat = np.full((32, 48), 77, np.uint8)

    assert (adaptive.offsets(flat, 3) == 307).all()
    assert adaptive.offsets(flat, 0).tolist() == [[0, 0, 0], [0, 0, 0]]


def test_a_grey_level_of_drift_moves_an_offset_by_next_to_nothing() -> None:
    rng = np.random.default_rng(0)
    plane = rng.integers(90, 150, (160, 160)).astype(np.uint8)
    drifted = plane.copy()
    drifted[::16, ::16] += 1

    moved = np.abs(adaptive.offsets(plane, 2) - adaptive.offsets(drifted, 2))

    assert moved.max() <= 2


def test_cells_do_not_see_each_other() -> None:
    plane = np.hstack([cell(3), cell(40)])

    pair = adaptive.offsets(plane, 2)

    assert pair[0, 0] == adaptive.offsets(cell(3), 2)[0, 0]
    assert pair[0, 1] == adaptive.offsets(cell(40), 2)[0, 0]
