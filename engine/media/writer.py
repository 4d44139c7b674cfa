"""Frames into a file: y4m (raw, one size, one rate) or mkv (lossless FFV1, capture times kept).

The file has its final name only once it is whole.  Until then, and after an error, it is called
``NAME.partial.EXT`` and holds every frame written so far.
"""

from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import IO, Final, Protocol, Self, final

import av

from auralink.codecs.base.pyav_frames import to_av
from auralink.codecs.frame import Frame
from auralink.codecs.resample import Resampler
from auralink.engine.media.faults import bad_file

SUFFIXES: Final = (".y4m", ".mkv")
_LONGEST_HOLD_S: Final = 10.0  # a longer gap is taken for a jump of the clock


class _Sink(Protocol):
    def write(self, frame: Frame) -> None: ...

    def close(self) -> None: ...


@final
class Partial:
    """A file that gets its name when it is whole; a device or pipe is written to directly."""

    def __init__(self, path: Path) -> None:
        self.final = path
        special = path.exists() and not path.is_file()
        self.path = path if special else path.with_name(f"{path.stem}.partial{path.suffix}")
        if path.is_dir():
            raise bad_file(path, "is a folder", "name a file in it")
        if not path.parent.is_dir():
            raise bad_file(path, f"there is no folder {path.parent}", f"mkdir -p {path.parent}")

    def finish(self) -> None:
        if self.path != self.final:
            self.path.replace(self.final)

    def discard(self) -> None:
        if self.path != self.final:
            self.path.unlink(missing_ok=True)


@final
class ClipWriter:
    """Write frames of any sizes; all are scaled to the first one's.

    A y4m has no capture times: where a frame comes late (the one before it was dropped), the last
    picture is written again, so that the file keeps its duration.

    Raises:
        InputError: the name has another suffix, or the file cannot be written.
    """

    def __init__(self, path: Path, *, fps: float) -> None:
        if path.suffix.lower() not in SUFFIXES:
            raise bad_file(
                path,
                f"cannot write {path.suffix or 'a file without suffix'}",
                f"use {' or '.join(SUFFIXES)}, both lossless",
            )
        self._file = Partial(path)
        self._fps = fps
        self._sink: _Sink | None = None
        self._resampler = Resampler()
        self._size = (0, 0)
        self.frames = 0

    @property
    def partial(self) -> Path:
        """Where the frames are until :meth:`close` gives the file its name."""
        return self._file.path

    def write(self, frame: Frame) -> None:
        try:
            if self._sink is None:
                self._size = frame.size
                kind = _Y4m if self._file.final.suffix.lower() == ".y4m" else _Ffv1
                self._sink = kind(self._file.path, frame.size, self._fps)
            self._sink.write(self._resampler.resize(frame, *self._size))
        except OSError as refused:
            raise bad_file(
                self._file.path, f"cannot be written: {refused.strerror}", "check space and rights"
            ) from refused
        self.frames += 1

    def close(self, *, whole: bool) -> None:
        """End the file; `whole` gives it its final name."""
        if self._sink is None:
            return
        self._sink.close()
        self._sink = None
        if whole:
            self._file.finish()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close(whole=kind is None)


@final
class _Y4m:
    """YUV4MPEG2, 4:2:0 with chroma sited as in MPEG-2, as AV1 and VP8 have it by default."""

    def __init__(self, path: Path, size: tuple[int, int], fps: float) -> None:
        self._out: IO[bytes] = path.open("wb")
        rate = Fraction(fps).limit_denominator(1001)
        header = f"YUV4MPEG2 W{size[0]} H{size[1]} F{rate.numerator}:{rate.denominator} Ip A1:1"
        self._out.write(f"{header} C420mpeg2\n".encode())
        self._fps = fps
        self._last: Frame | None = None

    def write(self, frame: Frame) -> None:
        if self._last is not None:
            gap_s = (frame.pts_us - self._last.pts_us) / 1e6
            if gap_s <= _LONGEST_HOLD_S:
                for _ in range(round(gap_s * self._fps) - 1):
                    self._put(self._last)
        self._put(frame)
        self._last = frame

    def _put(self, frame: Frame) -> None:
        self._out.write(b"FRAME\n")
        for plane in frame.planes:
            self._out.write(plane.data)

    def close(self) -> None:
        self._out.close()


@final
class _Ffv1:
    """Matroska with FFV1.  Its clock ticks in milliseconds, and forward only."""

    def __init__(self, path: Path, size: tuple[int, int], fps: float) -> None:
        self._container = av.open(str(path), "w", format="matroska")
        # Version 3 adds checksums but refuses many sizes below 40 pixels; version 1 takes them all.
        level = "3" if min(size) >= 64 else "1"
        self._stream = self._container.add_stream(
            "ffv1", rate=Fraction(fps).limit_denominator(1001), options={"level": level}
        )
        self._stream.width, self._stream.height = size
        self._stream.pix_fmt = "yuv420p"
        self._stream.codec_context.time_base = Fraction(1, 1000)
        self._last_ms = -1

    def write(self, frame: Frame) -> None:
        picture = to_av(frame)
        self._last_ms = max(self._last_ms + 1, round(frame.pts_us / 1000))
        picture.pts, picture.time_base = self._last_ms, Fraction(1, 1000)
        self._container.mux(self._stream.encode(picture))

    def close(self) -> None:
        self._container.mux(self._stream.encode(None))
        self._container.close()
