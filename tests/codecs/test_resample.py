import numpy as np
import pytest

from auralink.bench.clips import synthetic
from auralink.bench.metrics import psnr
from auralink.codecs.frame import blank
from auralink.codecs.resample import Kernel, Resampler, resize

KERNELS: tuple[Kernel, ...] = ("lanczos", "bicubic", "area")


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("size", [(64, 36), (85, 47), (256, 144), (1, 1)])
def test_has_the_wanted_size_and_time(kernel: Kernel, size: tuple[int, int]) -> None:
    frame = synthetic(128, 72, 1).frames[0].at(99)

    scaled = resize(frame, *size, kernel=kernel)

    assert scaled.size == size
    assert scaled.pts_us == 99


@pytest.mark.parametrize("kernel", KERNELS)
def test_luma_alone_gives_the_same_samples(kernel: Kernel) -> None:
    resampler = Resampler(kernel)
    for frame in synthetic(128, 72, 3).frames:
        for width, height in ((64, 36), (84, 48), (192, 108)):
            whole = resampler.resize(frame, width, height)

            assert np.array_equal(resampler.resize_plane(frame.y, width, height), whole.y)


@pytest.mark.parametrize("kernel", KERNELS)
def test_flat_pictures_stay_flat(kernel: Kernel) -> None:
    for luma in (0, 16, 128, 255):
        scaled = resize(blank(64, 48, luma=luma), 96, 72, kernel=kernel)

        assert (scaled.y == luma).all()
        assert (scaled.u == 128).all()


def test_a_smooth_picture_survives_the_way_down_and_up() -> None:
    frame = synthetic(256, 144, 1).frames[0]

    back = resize(resize(frame, 170, 96), 256, 144)

    assert psnr(frame.y, back.y) > 30


def test_the_right_size_costs_nothing() -> None:
    frame = blank(64, 48)
    resampler = Resampler()

    assert resampler.resize(frame, 64, 48) is frame
    assert resampler.resize_plane(frame.y, 64, 48) is frame.y
