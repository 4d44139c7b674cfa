"""The command line on real small files: round trips, bad input, exit codes, JSON."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from auralink.engine.cli.main import run
from auralink.engine.media.reader import Clip

MakeVideo = Callable[..., Path]


@dataclass(frozen=True)
class Outcome:
    code: int
    out: str
    err: str

    @property
    def json(self) -> dict[str, object]:
        value: dict[str, object] = json.loads(self.out)
        return value


@pytest.fixture
def auralink(capsys: pytest.CaptureFixture[str]) -> Callable[..., Outcome]:
    def call(*words: object) -> Outcome:
        code = run([str(word) for word in words])
        captured = capsys.readouterr()
        return Outcome(code, captured.out, captured.err)

    return call


Auralink = Callable[..., Outcome]


def sizes(path: Path) -> list[tuple[int, int]]:
    with Clip(str(path)) as clip:
        return [frame.size for frame in clip]


@pytest.mark.parametrize("profile", ["hybrid", "native-vp8", "native-h264", "neural-s"])
@pytest.mark.parametrize("suffix", [".y4m", ".mkv"])
def test_a_clip_survives_encode_info_and_decode(
    auralink: Auralink, make_video: MakeVideo, tmp_path: Path, profile: str, suffix: str
) -> None:
    source = make_video(frames=12, size=(96, 64), fps=25)
    packed, result = tmp_path / "clip.aic", tmp_path / f"result{suffix}"

    encoded = auralink(
        "encode", source, packed, "--profile", profile, "--bitrate", "200k", "--json"
    )
    info = auralink("info", packed, "--json")
    decoded = auralink("decode", packed, result, "--json")

    assert [encoded.code, info.code, decoded.code] == [0, 0, 0]
    assert encoded.json["frames"] == 12
    assert info.json["units"] == decoded.json["units"] == 12
    assert info.json["wire_bytes"] == encoded.json["wire_bytes"]
    assert info.json["file_bytes"] == packed.stat().st_size
    assert info.json["configs"][0]["profile"] == profile
    assert decoded.json["frozen"] == 0
    with Clip(str(source)) as a, Clip(str(result)) as b:
        pairs = list(zip(a, b, strict=True))
    assert [x.pts_us for x, _ in pairs] == [y.pts_us for _, y in pairs]
    assert all(np.abs(x.y.astype(int) - y.y).mean() < 12 for x, y in pairs)


def test_people_get_words_and_machines_one_object(
    auralink: Auralink, make_video: MakeVideo, tmp_path: Path
) -> None:
    packed = tmp_path / "clip.aic"

    words = auralink("encode", make_video(frames=4), packed)
    info = auralink("info", packed)

    assert words.code == 0
    assert "bit rate" in words.out
    assert "auralink decode" in words.err
    assert "headers" in info.out
    assert "\x1b[" not in words.out + words.err + info.out  # no colour in a pipe


def test_options_change_what_is_coded(
    auralink: Auralink, make_video: MakeVideo, tmp_path: Path
) -> None:
    source = make_video(frames=30, size=(160, 96), fps=30)
    packed = tmp_path / "clip.aic"
    base = ("encode", source, packed, "--json")

    fine = auralink(*base, "--quality", "10").json
    coarse = auralink(*base, "--quality", "60").json
    protected = auralink(*base, "--quality", "60", "--parity", "50%").json
    small = auralink(
        *base, "--size", "80x48", "--fps", "10", "--frames", "8", "--preset", "10"
    ).json
    described = auralink("info", packed, "--json").json

    assert fine["wire_bytes"] > coarse["wire_bytes"]
    assert coarse["parity_bytes"] == 0
    assert protected["parity_bytes"] > 0
    assert small["frames"] == 8
    assert described["configs"][0]["width"] == 80
    assert described["fps"] == pytest.approx(10, abs=0.2)


@pytest.mark.parametrize("size", [(1, 1), (2, 3), (8, 8), (33, 17), (101, 1), (641, 359)])
def test_any_size_goes_through(
    auralink: Auralink, make_video: MakeVideo, tmp_path: Path, size: tuple[int, int]
) -> None:
    source = make_video(frames=3, size=size)

    encoded = auralink("encode", source, tmp_path / "a.aic")
    decoded = auralink("decode", tmp_path / "a.aic", tmp_path / "a.y4m")

    assert (encoded.code, decoded.code) == (0, 0), encoded.err + decoded.err
    assert sizes(tmp_path / "a.y4m") == [size] * 3


@pytest.mark.parametrize("pixel_format", ["yuv420p10le", "yuv444p", "yuv422p10le", "bgr0", "gray"])
def test_any_pixel_format_goes_through(
    auralink: Auralink, make_video: MakeVideo, tmp_path: Path, pixel_format: str
) -> None:
    source = make_video(frames=3, size=(64, 48), pixel_format=pixel_format)

    encoded = auralink("encode", source, tmp_path / "a.aic", "--json")

    assert encoded.code == 0
    assert encoded.json["frames"] == 3


def test_a_change_of_size_in_mid_stream_goes_through(auralink: Auralink, tmp_path: Path) -> None:
    source = tmp_path / "two.h264"
    source.write_bytes(h264(64, 48) + h264(96, 80))

    encoded = auralink("encode", source, tmp_path / "a.aic", "--json")
    info = auralink("info", tmp_path / "a.aic", "--json")
    decoded = auralink("decode", tmp_path / "a.aic", tmp_path / "a.y4m")

    assert (encoded.code, decoded.code) == (0, 0), encoded.err + decoded.err
    assert [(c["width"], c["height"]) for c in info.json["configs"]] == [(64, 48), (96, 80)]
    assert sizes(tmp_path / "a.y4m") == [(64, 48)] * 6


def test_times_that_go_back_are_answered_and_not_coded(auralink: Auralink, tmp_path: Path) -> None:
    source = tmp_path / "times.nut"
    ticks = [0, 40, 40, 20, 80, 120]
    with av.open(str(source), "w", format="nut") as out:
        stream = out.add_stream("rawvideo", rate=25)
        stream.width, stream.height, stream.pix_fmt = 32, 32, "yuv420p"
        stream.codec_context.time_base = Fraction(1, 1000)
        for i, tick in enumerate(ticks):
            picture = av.VideoFrame.from_ndarray(np.full((48, 32), 40 * i, np.uint8), "yuv420p")
            picture.pts, picture.time_base = i, Fraction(1, 1000)
            for packet in stream.encode(picture):
                packet.pts, packet.dts = tick, i - 10
                out.mux(packet)

    encoded = auralink("encode", source, tmp_path / "a.aic", "--json")

    assert encoded.code == 0
    outcomes = encoded.json["outcomes"]
    assert outcomes["dropped_time"] == 2
    assert sum(outcomes.values()) == 6


@pytest.mark.parametrize(
    ("words", "message", "hint"),
    [
        (["encode", "{none}", "{out}"], "no such file", "check the path"),
        (["encode", "{empty}", "{out}"], "is empty", "any video"),
        (["encode", "{text}", "{out}"], "is not a video", "any video"),
        (["encode", "{folder}", "{out}"], "is a folder", "name one video"),
        (["encode", "{clip}", "{clip}"], "same file", "another name"),
        (["encode", "{clip}", "{none}/x.aic"], "there is no folder", "mkdir"),
        (["encode", "{clip}", "{out}", "--profile", "hybird"], "unknown profile", "mean hybrid?"),
        (["encode", "{clip}", "{out}", "--bitrate", "90x"], "no bit rate", "--help"),
        (["encode", "{clip}", "{out}", "--size", "640"], "no picture size", "--help"),
        (["encode", "{clip}", "{out}", "--fps", "no"], "no frame rate", "--help"),
        (["encode", "{clip}", "{out}", "--parity", "30"], "did you mean 30%?", "--help"),
        (["encode", "{clip}", "{out}", "--bitrate", "9k", "--quality", "9"], "exclude", ""),
        (["encode", "{clip}"], "Missing argument", "--help"),
        (["decode", "{none}", "{y4m}"], "no such file", "check the path"),
        (["decode", "{empty}", "{y4m}"], "empty file", ""),
        (["decode", "{text}", "{y4m}"], "not an AIC file", ""),
        (["decode", "{clip}", "{y4m}"], "not an AIC file", ""),
        (["decode", "{aic}", "{none}.mp4"], "cannot write .mp4", ".y4m or .mkv"),
        (["decode", "{aic}", "{y4m}", "--burst", "3"], "--loss", ""),
        (["decode", "{aic}", "{y4m}", "--loss", "90%", "--burst", "2"], "at least 9.0", ""),
        (["info", "{none}"], "no such file", "check the path"),
        (["info", "{folder}"], "cannot be read", "name an .aic file"),
        (["bench", "spead"], "unknown measurement", "did you mean speed?"),
        (["models", "verify", "restore-s-int9"], "unknown model", "did you mean restore-s-int8?"),
        (["demo", "--clip", "{none}", "--no-open"], "no such file", "check the path"),
        (["demo", "--rate", "0", "--no-open"], "from 1k to 1G", "--help"),
        (["nonsense"], "nonsense", "--help"),
    ],
)
def test_bad_input_names_the_fault_and_the_remedy(
    auralink: Auralink,
    make_video: MakeVideo,
    tmp_path: Path,
    words: Sequence[str],
    message: str,
    hint: str,
) -> None:
    (tmp_path / "empty.mp4").touch()
    (tmp_path / "text.mp4").write_text("words, not pictures. " * 40)
    places = {
        "none": tmp_path / "none",
        "empty": tmp_path / "empty.mp4",
        "text": tmp_path / "text.mp4",
        "folder": tmp_path,
        "clip": make_video(frames=2, size=(32, 32)),
        "aic": tmp_path / "good.aic",
        "out": tmp_path / "out.aic",
        "y4m": tmp_path / "out.y4m",
    }
    if "{aic}" in words:
        auralink("encode", places["clip"], places["aic"])

    result = auralink(*(word.format(**places) for word in words))

    assert result.code == 2
    assert message in result.err
    assert hint in result.err
    assert result.out == ""
    assert not places["out"].exists()
    assert not list(tmp_path.glob("*.partial.*"))


def test_errors_are_json_too(auralink: Auralink, tmp_path: Path) -> None:
    result = auralink("info", tmp_path / "none.aic", "--json")

    assert result.code == 2
    assert "no such file" in str(result.json["error"])
    assert result.json["hints"]


def test_a_truncated_file_keeps_partial_output(
    auralink: Auralink, make_video: MakeVideo, tmp_path: Path
) -> None:
    whole, cut = tmp_path / "whole.aic", tmp_path / "cut.aic"
    auralink("encode", make_video(frames=20, size=(96, 64)), whole)
    cut.write_bytes(whole.read_bytes()[: whole.stat().st_size * 2 // 3])

    decoded = auralink("decode", cut, tmp_path / "cut.y4m")
    info = auralink("info", cut, "--json")

    assert decoded.code == info.code == 2
    assert f"{cut}: file cut off inside the packet at byte" in decoded.err
    assert "partial: " in decoded.err
    assert not (tmp_path / "cut.y4m").exists()
    kept = len(sizes(tmp_path / "cut.partial.y4m"))
    assert 0 < kept < 20
    assert f"keeps {kept} picture" in decoded.err
    assert info.json["units"] == kept
    assert "cut off" in str(info.json["broken"])


def test_a_damaged_unit_freezes_and_exits_1(
    auralink: Auralink, make_video: MakeVideo, tmp_path: Path
) -> None:
    packed = tmp_path / "a.aic"
    source = make_video(frames=20, size=(160, 96))
    auralink("encode", source, packed, "--bitrate", "300k")
    data = bytearray(packed.read_bytes())
    middle = len(data) // 2
    data[middle : middle + 40] = bytes(40)  # inside a payload, or a whole header
    packed.write_bytes(data)

    decoded = auralink("decode", packed, tmp_path / "a.y4m", "--json")

    assert decoded.code in (1, 2)  # 2 if the zeros hit a length
    if decoded.code == 1:
        assert decoded.json["frozen"] > 0
        assert "damaged" in decoded.err


def test_a_video_broken_in_the_middle_keeps_partial_output(
    auralink: Auralink, make_video: MakeVideo, tmp_path: Path
) -> None:
    source = make_video(suffix=".y4m", codec="wrapped_avframe", frames=9, size=(32, 32))
    data = source.read_bytes()
    source.write_bytes(data[: len(data) // 2] + b"garbage" * 400)

    encoded = auralink("encode", source, tmp_path / "a.aic")

    assert encoded.code == 2
    assert "cannot be decoded after" in encoded.err
    assert "partial: " in encoded.err
    assert auralink("info", tmp_path / "a.partial.aic").code == 0
    assert not (tmp_path / "a.aic").exists()


def test_loss_is_seeded(auralink: Auralink, make_video: MakeVideo, tmp_path: Path) -> None:
    packed = tmp_path / "a.aic"
    auralink("encode", make_video(frames=40, size=(96, 64)), packed)

    first, again, other = (
        auralink(
            "decode", packed, tmp_path / "a.y4m", "--loss", "10%", "--seed", seed, "--json"
        ).json
        for seed in (3, 3, 4)
    )

    assert {**first, "decode_ms_median": 0} == {**again, "decode_ms_median": 0}
    assert first["link"] != other["link"]
    assert first["link"]["lost"] > 0
    # However much is lost, the screen shows something for every frame.
    assert first["pictures"] == first["units"] == 40


def test_parity_repairs_losses(auralink: Auralink, make_video: MakeVideo, tmp_path: Path) -> None:
    source = make_video(frames=40, size=(96, 64))
    plain, protected = tmp_path / "plain.aic", tmp_path / "protected.aic"
    auralink("encode", source, plain, "--preset", "8")
    auralink("encode", source, protected, "--preset", "8", "--parity", "100%")

    def decoded(path: Path) -> list[dict[str, object]]:
        lossy = ("--loss", "4%", "--json", "--seed")
        return [
            auralink("decode", path, tmp_path / "o.y4m", *lossy, seed).json for seed in range(6)
        ]

    without, repaired = decoded(plain), decoded(protected)

    assert sum(run["recovered_packets"] for run in repaired) > 0
    assert 2 * sum(run["frozen"] for run in repaired) < sum(run["frozen"] for run in without)


def test_doctor_version_and_models_tell_about_this_machine(auralink: Auralink) -> None:
    doctor = auralink("doctor", "--json")
    version = auralink("version", "--json")
    models = auralink("models", "list")
    verified = auralink("models", "verify", "--json")

    assert doctor.code == verified.code == models.code == 0
    assert doctor.json["healthy"] is True
    assert any("chosen" in fact["value"] for fact in doctor.json["facts"])
    assert version.json["auralink-aic"]
    assert "restore-s" in models.out
    assert "neural-s" in models.out


def test_interruption_exits_130_and_keeps_the_part(
    auralink: Auralink,
    make_video: MakeVideo,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    source = make_video(frames=9)
    original = Clip.__iter__

    def interrupted(self: Clip):
        for i, frame in enumerate(original(self)):
            if i == 5:
                raise KeyboardInterrupt
            yield frame

    monkeypatch.setattr(Clip, "__iter__", interrupted)

    result = auralink("encode", source, tmp_path / "a.aic")

    assert result.code == 130
    assert "a.partial.aic keeps 5 frames" in result.err
    assert (tmp_path / "a.partial.aic").stat().st_size > 0


def test_the_console_script_runs_and_respects_a_closed_pipe(make_video: MakeVideo) -> None:
    program = "from auralink.engine.cli.main import main; main()"
    environment = {**os.environ, "NO_COLOR": "1"}

    shown = subprocess.run(
        [sys.executable, "-c", program, "--help"],
        capture_output=True,
        text=True,
        check=False,
        env=environment,
        timeout=120,
    )

    assert shown.returncode == 0
    for command in ("encode", "decode", "info", "demo", "bench", "models", "doctor"):
        assert command in shown.stdout


def h264(width: int, height: int, frames: int = 3) -> bytes:
    codec = av.CodecContext.create("libx264", "w")
    codec.width, codec.height, codec.pix_fmt = width, height, "yuv420p"
    codec.time_base = Fraction(1, 25)
    out = b""
    for i in range(frames):
        picture = av.VideoFrame.from_ndarray(
            np.full((height * 3 // 2, width), 60 + 20 * i, np.uint8), "yuv420p"
        )
        picture.pts = i
        out += b"".join(map(bytes, codec.encode(picture)))
    return out + b"".join(map(bytes, codec.encode(None)))
