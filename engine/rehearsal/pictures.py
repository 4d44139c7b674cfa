"""Pictures in files that several processes read and write: raw I420, one after the other."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, final

import numpy as np
import numpy.typing as npt

from auralink.codecs.errors import InputError
from auralink.codecs.frame import Frame
from auralink.engine.rehearsal import marks

TRACK: Final = "camera"  # what its publisher calls it


@dataclass(frozen=True, slots=True, kw_only=True)
class Script:
    """What a publisher plays: the pictures of a file over and over, each with its number."""

    path: Path
    size: tuple[int, int]
    fps: float

    @property
    def picture_bytes(self) -> int:
        width, height = self.size
        return width * height * 3 // 2


def fits(size: tuple[int, int]) -> bool:
    """Whether pictures of a size can carry their numbers."""
    width, height = size
    return not (width % 2 or height % 2) and width >= 16 * marks.BITS and height >= 2 * marks.ROWS


def write_script(path: Path, frames: Sequence[Frame], fps: float) -> Script:
    """
    Args:
        frames: of one even size.

    Raises:
        InputError: too small for the marks, or odd.
    """
    width, height = frames[0].size
    if not fits((width, height)):
        raise InputError(f"{width}x{height} pictures cannot carry their numbers: 208x64 can")
    with path.open("wb") as file:
        for frame in frames:
            for plane in (frame.y, frame.u, frame.v):
                file.write(np.ascontiguousarray(plane).tobytes())
    return Script(path=path, size=(width, height), fps=fps)


@final
class Player:
    """The pictures of a script by their number."""

    def __init__(self, script: Script) -> None:
        self._script = script
        size = script.picture_bytes
        self._pictures: npt.NDArray[np.uint8] = np.memmap(script.path, np.uint8, "r").reshape(
            -1, size
        )

    def __len__(self) -> int:
        return len(self._pictures)

    def picture(self, number: int) -> npt.NDArray[np.uint8]:
        """Planes one after the other, marked."""
        width, height = self._script.size
        picture = np.array(self._pictures[number % len(self._pictures)])
        marks.draw(picture[: width * height].reshape(height, width), number)
        return picture

    def frame(self, number: int, pts_us: int) -> Frame:
        return as_frame(self.picture(number), self._script.size, pts_us)


def as_frame(picture: npt.NDArray[np.uint8], size: tuple[int, int], pts_us: int) -> Frame:
    """A view of one picture's planes."""
    width, height = size
    half = ((width + 1) // 2, (height + 1) // 2)
    luma, chroma = width * height, half[0] * half[1]
    return Frame(
        y=picture[:luma].reshape(height, width),
        u=picture[luma : luma + chroma].reshape(half[1], half[0]),
        v=picture[luma + chroma : luma + 2 * chroma].reshape(half[1], half[0]),
        pts_us=pts_us,
    )
