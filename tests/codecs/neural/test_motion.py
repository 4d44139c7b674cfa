"""Prediction in integers, its transposes, and the search."""

import numpy as np
import pytest

from auralink.codecs.neural import motion, motion_search
from auralink.codecs.neural.motion import TAPS


def texture(height: int, width: int, seed: int = 0) -> np.ndarray:
    """Smooth noise over the full range."""
    rng = np.random.default_rng(seed)
    field = rng.normal(size=(height + 8, width + 8))
    for axis in (0, 1):
        field = np.apply_along_axis(lambda row: np.convolve(row, np.ones(9), "same"), axis, field)
    field = field[4:-4, 4:-4]
    return ((field - field.min()) / (np.ptp(field)) * 255).astype(np.uint8)


def predict_slowly(reference: np.ndarray, vectors: np.ndarray, block: int) -> np.ndarray:
    """One sample at a time, in Python integers."""
    height, width = reference.shape
    out = np.empty_like(reference)
    step = 2 if block == 8 else 1
    for y, x in np.ndindex(height, width):
        dx, dy = (int(v) * step for v in vectors[y // block, x // block])
        total = 0
        for a in range(8):
            row = min(max(y + (dy >> 3) + a - 3, 0), height - 1)
            line = sum(
                int(TAPS[dx & 7, b])
                * int(reference[row, min(max(x + (dx >> 3) + b - 3, 0), width - 1)])
                for b in range(8)
            )
            total += int(TAPS[dy & 7, a]) * line
        out[y, x] = min(max((total + (1 << 13)) >> 14, 0), 255)
    return out


@pytest.mark.parametrize("block", [8, 4])
def test_prediction_is_the_definition(block: int) -> None:
    rng = np.random.default_rng(1)
    reference = rng.integers(0, 256, (4 * block, 5 * block)).astype(np.uint8)
    vectors = rng.integers(-60, 61, (4, 5, 2)).astype(np.int16)
    vectors[0] = 0
    vectors[1, :, 0] = -252  # far outside

    moved = motion.predict(reference, vectors, block)

    assert np.array_equal(moved, predict_slowly(reference, vectors, block))


def test_no_motion_is_a_copy() -> None:
    reference = texture(32, 48)
    still = np.zeros((4, 6, 2), np.int16)
    features = np.arange(2 * 4 * 6).reshape(2, 4, 6).astype(np.int8)

    assert np.array_equal(motion.predict(reference, still, 8), reference)
    assert np.array_equal(motion.move_features(features, still), features)


def test_features_move_by_whole_blocks_and_mix_between() -> None:
    features = np.array([[[0, 32, 64]]], np.int8)
    right = np.full((1, 3, 2), (32, 0), np.int16)
    half = np.full((1, 3, 2), (16, 0), np.int16)

    assert motion.move_features(features, right).tolist() == [[[32, 64, 64]]]
    assert motion.move_features(features, half).tolist() == [[[16, 48, 64]]]


def test_adjoints_are_transposes() -> None:
    rng = np.random.default_rng(2)
    vectors = rng.integers(-40, 41, (4, 4, 2)).astype(np.int16)
    gradient = rng.normal(size=(32, 32)).astype(np.float32)
    plane = rng.integers(90, 160, (32, 32)).astype(np.uint8)  # no sample is clipped
    forward = float((motion.predict(plane, vectors, 8) * gradient.astype(np.float64)).sum())
    back = float((plane * motion.predict_adjoint(gradient, vectors, 8).astype(np.float64)).sum())
    assert forward == pytest.approx(back, abs=0.5 * float(np.abs(gradient).sum()))

    features = rng.integers(-64, 65, (3, 4, 4)).astype(np.int8)
    gradient = rng.normal(size=(3, 4, 4)).astype(np.float32)
    forward = float((motion.move_features(features, vectors) * gradient).sum())
    back = float((features * motion.move_features_adjoint(gradient, vectors)).sum())
    assert forward == pytest.approx(back, abs=0.5 * float(np.abs(gradient).sum()))


@pytest.mark.parametrize("shift", [(12, -20), (0, 0), (3, 5), (-30, 2)])
def test_the_search_finds_a_shift_to_a_quarter_sample(shift: tuple[int, int]) -> None:
    reference = texture(96, 96)
    field = np.broadcast_to(np.array(shift, np.int16), (12, 12, 2))
    current = motion.predict(reference, np.ascontiguousarray(field), 8)

    found = motion_search.search(current, reference, 0.01)

    assert (found[2:-2, 2:-2] == shift).all(axis=-1).mean() > 0.95


def test_a_block_that_moves_two_ways_is_split() -> None:
    reference = texture(64, 64)
    field = np.zeros((8, 8, 2), np.int16)
    field[4:6, 4] = (24, 0)
    field[4:6, 5] = (-24, 0)
    current = motion.predict(reference, field, 8)

    found = motion_search.search(current, reference, 0.05)

    assert found[4, 4].tolist() == [24, 0]
    assert found[4, 5].tolist() == [-24, 0]


def test_noise_over_a_still_scene_does_not_move() -> None:
    reference = texture(64, 64).clip(8, 247)
    noise = np.random.default_rng(3).integers(-2, 3, reference.shape)

    assert not motion_search.search((reference + noise).astype(np.uint8), reference, 0.005).any()


def test_a_smooth_field_is_believed_cheaper() -> None:
    rng = np.random.default_rng(4)
    smooth, rough = np.full((8, 8, 2), 5, np.int16), rng.integers(-9, 9, (8, 8, 2)).astype(np.int16)

    assert motion_search.estimate_bits(smooth) < 100 < 300 < motion_search.estimate_bits(rough)
