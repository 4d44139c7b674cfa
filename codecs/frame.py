"""One picture: planar I420 with its capture time, and the few things that are done to it."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Self, TypeAlias

import numpy as np
import numpy.typing as npt

from auralink.codecs.errors import InputError

Plane: TypeAlias = npt.NDArray[np.uint8]  # (height, width), limited or full range as captured

MAX_WIDTH = 4096
MAX_HEIGHT = 4096  # portrait 4096 is allowed; the area is bounded below
MAX_AREA = 4096 * 2304


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """A picture of any size from 1x1; chroma planes have ``ceil(w/2) x ceil(h/2)`` samples.

    Planes are C-contiguous ``uint8``.  They are shared, never written to: who changes a
    picture makes a new one.
    """

    y: Plane = field(repr=False)
    u: Plane = field(repr=False)
    v: Plane = field(repr=False)
    pts_us: int  # capture time, microseconds

    def __post_init__(self) -> None:
        height, width = self.y.shape
        sides_fit = 1 <= width <= MAX_WIDTH and 1 <= height <= MAX_HEIGHT
        if not sides_fit or width * height > MAX_AREA:
            raise InputError(
                f"picture of {width}x{height}: 1x1 to 4096x2304 (or 2304x4096) can be used"
            )
        chroma = ((height + 1) // 2, (width + 1) // 2)
        if self.u.shape != chroma or self.v.shape != chroma:
            raise InputError(
                f"chroma planes must be {chroma}, got {self.u.shape} and {self.v.shape}"
            )

    @property
    def width(self) -> int:
        return int(self.y.shape[1])

    @property
    def height(self) -> int:
        return int(self.y.shape[0])

    @property
    def size(self) -> tuple[int, int]:
        """``(width, height)`` of the luma plane."""
        return self.width, self.height

    @property
    def planes(self) -> tuple[Plane, Plane, Plane]:
        return self.y, self.u, self.v

    def at(self, pts_us: int) -> Self:
        """The same pixels at another time."""
        return type(self)(y=self.y, u=self.u, v=self.v, pts_us=pts_us)

    def same_pixels(self, other: "Frame | None") -> bool:
        """True if every sample is equal.  Cheap when they differ: the first rows usually tell."""
        if other is None or other.size != self.size:
            return False
        probe = self.height // 2
        if not np.array_equal(self.y[probe], other.y[probe]):
            return False
        return all(np.array_equal(a, b) for a, b in zip(self.planes, other.planes, strict=True))


def blank(width: int, height: int, pts_us: int = 0, *, luma: int = 16) -> Frame:
    """A flat grey frame."""
    chroma = ((height + 1) // 2, (width + 1) // 2)
    return Frame(
        y=np.full((height, width), luma, np.uint8),
        u=np.full(chroma, 128, np.uint8),
        v=np.full(chroma, 128, np.uint8),
        pts_us=pts_us,
    )


def pad(frame: Frame, width: int, height: int) -> Frame:
    """Extend to ``width x height`` by repeating the last column and row (no-op if equal)."""
    if frame.size == (width, height):
        return frame
    if width < frame.width or height < frame.height:
        raise InputError(f"cannot pad {frame.width}x{frame.height} to {width}x{height}")
    return Frame(
        y=_extend(frame.y, width, height),
        u=_extend(frame.u, (width + 1) // 2, (height + 1) // 2),
        v=_extend(frame.v, (width + 1) // 2, (height + 1) // 2),
        pts_us=frame.pts_us,
    )


def crop(frame: Frame, width: int, height: int) -> Frame:
    """Keep the top-left ``width x height`` (no-op if equal)."""
    if frame.size == (width, height):
        return frame
    cw, ch = (width + 1) // 2, (height + 1) // 2
    return Frame(
        y=np.ascontiguousarray(frame.y[:height, :width]),
        u=np.ascontiguousarray(frame.u[:ch, :cw]),
        v=np.ascontiguousarray(frame.v[:ch, :cw]),
        pts_us=frame.pts_us,
    )


def _extend(plane: Plane, width: int, height: int) -> Plane:
    below, right = height - plane.shape[0], width - plane.shape[1]
    return np.ascontiguousarray(np.pad(plane, ((0, below), (0, right)), mode="edge"))


def split_i420(buffer: Plane, width: int, height: int) -> Iterator[Plane]:
    """The three planes of a packed I420 byte string of ``width x height`` (views, not copies)."""
    cw, ch = (width + 1) // 2, (height + 1) // 2
    flat = buffer.reshape(-1)
    start = 0
    for w, h in ((width, height), (cw, ch), (cw, ch)):
        yield flat[start : start + w * h].reshape(h, w)
        start += w * h
