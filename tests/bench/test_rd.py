import dataclasses
import itertools
import json
from pathlib import Path

import pytest

from auralink.bench import anchors, plots, rd, records, tables
from auralink.bench.clips import Clip, Kind, synthetic
from auralink.bench.subjects import Point, Run
from auralink.codecs.errors import InputError, UnsupportedError
from auralink.codecs.frame import Frame

ANCHORS = ("vp8-cbr", "x264-veryfast")


def options(folder: Path, **changes: object) -> rd.Options:
    plain = rd.Options(
        clips=folder, names=("96x64",), frames=12, anchors=ANCHORS, out=folder / "rd.json"
    )
    return dataclasses.replace(plain, **changes)  # type: ignore[arg-type]


def test_measures_every_anchor_on_every_clip_and_compares_them(folder: Path) -> None:
    steps: list[rd.Step] = []

    result = rd.run(options(folder), steps.append)

    assert [(clip.clip, clip.kind) for clip in result.clips] == [
        ("talk_96x64", "people"),
        ("screen_96x64", "screen"),
    ]
    for clip in result.clips:
        assert [curve.subject for curve in clip.curves] == list(ANCHORS)
        assert (clip.frames, clip.source_frames, clip.ms_ssim_scales) == (12, 8, 3)
        for curve in clip.curves:
            assert len(curve.points) == 6
            for point in curve.points:
                assert point.keys == 1
                assert point.frames_sent == 12
                assert 0 < point.ssim_p5 <= point.ssim <= 1
                assert point.kbps == pytest.approx(point.bytes * 8 * 25 / 12 / 1000)
            assert curve.points[-1].ssim > curve.points[0].ssim
    assert {(c.subject, c.anchor, c.metric) for c in result.comparisons} >= {
        ("x264-veryfast", "vp8-cbr", "ssim"),
        ("vp8-cbr", "x264-veryfast", "psnr"),
    }
    assert (steps[0].number, steps[-1].number, steps[-1].of) == (1, 4, 4)
    assert "clips" not in result.command
    assert result.machine["av"]


def test_a_result_comes_back_from_its_file(folder: Path) -> None:
    result = rd.run(options(folder, names=("talk",)))

    back = records.load(folder / "rd.json")

    assert back.subjects == result.subjects == ANCHORS
    assert back.clips[0].curves[0].settings == result.clips[0].curves[0].settings
    assert [round(m.percent, 2) for m in back.means] == pytest.approx(
        [m.percent for m in result.means], abs=0.01
    )
    assert [c.delta is None for c in back.comparisons] == [
        c.delta is None for c in result.comparisons
    ]
    for broken in ("{}", "nonsense", json.dumps({"schema": 99})):
        (folder / "broken.json").write_text(broken)
        with pytest.raises(InputError):
            records.load(folder / "broken.json")


def test_kept_curves_are_not_measured_again(folder: Path) -> None:
    first = rd.run(options(folder, names=("talk",)))
    steps: list[rd.Step] = []

    second = rd.run(options(folder, names=("talk",), keep=True), steps.append)
    longer = rd.run(options(folder, names=("talk",), keep=True, frames=14), steps.append)

    assert second.clips[0].curves[0].points[0].bytes == first.clips[0].curves[0].points[0].bytes
    assert len(steps) == 12  # all of the longer one's
    assert longer.clips[0].frames == 14


