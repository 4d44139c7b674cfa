import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from auralink.bench import metrics
from auralink.bench.clips import synthetic
from auralink.codecs.errors import InputError
from auralink.codecs.frame import Plane

WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)


def plain_ssim(a: np.ndarray, b: np.ndarray) -> tuple[float, float]:
    """Mean SSIM and contrast-structure, straight from the paper, in double precision."""
    place = np.arange(11) - 5.0
    window = np.exp(-(place**2) / 4.5)
    window /= window.sum()

    def smooth(x: np.ndarray) -> np.ndarray:
        down = sum(w * x[k : x.shape[0] - 10 + k] for k, w in enumerate(window))
        return sum(w * down[:, k : x.shape[1] - 10 + k] for k, w in enumerate(window))

    a, b = a.astype(np.float64), b.astype(np.float64)
    mean_a, mean_b = smooth(a), smooth(b)
    var_a, var_b = smooth(a * a) - mean_a**2, smooth(b * b) - mean_b**2
    covariance = smooth(a * b) - mean_a * mean_b
    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    contrast = (2 * covariance + c2) / (var_a + var_b + c2)
    luminance = (2 * mean_a * mean_b + c1) / (mean_a**2 + mean_b**2 + c1)
    return float((luminance * contrast).mean()), float(contrast.mean())


def plain_ms_ssim(a: np.ndarray, b: np.ndarray) -> float:
    product = 1.0
    for scale, weight in enumerate(WEIGHTS):
        similarity, contrast = plain_ssim(a, b)
        product *= (similarity if scale == 4 else contrast) ** weight
        a, b = (
            x[: x.shape[0] & ~1, : x.shape[1] & ~1]
            .reshape(x.shape[0] // 2, 2, x.shape[1] // 2, 2)
            .mean(axis=(1, 3))
            for x in (a, b)
        )
    return product


def pair(width: int, height: int, noise: float) -> tuple[Plane, Plane]:
    original = synthetic(width, height, 1).frames[0].y
    grain = np.random.default_rng(3).normal(0, noise, original.shape)
    return original, (original + grain).clip(0, 255).astype(np.uint8)


@pytest.mark.parametrize("noise", [0.5, 4, 20, 60])
def test_agrees_with_the_definition(noise: float) -> None:
    a, b = pair(256, 192, noise)

    quality = metrics.measure(a, b)

    assert quality.ssim == pytest.approx(plain_ssim(a, b)[0], abs=2e-5)
    assert quality.ms_ssim == pytest.approx(plain_ms_ssim(a, b), abs=1e-4)
    error = ((a.astype(float) - b) ** 2).mean()
    assert quality.psnr == pytest.approx(10 * np.log10(255**2 / error))
    assert quality.scales == 5
    assert metrics.ssim(a, b) == quality.ssim


@given(seed=st.integers(0, 1000), width=st.integers(11, 60), height=st.integers(11, 60))
def test_random_pictures_of_any_size_agree_too(seed: int, width: int, height: int) -> None:
    random = np.random.default_rng(seed)
    a, b = (random.integers(0, 256, (height, width), np.uint8) for _ in range(2))

    assert metrics.ssim(a, b) == pytest.approx(plain_ssim(a, b)[0], abs=5e-5)
    assert 0 <= metrics.measure(a, b).ms_ssim <= 1


def test_equal_pictures_are_perfect() -> None:
    a, _ = pair(176, 176, 0)

    quality = metrics.measure(a, a)

    assert quality.ssim == pytest.approx(1, abs=1e-6)
    assert quality.ms_ssim == pytest.approx(1, abs=1e-6)
    assert max(quality.ssim, quality.ms_ssim) <= 1
    assert quality.psnr == metrics.MAX_PSNR


def test_black_against_white_is_as_bad_as_can_be() -> None:
    black, white = np.zeros((64, 64), np.uint8), np.full((64, 64), 255, np.uint8)

    quality = metrics.measure(black, white)

    assert quality.ssim < 1e-3
    assert quality.psnr == 0


@pytest.mark.parametrize(
    ("size", "scales"),
    [((176, 176), 5), ((176, 144), 4), ((88, 88), 4), ((43, 99), 2), ((11, 11), 1)],
)
def test_small_pictures_get_fewer_scales(size: tuple[int, int], scales: int) -> None:
    a, b = pair(*size, 5)

    assert metrics.measure(a, b).scales == scales


def test_one_scale_is_plain_ssim() -> None:
    a, b = pair(20, 16, 5)

    quality = metrics.measure(a, b)

    assert quality.ms_ssim == pytest.approx(quality.ssim)


def test_refuses_what_cannot_be_compared() -> None:
    flat = np.zeros((20, 20), np.uint8)

    with pytest.raises(InputError, match="compared"):
        metrics.measure(flat, flat[:, :18].copy())
    with pytest.raises(InputError, match="11 samples"):
        metrics.ssim(flat[:10].copy(), flat[:10].copy())


def test_ssim_takes_less_than_eight_milliseconds_at_640x360() -> None:
    a, b = pair(640, 360, 5)
    metrics.ssim(a, b)

    spent = []
    for _ in range(5):
        start = time.process_time()
        metrics.ssim(a, b)
        spent.append(time.process_time() - start)

    assert min(spent) < 0.008
