import av
import numpy as np
import pytest
from av.video.frame import VideoFrame
from hypothesis import given
from hypothesis import strategies as st

from auralink.bench.clips import synthetic
from auralink.codecs.base.pyav_frames import to_av, to_i420
from auralink.codecs.frame import Frame, blank


@given(width=st.integers(1, 70), height=st.integers(1, 40), seed=st.integers(0, 9))
def test_a_frame_comes_back_as_it_went(width: int, height: int, seed: int) -> None:
    noise = np.random.default_rng(seed)
    chroma = ((height + 1) // 2, (width + 1) // 2)
    y, u, v = (noise.integers(0, 256, s, np.uint8) for s in ((height, width), chroma, chroma))
    frame = Frame(y=y, u=u, v=v, pts_us=7)

    back = to_i420(to_av(frame), 7)

    assert back.same_pixels(frame)
    assert all(plane.flags.c_contiguous for plane in back.planes)


def test_the_copy_outlives_the_picture() -> None:
    picture = to_av(blank(32, 32, luma=50))
    frame = to_i420(picture, 0)

    memory = np.frombuffer(memoryview(picture.planes[0]), np.uint8)
    memory[:] = 200

    assert (frame.y == 50).all()


@pytest.mark.parametrize(
    "pixel_format",
    ["yuv420p10le", "yuv444p", "yuv422p", "nv12", "nv21", "yuyv422", "yuv444p12le", "yuv410p"],
)
def test_other_yuv_formats_keep_their_samples(pixel_format: str) -> None:
    frame = synthetic(64, 48, 1).frames[0]
    other = to_av(frame).reformat(format=pixel_format)

    back = to_i420(other, 3)

    assert back.size == (64, 48)
    assert np.abs(back.y.astype(int) - frame.y).max() <= 2
    assert np.abs(back.u.astype(int) - frame.u).mean() < 3


def test_rgb_becomes_limited_range_bt601() -> None:
    red, white, black = (255, 0, 0), (255, 255, 255), (0, 0, 0)
    for colour, expected in (
        (red, (82, 90, 240)),
        (white, (235, 128, 128)),
        (black, (16, 128, 128)),
    ):
        pixels = np.empty((16, 16, 3), np.uint8)
        pixels[:] = colour

        frame = to_i420(VideoFrame.from_ndarray(pixels, format="rgb24"), 0)

        found = tuple(int(plane[4, 4]) for plane in frame.planes)
        assert np.abs(np.subtract(found, expected)).max() <= 2


def test_full_range_jpeg_pictures_become_limited() -> None:
    picture = VideoFrame(16, 16, "yuvj420p")
    for plane, value in zip(picture.planes, (255, 128, 128), strict=True):
        np.frombuffer(memoryview(plane), np.uint8)[:] = value
    picture.color_range = 2

    frame = to_i420(picture, 0)

    assert abs(int(frame.y[0, 0]) - 235) <= 1


def test_ffmpeg_logs_are_off_by_default() -> None:
    assert av.logging.get_level() is None
