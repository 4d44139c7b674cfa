"""PSNR and SSIM of the service beside those that the measurements use."""

import numpy as np
import pytest

from auralink.bench import metrics
from auralink.engine.rpc.quality import MAX_PSNR_DB, measure

from ...codecs.pictures import moving, noisy


def test_equal_pictures_are_perfect() -> None:
    frame = moving(0)

    quality = measure(frame.y, frame.y)

    assert quality.psnr_db == MAX_PSNR_DB
    assert quality.ssim == pytest.approx(1.0)


@pytest.mark.parametrize("size", [(176, 144), (99, 61)])
def test_figures_are_near_those_of_the_measurements(size: tuple[int, int]) -> None:
    clean, dirty = moving(3, size), noisy(3, size)

    quality = measure(clean.y, dirty.y)

    assert quality.psnr_db == pytest.approx(metrics.psnr(clean.y, dirty.y), abs=1e-3)
    assert quality.ssim == pytest.approx(metrics.ssim(clean.y, dirty.y), abs=0.03)


def test_a_worse_picture_has_worse_figures() -> None:
    frame = moving(0)
    slightly = np.clip(frame.y.astype(int) + 3, 0, 255).astype(np.uint8)
    badly = np.roll(frame.y, 9, axis=1)

    good, bad = measure(frame.y, slightly), measure(frame.y, badly)

    assert good.psnr_db > bad.psnr_db
    assert good.ssim is not None
    assert bad.ssim is not None
    assert good.ssim > bad.ssim


def test_a_picture_smaller_than_a_window_has_no_ssim() -> None:
    tiny = np.zeros((7, 50), np.uint8)

    assert measure(tiny, tiny).ssim is None
