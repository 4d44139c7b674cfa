"""Files of every kind come in as upright 8-bit 4:2:0, and go out unharmed."""

import re
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from auralink.codecs.errors import InputError
from auralink.codecs.frame import Frame, blank
from auralink.engine.media.reader import Clip, ReadOptions
from auralink.engine.media.writer import ClipWriter

MakeVideo = Callable[..., Path]


def read(path: Path, **options: object) -> list[Frame]:
    with Clip(str(path), ReadOptions(**options)) as clip:
        return list(clip)


@pytest.mark.parametrize(
    ("codec", "pixel_format"),
    [
        ("ffv1", "yuv420p"),
        ("ffv1", "yuv420p10le"),
        ("ffv1", "yuv444p"),
        ("ffv1", "yuv422p10le"),
        ("ffv1", "bgr0"),
        ("ffv1", "gray"),
        ("mjpeg", "yuvj420p"),
        ("rawvideo", "rgb24"),
    ],
)
def test_every_pixel_format_becomes_8_bit_420(
    make_video: MakeVideo, codec: str, pixel_format: str
) -> None:
    path = make_video(
        codec=codec,
        pixel_format=pixel_format,
        frames=3,
        size=(64, 48),
        fps=25,
        suffix=".nut" if codec == "rawvideo" else ".mkv",
    )

    frames = read(path)

    assert [frame.size for frame in frames] == [(64, 48)] * 3
    assert [frame.pts_us for frame in frames] == [0, 40_000, 80_000]
    # The test picture runs from dark to bright.
    assert frames[0].y[:, :8].mean() + 50 < frames[0].y[:, -8:].mean()


@pytest.mark.parametrize("size", [(1, 1), (2, 2), (3, 5), (8, 8), (17, 31), (641, 361)])
@pytest.mark.parametrize("pixel_format", ["yuv420p", "yuv444p", "bgr0"])
def test_odd_and_tiny_sizes(
    make_video: MakeVideo, size: tuple[int, int], pixel_format: str
) -> None:
    frames = read(make_video(pixel_format=pixel_format, frames=2, size=size))

    assert [frame.size for frame in frames] == [size, size]


def test_full_range_sources_become_limited_range(tmp_path: Path) -> None:
    path = tmp_path / "white.mkv"
    with av.open(str(path), "w") as out:
        stream = out.add_stream("mjpeg", rate=25)
        stream.width, stream.height, stream.pix_fmt = 32, 32, "yuvj420p"
        white = av.VideoFrame.from_ndarray(np.full((48, 32), 255, np.uint8), "yuvj420p")
        white.planes[1].update(bytes([128]) * 16 * white.planes[1].line_size)
        white.planes[2].update(bytes([128]) * 16 * white.planes[2].line_size)
        out.mux(stream.encode(white))
        out.mux(stream.encode(None))

    (frame,) = read(path)

    assert frame.y.mean() == pytest.approx(235, abs=1)


def test_size_option_scales_and_frames_option_stops(make_video: MakeVideo) -> None:
    frames = read(make_video(frames=9, size=(64, 48)), size=(30, 20), frames=4)

    assert [frame.size for frame in frames] == [(30, 20)] * 4


@pytest.mark.parametrize(
    ("source_fps", "fps", "kept"),
    [(30, 15, 15), (30, 20, 20), (30, 10, 10), (25, 24, 24), (30, 60, 30), (30, 7, 7)],
)
def test_fps_option_leaves_frames_out_evenly(
    make_video: MakeVideo, source_fps: int, fps: float, kept: int
) -> None:
    path = make_video(frames=source_fps, size=(16, 16), fps=source_fps)

    times_us = [frame.pts_us for frame in read(path, fps=fps)]

    gaps = np.diff(times_us) * source_fps / 1e6
    assert len(times_us) == pytest.approx(kept, abs=1)
    assert gaps.max() - gaps.min() < 1.1  # at most one source frame apart


