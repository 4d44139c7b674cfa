import json
from pathlib import Path

import pytest

from auralink.bench import loss, plots
from auralink.bench.clips import synthetic
from auralink.codecs.errors import InputError
from auralink.codecs.video.protocol import Coded, Kind, Outcome, Picture, Status
from auralink.engine.link.call import Played, Recording, Sent

OPTIONS = loss.Options(
    names=("talk",),
    frames=45,
    subjects=("svt", "aom+parity=0.5", "vp8"),
    patterns=(loss.Pattern(loss=0.0), loss.Pattern(loss=0.2, burst=2.0)),
    bps_per_pixel=8.0,
)


def test_measures_every_subject_under_every_pattern(folder: Path) -> None:
    options = loss.dataclasses.replace(OPTIONS, clips=folder, out=folder / "loss.json")

    result = loss.run(options)

    assert result.skipped == {}
    assert len(result.seen) == 6
    for seen in result.seen:
        assert 0 < seen.ssim_p5 <= seen.ssim <= 1
        assert seen.errors == 0
        if seen.pattern == "0%":
            assert (seen.loss, seen.freeze_ratio, seen.stuck, seen.repairs) == (0, 0, 0, 0)
    assert any(seen.parity_share > 0.1 for seen in result.seen)
    saved = json.loads((folder / "loss.json").read_text())
    assert len(saved["seen"]) == 6
    assert len(loss.table(result).splitlines()) == 8
    plots.losses(result, folder / "loss.png")
    assert (folder / "loss.png").stat().st_size > 1000


def test_the_same_seed_measures_the_same() -> None:
    clip = synthetic(96, 64, 45)
    pattern = loss.Pattern(loss=0.2)

    first, second = (loss.at_equal_bits(clip, "svt", pattern, OPTIONS, 3) for _ in range(2))

    assert first == second


def test_targets_are_corrected_until_bits_are_equal() -> None:
    clip = synthetic(96, 64, 60)

    seen = loss.at_equal_bits(clip, "svt+parity=0.5", loss.Pattern(loss=0.0), OPTIONS, 1)

    assert seen.kbps == pytest.approx(8 * 96 * 64 / 1000, rel=0.1)


@pytest.mark.parametrize("name", ["x265", "svt+prayer", "svt+"])
def test_unknown_subjects_are_refused(name: str) -> None:
    with pytest.raises(InputError):
        loss.parse_subject(name)


def test_freezes_count_as_worse_pictures() -> None:
    clip = synthetic(96, 64, 40)
    arrived = [i for i in range(40) if not 34 <= i < 38]
    made = Recording(
        sent=tuple(sent(clip, i) for i in range(40)),
        played=tuple(played(clip, i) for i in arrived),
        stuck=((34 * 33_333, 38 * 33_333),),
        state=loss.Call(  # an idle call's state: no packets
            None,  # type: ignore[arg-type]
            None,  # type: ignore[arg-type]
            bitrate_bps=1,
            there=loss.LinkSettings(),
            seed=1,
        ).state(),
    )

    seen = loss.judge(clip, "svt", loss.Pattern(loss=0.1), 1, made)

    assert seen.freeze_ratio == pytest.approx(4 / 10)
    assert seen.longest_freeze_ms == pytest.approx(4e3 / 30, rel=0.01)
    assert seen.recovery_ms == (pytest.approx(4 * 33.333),)
    assert seen.in_time == 1.0
    assert seen.ssim < 1


def sent(clip: loss.Clip, index: int) -> Sent:
    head = 0 if index == 0 else 1 << 6 | 1 << 2
    coded = Coded(
        outcome=Outcome.CODED,
        packets=(bytes([head, 0, index, 0]),),
        number=index,
        kind=Kind.DELTA if index else Kind.KEY,
    )
    frame = clip.frames[index]
    return Sent(frame=frame, at_us=frame.pts_us, coded=coded, encode_ms=0, parity=0)


def played(clip: loss.Clip, index: int) -> Played:
    frame = clip.frames[index]
    picture = Picture(frame=frame, status=Status.DECODED, number=index)
    return Played(at_us=frame.pts_us + 50_000, picture=picture, decode_ms=0)
