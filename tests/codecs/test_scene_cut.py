"""When a frame is better coded as a key."""

import pytest

from auralink.codecs.video.options import EncoderOptions
from auralink.codecs.video.profiles import open_encoder
from auralink.codecs.video.protocol import Kind, Wish
from auralink.codecs.video.scene_cut import SceneCut

from .pictures import moving


def test_a_new_slide_is_a_cut() -> None:
    cut = SceneCut()
    assert not any(cut.happened(0.0) for _ in range(30))

    assert cut.happened(40.0)


@pytest.mark.parametrize("usual", [2.0, 6.0, 15.0, 25.0])
def test_motion_as_usual_is_none(usual: float) -> None:
    cut = SceneCut()
    for step in range(60):  # it grows, as motion does
        cut.happened(usual * min(1.0, step / 10))

    assert not any(cut.happened(usual * (0.7 + 0.01 * step)) for step in range(80))


def test_a_cut_in_a_clip_is_coded_as_a_key_of_bounded_size() -> None:
    encoder = open_encoder("hybrid", fps=30, options=EncoderOptions(preset=10))
    frames = [moving(i, speed=0.1) for i in range(20)]
    frames += [
        type(frame)(y=255 - frame.v.repeat(2, 0).repeat(2, 1), u=frame.u, v=frame.v, pts_us=0).at(
            (20 + i) * 33_333
        )
        for i, frame in enumerate(frames[:10])
    ]

    coded = [encoder.encode(frame, Wish(bitrate_bps=300_000)) for frame in frames]

    assert [i for i, unit in enumerate(coded) if unit.kind is Kind.KEY] == [0, 20]
    assert coded[20].size * 8 < 1.3 * 4 * 300_000 / 30