def test_times_that_repeat_or_go_back_are_passed_on(tmp_path: Path) -> None:
    path = tmp_path / "times.nut"
    ticks = [100, 120, 120, 90, 160]
    with av.open(str(path), "w", format="nut") as out:
        stream = out.add_stream("rawvideo", rate=25)
        stream.width, stream.height, stream.pix_fmt = 16, 16, "yuv420p"
        stream.codec_context.time_base = Fraction(1, 1000)
        for i, tick in enumerate(ticks):
            picture = av.VideoFrame(16, 16, "yuv420p")
            picture.pts, picture.time_base = 100 + i, Fraction(1, 1000)
            for packet in stream.encode(picture):
                packet.pts, packet.dts = tick, i
                out.mux(packet)

    times_us = [frame.pts_us for frame in read(path)]

    assert times_us == [(tick - 100) * 1000 for tick in ticks]


def test_a_change_of_size_in_mid_stream_is_passed_on(tmp_path: Path) -> None:
    path = tmp_path / "two_sizes.h264"
    with path.open("wb") as out:
        for width, height in ((64, 48), (96, 80)):
            codec = av.CodecContext.create("libx264", "w")
            codec.width, codec.height, codec.pix_fmt = width, height, "yuv420p"
            codec.time_base = Fraction(1, 25)
            for i in range(3):
                picture = av.VideoFrame(width, height, "yuv420p")
                picture.pts = i
                for packet in codec.encode(picture):
                    out.write(bytes(packet))
            for packet in codec.encode(None):
                out.write(bytes(packet))

    sizes = [frame.size for frame in read(path)]

    assert sizes == [(64, 48)] * 3 + [(96, 80)] * 3
    assert [frame.size for frame in read(path, size=(32, 32))] == [(32, 32)] * 6


@pytest.mark.parametrize("degrees", [90, 180, -90])
def test_pictures_stored_sideways_come_upright(tmp_path: Path, degrees: int) -> None:
    path = tmp_path / "phone.mp4"
    pixels = np.full((48 * 3 // 2, 64), 128, np.uint8)
    pixels[:8, :8] = 235  # bright corner: top left as stored
    with av.open(str(path), "w") as out:
        stream = out.add_stream("libx264", rate=25, options={"qp": "0"})
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        stream.set_display_rotation(degrees)
        out.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, "yuv420p")))
        out.mux(stream.encode(None))

    (frame,) = read(path)

    # Counter-clockwise: the top left corner goes to the bottom left, the bottom right ...
    corner = {90: frame.y[-4:, :4], 180: frame.y[-4:, -4:], -90: frame.y[:4, -4:]}[degrees]
    assert frame.size == ((64, 48) if degrees == 180 else (48, 64))
    assert corner.mean() > 230


@pytest.mark.parametrize(
    ("content", "message"),
    [(None, "no such file"), (b"", "is empty"), (b"not a video " * 50, "is not a video")],
)
def test_unusable_files_are_named(tmp_path: Path, content: bytes | None, message: str) -> None:
    path = tmp_path / "clip.mp4"
    if content is not None:
        path.write_bytes(content)

    with pytest.raises(InputError, match=message) as caught:
        read(path)

    assert str(path) in str(caught.value)
    assert caught.value.__notes__


def test_a_folder_a_sound_file_and_a_missing_camera_are_named(tmp_path: Path) -> None:
    sound = tmp_path / "sound.wav"
    with av.open(str(sound), "w") as out:
        stream = out.add_stream("pcm_s16le", rate=8000, layout="mono")
        silence = av.AudioFrame.from_ndarray(np.zeros((1, 80), np.int16), "s16", "mono")
        silence.sample_rate = 8000
        out.mux(stream.encode(silence))

    with pytest.raises(InputError, match="is a folder"):
        read(tmp_path)
    with pytest.raises(InputError, match=r"has no video \(only audio\)"):
        read(sound)
    with pytest.raises(InputError, match="/dev/video99: no such file"):
        read(Path("/dev/video99"))


