from pathlib import Path

import pytest


@pytest.fixture
def folder(tmp_path: Path, make_video) -> Path:  # type: ignore[no-untyped-def]
    """Three short clips: of a screen, of people, and one of odd size."""
    make_video(name="talk_96x64", size=(96, 64), frames=8, fps=25)
    make_video(name="screen_96x64", size=(96, 64), frames=8, fps=25)
    make_video(name="odd_97x65", size=(97, 65), frames=5, pixel_format="yuv444p")
    return tmp_path
