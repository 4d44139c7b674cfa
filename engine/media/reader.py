"""Frames out of anything that PyAV opens: a file, a y4m, a stream, a camera.

Whatever comes is converted to 8-bit 4:2:0, upright.  Capture times count from the first picture
and are passed on as the file has them, also where they repeat or go back; the encoder answers for
those.  A change of size in mid-stream is passed on too.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from types import TracebackType
from typing import Final, Self, final

import av
import numpy as np
from av.container import InputContainer
from av.video.frame import VideoFrame
from av.video.reformatter import VideoReformatter
from av.video.stream import VideoStream

from auralink.codecs.base.pyav_frames import to_i420
from auralink.codecs.frame import Frame, Plane
from auralink.codecs.resample import Resampler
from auralink.engine.media.faults import bad_file, counted

DEFAULT_FPS: Final = 30.0  # where a file does not say
_MAX_FPS: Final = 240.0  # files that claim more hold a time base, not a frame rate
_FORMATS_HINT: Final = (
    "any video that FFmpeg reads will do: mp4, mkv, webm, mov, y4m, or a camera such as /dev/video0"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadOptions:
    """What is wanted of a source."""

    frames: int | None = None  # stop after as many
    size: tuple[int, int] | None = None  # scale to (width, height)
    fps: float | None = None  # leave frames out, in time, down to this rate; never doubles any


@dataclass(frozen=True, slots=True, kw_only=True)
class ClipInfo:
    """What a source says about itself before the first picture."""

    path: str
    size: tuple[int, int]
    fps: float
    frames: int | None  # how many will come, if known; a guess for some containers
    codec: str
    pixel_format: str
    live: bool  # a camera: it sets the pace and has no end


@final
class Clip:
    """An open source; iterate over it once, close it (or use ``with``).

    Raises:
        InputError: it cannot be read, is empty, or has no video; names file, place and remedy.
    """

    def __init__(self, path: str, options: ReadOptions = ReadOptions()) -> None:
        self._path = path
        self._options = options
        self._live = path.startswith("/dev/video")
        self._container = self._open()
        try:
            self._stream = self._video_stream()
            self.info = self._describe()
        except BaseException:
            self._container.close()
            raise
        self._scaler = VideoReformatter()
        self._resampler = Resampler()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Free the source.  Safe to call twice."""
        self._container.close()

    def __iter__(self) -> Iterator[Frame]:
        """
        Raises:
            InputError: the rest cannot be decoded; what came before is good.
        """
        for count, frame in enumerate(self._at_rate(self._converted()), 1):
            yield frame
            if count == self._options.frames:
                return

    def _open(self) -> InputContainer:
        options: dict[str, str] = {}
        if self._live:
            if self._options.size:
                options["video_size"] = "{}x{}".format(*self._options.size)
            if self._options.fps:
                options["framerate"] = f"{self._options.fps:g}"
        try:
            return av.open(self._path, format="v4l2" if self._live else None, options=options)
        except FileNotFoundError:
            raise bad_file(self._path, "no such file", "check the path") from None
        except PermissionError:
            raise bad_file(self._path, "may not be read", "check who may read it") from None
        except IsADirectoryError:
            raise bad_file(self._path, "is a folder", "name one video in it") from None
        except (av.FFmpegError, OSError, ValueError) as refused:
            what = "is empty" if _is_empty(self._path) else f"is not a video ({_reason(refused)})"
            raise bad_file(self._path, what, _FORMATS_HINT) from refused

    def _video_stream(self) -> VideoStream:
        if not self._container.streams.video:
            kinds = ", ".join(sorted({stream.type for stream in self._container.streams}))
            raise bad_file(self._path, f"has no video (only {kinds or 'nothing'})", _FORMATS_HINT)
        return self._container.streams.video[0]

    def _describe(self) -> ClipInfo:
        stream, codec = self._stream, self._stream.codec_context
        rate = stream.average_rate or stream.guessed_rate
        source_fps = float(rate) if rate and 0 < rate <= _MAX_FPS else DEFAULT_FPS
        fps = min(source_fps, self._options.fps or source_fps)
        return ClipInfo(
            path=self._path,
            size=self._options.size or (codec.width, codec.height),
            fps=fps,
            frames=self._expected(source_fps, fps),
            codec=codec.name,
            pixel_format=codec.pix_fmt or "unknown",
            live=self._live,
        )

    def _expected(self, source_fps: float, fps: float) -> int | None:
        count = self._stream.frames
        if not count and self._container.duration:
            count = round(self._container.duration / 1e6 * source_fps)
        if not count:
            return self._options.frames
        count = max(1, round(count * fps / source_fps))
        return min(count, self._options.frames or count)

    def _decoded(self) -> Iterator[VideoFrame]:
        count = 0
        try:
            for picture in self._container.decode(self._stream):
                yield picture
                count += 1
        except (av.FFmpegError, OSError, ValueError) as broken:
            what = f"cannot be decoded after {counted(count, 'frame')} ({_reason(broken)})"
            remedy = "the file is damaged or cut off: copy or record it again"
            if count:
                remedy += f", or use --frames {count} for the good part"
            raise bad_file(self._path, what, remedy) from broken
        if not count:
            raise bad_file(self._path, "has a video stream without any picture", _FORMATS_HINT)

    def _converted(self) -> Iterator[Frame]:
        step_us = round(1e6 / self.info.fps)
        first: Fraction | None = None
        pts_us = -step_us
        for picture in self._decoded():
            if picture.pts is None or picture.time_base is None:
                pts_us += step_us
            else:
                at = picture.pts * picture.time_base
                first = at if first is None else first
                pts_us = round((at - first) * 1_000_000)
            frame = upright(to_i420(picture, pts_us, self._scaler), picture.rotation)
            yield self._resampler.resize(frame, *(self._options.size or frame.size))

    def _at_rate(self, frames: Iterator[Frame]) -> Iterator[Frame]:
        """Leave out what comes earlier than the wanted rate allows."""
        if self._options.fps is None:
            yield from frames
            return
        step_us = 1e6 / self._options.fps
        due_us = 0.0
        for frame in frames:
            if frame.pts_us < due_us - 500:  # containers round times to the millisecond
                continue
            yield frame
            # From the grid, not from the frame: 30 fps become 20, not 15.
            due_us = max(due_us + step_us, frame.pts_us - step_us / 2)


def upright(frame: Frame, degrees: int) -> Frame:
    """Turn a picture by a multiple of 90 degrees, counter-clockwise (phones store it sideways)."""
    quarter_turns = round(degrees / 90) % 4
    if quarter_turns == 0:
        return frame

    def turn(plane: Plane) -> Plane:
        return np.ascontiguousarray(np.rot90(plane, quarter_turns))

    return Frame(y=turn(frame.y), u=turn(frame.u), v=turn(frame.v), pts_us=frame.pts_us)


def _is_empty(path: str) -> bool:
    try:
        with open(path, "rb") as file:
            return not file.read(1)
    except OSError:
        return False


def _reason(error: Exception) -> str:
    """FFmpeg's own words without the number and the path."""
    text = getattr(error, "strerror", None) or str(error)
    return str(text).lower()