def test_a_damaged_file_gives_its_good_frames_and_says_where_it_broke(
    make_video: MakeVideo,
) -> None:
    path = make_video(suffix=".y4m", codec="wrapped_avframe", frames=5, size=(32, 32))
    start_of_third = [i.start() for i in re.finditer(b"FRAME\n", path.read_bytes())][2]
    path.write_bytes(path.read_bytes()[:start_of_third] + b"garbage" * 400)

    with Clip(str(path)) as clip:
        rest = iter(clip)
        frames = [next(rest), next(rest)]
        with pytest.raises(InputError, match="after 2 frames") as caught:
            next(rest)

    assert [frame.size for frame in frames] == [(32, 32)] * 2
    assert "--frames 2" in caught.value.__notes__[0]


@pytest.mark.parametrize("suffix", [".y4m", ".mkv"])
@pytest.mark.parametrize("size", [(1, 1), (1, 9), (3, 5), (39, 2), (130, 99)])
def test_what_is_written_is_read_back(tmp_path: Path, suffix: str, size: tuple[int, int]) -> None:
    rng = np.random.default_rng(1)
    frames = [noise(rng, size, i * 50_000) for i in range(4)]
    path = tmp_path / f"out{suffix}"

    with ClipWriter(path, fps=20) as writer:
        for frame in frames:
            writer.write(frame)

    back = read(path)
    assert [frame.pts_us for frame in back] == [0, 50_000, 100_000, 150_000]
    assert all(a.same_pixels(b) for a, b in zip(frames, back, strict=True))
    assert list(tmp_path.iterdir()) == [path]


def test_mkv_keeps_uneven_times_and_y4m_holds_the_picture(tmp_path: Path) -> None:
    for suffix in (".mkv", ".y4m"):
        with ClipWriter(tmp_path / f"gap{suffix}", fps=10) as writer:
            for i, at_us in enumerate((0, 100_000, 400_000, 10**13)):
                writer.write(blank(16, 16, at_us, luma=20 + i))

    mkv, y4m = read(tmp_path / "gap.mkv"), read(tmp_path / "gap.y4m")
    assert [frame.pts_us for frame in mkv] == [0, 100_000, 400_000, 10**13]
    assert [int(frame.y[0, 0]) for frame in y4m] == [20, 21, 21, 21, 22, 23]


def test_a_change_of_size_is_scaled_to_the_first(tmp_path: Path) -> None:
    path = tmp_path / "out.y4m"

    with ClipWriter(path, fps=20) as writer:
        writer.write(blank(32, 16))
        writer.write(blank(64, 64, 50_000))

    assert [frame.size for frame in read(path)] == [(32, 16)] * 2


def test_an_error_leaves_a_partial_file(tmp_path: Path) -> None:
    path = tmp_path / "out.y4m"

    writer = ClipWriter(path, fps=20)
    writer.write(blank(32, 16))
    writer.__exit__(RuntimeError, RuntimeError(), None)

    assert not path.exists()
    assert len(read(tmp_path / "out.partial.y4m")) == 1


def test_unwritable_names_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"cannot write \.mp4"):
        ClipWriter(tmp_path / "out.mp4", fps=20)
    with pytest.raises(InputError, match="there is no folder"):
        ClipWriter(tmp_path / "none" / "out.y4m", fps=20)
    (tmp_path / "dir.mkv").mkdir()
    with pytest.raises(InputError, match="is a folder"):
        ClipWriter(tmp_path / "dir.mkv", fps=20)


def noise(rng: np.random.Generator, size: tuple[int, int], pts_us: int) -> Frame:
    width, height = size
    chroma = ((height + 1) // 2, (width + 1) // 2)
    return Frame(
        y=rng.integers(16, 236, (height, width), np.uint8),
        u=rng.integers(16, 241, chroma, np.uint8),
        v=rng.integers(16, 241, chroma, np.uint8),
        pts_us=pts_us,
    )
