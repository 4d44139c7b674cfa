import json
from pathlib import Path

import pytest

from auralink.bench import speed, steppers
from auralink.bench.clips import synthetic
from auralink.codecs.errors import InputError, UnsupportedError


def test_times_every_stage_and_relates_it_to_vp8(folder: Path) -> None:
    options = speed.Options(
        clips=folder,
        name="talk",
        heights=(64,),
        subjects=("x264-veryfast", "svt-p12"),
        rounds=1,
        out=folder / "speed.json",
    )

    result = speed.run(options)

    assert [timing.subject for timing in result.timings] == ["x264-veryfast", "svt-p12"]
    for timing in result.timings:
        assert set(timing.stages_ms) == {"encode", "decode"}
        assert timing.total_ms == pytest.approx(sum(timing.stages_ms.values()))
        assert timing.ratio_to_vp8 > 0
    saved = json.loads((folder / "speed.json").read_text())
    assert saved["timings"][0]["width"] == 96
    assert len(speed.table(result).splitlines()) == 4


def test_what_is_missing_is_skipped_with_its_reason(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def absent(clip: object) -> steppers.Stepper:
        raise UnsupportedError("no network here")

    monkeypatch.setitem(steppers.STEPPERS, "restore", absent)

    result = speed.run(
        speed.Options(clips=folder, name="talk", heights=(64,), subjects=("restore",), rounds=1)
    )

    assert result.skipped == {"restore": "no network here"}
    assert result.timings == ()


def test_a_profile_is_timed_with_its_base_encoder_apart() -> None:
    clip = synthetic(96, 64, 3)
    stepper = steppers.open_stepper("hybrid", clip)

    stages = [stepper.step(frame) for frame in clip.frames]
    stepper.close()

    assert all(set(stage) == {"base encode", "rest of encode", "decode"} for stage in stages)
    assert stages[0]["base encode"] > 0


def test_a_learned_profile_is_timed_both_ways() -> None:
    clip = synthetic(96, 64, 3)
    stepper = steppers.open_stepper("neural-s", clip)

    stages = [stepper.step(frame) for frame in clip.frames]
    stepper.close()

    assert all(set(stage) == {"encode", "decode"} for stage in stages)
    assert all(spent > 0 for spent in stages[-1].values())


def test_rates_follow_the_presets_of_livekit() -> None:
    assert steppers.bitrate_for(synthetic(640, 360, 1)) == 450_000
    assert steppers.bitrate_for(synthetic(320, 360, 1)) == 225_000


def test_an_unknown_subject_is_named(folder: Path) -> None:
    with pytest.raises(InputError, match="theora"):
        speed.run(speed.Options(clips=folder, name="talk", heights=(64,), subjects=("theora",)))
    assert speed.main(["--clips", str(folder / "nowhere")]) == 1


def test_arguments_become_options() -> None:
    options = speed.parse(["--heights", "180,720", "--subjects", "hybrid", "--rounds", "2"])

    assert options.heights == (180, 720)
    assert options.command.endswith("--rounds 2 --heights 180,720 --subjects hybrid")
