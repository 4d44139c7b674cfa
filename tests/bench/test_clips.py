import json
from pathlib import Path

import pytest

from auralink.bench.clips import Kind, at_height, find_clips, synthetic, there_and_back
from auralink.codecs.errors import InputError


def test_there_and_back_repeats_no_turning_point() -> None:
    assert list(there_and_back(4, 10)) == [0, 1, 2, 3, 2, 1, 0, 1, 2, 3]
    assert list(there_and_back(1, 3)) == [0, 0, 0]
    assert list(there_and_back(9, 4)) == [0, 1, 2, 3]


def test_a_short_clip_is_played_back_and_forth(folder: Path) -> None:
    clip = find_clips(folder, names=["talk"])[0].load(20)

    assert len(clip.frames) == 20
    assert clip.source_frames == 8
    assert clip.frames[9].same_pixels(clip.frames[5])
    assert [frame.pts_us for frame in clip.frames[:3]] == [0, 40_000, 80_000]
    assert clip.kbps(1000) == pytest.approx(8 * 25 / 20)


def test_odd_sizes_lose_a_row_and_a_column(folder: Path) -> None:
    assert find_clips(folder, names=["odd"])[0].load(2).size == (96, 64)


def test_kinds_come_from_the_manifest_else_from_the_name(folder: Path) -> None:
    kinds = {file.name: file.kind for file in find_clips(folder, names=["_"])}

    assert kinds == {
        "odd_97x65": Kind.GENERAL,
        "talk_96x64": Kind.PEOPLE,
        "screen_96x64": Kind.SCREEN,
    }

    (folder / "manifest.json").write_text(
        json.dumps({"video": [{"file": "video/odd_97x65.mkv", "category": "screen"}]})
    )
    assert find_clips(folder, names=["odd"])[0].kind is Kind.SCREEN


def test_very_short_clips_count_only_if_named(folder: Path) -> None:
    with pytest.raises(InputError, match="no clips"):
        find_clips(folder)
    assert len(find_clips(folder, min_source_frames=5)) == 3


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="nowhere"):
        find_clips(tmp_path / "nowhere")


def test_the_environment_names_the_folder(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AURALINK_CLIPS", str(folder))

    assert len(find_clips(names=["talk"])) == 1


def test_scaling_keeps_sides_even() -> None:
    clip = synthetic(352, 288, 2)

    assert at_height(clip, 180).size == (220, 180)
    assert at_height(clip, 180).frames[1].pts_us == clip.frames[1].pts_us
