"""What all tests share: small videos made on the spot."""

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest


@pytest.fixture
def make_video(tmp_path: Path):
    """Make a video of a bright bar that moves over a ramp; returns its path."""

    def make(
        *,
        codec: str = "ffv1",
        pixel_format: str = "yuv420p",
        frames: int = 10,
        size: tuple[int, int] = (64, 48),
        fps: int = 30,
        suffix: str = ".mkv",
        name: str = "clip",
    ) -> Path:
        path = tmp_path / f"{name}{suffix}"
        options = {"level": "1"} if codec == "ffv1" else {}  # version 3 refuses tiny sizes
        with av.open(str(path), "w") as out:
            stream = out.add_stream(codec, rate=fps, options=options)
            stream.width, stream.height = size
            stream.pix_fmt = pixel_format
            stream.codec_context.time_base = Fraction(1, fps)
            for i in range(frames):
                picture = av.VideoFrame.from_ndarray(_rgb(size, i), "rgb24")
                picture = picture.reformat(format=pixel_format)
                picture.pts, picture.time_base = i, Fraction(1, fps)
                out.mux(stream.encode(picture))
            out.mux(stream.encode(None))
        return path

    return make


def _rgb(size: tuple[int, int], number: int) -> np.ndarray:
    width, height = size
    picture = np.empty((height, width, 3), np.uint8)
    picture[:] = np.linspace(20, 220, width).astype(np.uint8)[None, :, None]
    top = 3 * number % height
    picture[top : top + max(1, height // 8), width // 3 : width // 2 + 1] = (250, 140, 20)
    return picture