def test_what_cannot_run_is_skipped_with_its_reason(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def absent() -> anchors.Subject:
        raise UnsupportedError("no libaom here")

    monkeypatch.setitem(anchors.ANCHORS, "libaom-rt9", absent)

    result = rd.run(options(folder, names=("talk",), anchors=("x264-veryfast", "libaom-rt9")))

    assert result.skipped == {"libaom-rt9": "no libaom here"}
    assert result.subjects == ("x264-veryfast",)


def test_an_unknown_anchor_is_named(folder: Path) -> None:
    with pytest.raises(InputError, match="theora"):
        rd.run(options(folder, anchors=("theora",)))


def test_a_quick_run_takes_one_clip_per_kind_and_four_points(folder: Path) -> None:
    result = rd.run(options(folder, anchors=("x264-veryfast",), quick=True))

    assert [clip.kind for clip in result.clips] == ["people", "screen"]
    assert all(len(curve.points) == 4 for clip in result.clips for curve in clip.curves)


def test_vp8_rates_rise_by_equal_ratios_between_its_floor_and_clean() -> None:
    clip = synthetic(160, 96, 24)

    rates = anchors.rates_for(clip)

    steps = [b / a for a, b in itertools.pairwise(rates)]
    assert len(rates) == 6
    assert max(steps) - min(steps) < 0.05
    assert anchors.rates_for(clip, share=0.5)[0] == pytest.approx(rates[0] / 2, abs=60)


@pytest.mark.parametrize("name", ["vp8-q", "vp9-rt8", "svt-p10", "engine-svt-p6"])
def test_other_anchors_code_and_decode(name: str) -> None:
    clip = synthetic(96, 64, 9)
    subject = anchors.open_anchor(name)
    point = subject.points(clip)[-1]

    run = subject.run(clip, point)

    assert len(run.sizes) == len(run.frames) == 9
    assert run.keys == 1
    assert subject.settings(clip)["encoder"]


class Still:
    """Sends the first picture and nothing more."""

    name = "still"

    def settings(self, clip: Clip) -> dict[str, str]:
        return {}

    def points(self, clip: Clip) -> list[Point]:
        return [Point(quantizer=1)]

    def run(self, clip: Clip, point: Point) -> Run:
        count = len(clip.frames)
        shown: list[Frame] = [clip.frames[0]] * count
        sizes = (500,) + (0,) * (count - 1)
        return Run(sizes=sizes, frames=tuple(shown), keys=1, encode_s=0.0, decode_s=0.0)


def test_frames_not_sent_count_by_what_is_seen() -> None:
    clip = synthetic(96, 64, 10)
    still = Still()
    point = still.points(clip)[0]

    measured = rd._measured(clip, point, still.run(clip, point))

    assert measured.frames_sent == 1
    assert measured.bytes == 500
    assert measured.kbps_after_key == 0
    assert measured.ssim < 0.99


def test_tables_and_plots_show_what_was_measured(folder: Path) -> None:
    result = rd.run(options(folder))

    means = tables.means(result, ["x264-veryfast"], ANCHORS)
    clips = tables.per_clip(result, "x264-veryfast", ["vp8-cbr"])
    plots.curves(result, folder / "rd.png", tested=["x264-veryfast"])

    assert means.splitlines()[0] == "| codec | against | people (1) | screen (1) |"
    assert means.splitlines()[2].startswith("| x264-veryfast | vp8-cbr |")
    assert len(clips.splitlines()) == 4
    assert (folder / "rd.png").read_bytes().startswith(b"\x89PNG")


def test_means_leave_out_clips_without_common_quality() -> None:
    def point(kbps: float, ssim: float) -> records.Measured:
        return records.Measured(
            point="q", kbps=kbps, kbps_after_key=kbps, bytes=1, keys=1, frames_sent=1, ssim=ssim,
            ssim_p5=ssim, ms_ssim=ssim, psnr=ssim * 40, encode_fps=1, decode_fps=1,
        )  # fmt: skip

    def clip(name: str, tested: list[float]) -> records.ClipResult:
        curves = [
            records.Curve(
                subject=subject,
                settings={},
                points=tuple(point(rate, q) for rate, q in zip(rates, qualities, strict=True)),
            )
            for subject, rates, qualities in (
                ("anchor", (100, 200), [0.8, 0.9]),
                ("tested", (50, 100), tested),
            )
        ]
        return records.ClipResult(
            clip=name, kind=Kind.PEOPLE.value, width=1, height=1, fps=1, frames=1,
            source_frames=1, ms_ssim_scales=1, curves=tuple(curves),
        )  # fmt: skip

    bare = records.Result(
        command="", machine={}, clips=(clip("a", [0.8, 0.9]), clip("b", [0.95, 0.99]))
    )

    result = records.compared(bare, ["anchor"])

    mean = next(m for m in result.means if m.metric == "ssim")
    assert (mean.subject, mean.clips) == ("tested", 1)
    assert mean.percent == pytest.approx(-50)
    assert "-50 / -50 / -50 % (1 clips)" in tables.means(result, ["tested"], ["anchor"])


def test_the_command_line_names_its_choices(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["--clips", str(folder), "--only", "talk", "--frames", "6", "--quick"]
    arguments += ["--anchors", "x264-veryfast,vp8-q", "--out", str(folder / "x.json")]

    assert rd.main(arguments) == 0
    assert rd.main(["--clips", str(folder / "nowhere")]) == 1

    printed = capsys.readouterr()
    assert "| vp8-q | x264-veryfast |" in printed.out
    assert "nowhere is not a folder" in printed.err
    assert (folder / "x.png").exists()
