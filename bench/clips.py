"""The clips that measurements run on, made long enough by playing them forwards and backwards."""

import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Final

import numpy as np

from auralink.codecs.errors import InputError
from auralink.codecs.frame import Frame, crop
from auralink.codecs.resample import Resampler
from auralink.engine.media.reader import Clip as Source
from auralink.engine.media.reader import ReadOptions

DEFAULT_FRAMES: Final = 96
# Shorter ones repeat themselves so soon that codecs with many references gain unduly.
MIN_SOURCE_FRAMES: Final = 40
ENVIRONMENT: Final = "AURALINK_CLIPS"

_ROOT: Final = Path(__file__).resolve().parent.parent
_TEST_KIT: Final = _ROOT.parent / "shared" / "data" / "video" / "test"
_DEMO_CLIPS: Final = _ROOT / "engine" / "demo" / "assets"
_SUFFIXES: Final = {".mkv", ".mp4", ".y4m", ".webm", ".mov", ".avi"}
_SCREEN_WORDS: Final = ("screen", "slides", "pdf", "desktop", "text")
_PEOPLE_WORDS: Final = ("people", "talk", "face", "head", "signer", "person", "meeting")


class Kind(StrEnum):
    """What a clip shows; results are averaged per kind."""

    PEOPLE = "people"
    SCREEN = "screen"
    GENERAL = "general"


@dataclass(frozen=True, kw_only=True, eq=False)  # equal only to itself, so it can key a cache
class Clip:
    """Pictures of one even size at a constant rate."""

    name: str
    kind: Kind
    fps: float
    source_frames: int  # how many of them differ; the rest is the way back, and forth again
    frames: tuple[Frame, ...] = field(repr=False)

    @property
    def size(self) -> tuple[int, int]:
        return self.frames[0].size

    def kbps(self, byte_count: int) -> float:
        """Bit rate of ``byte_count`` bytes spent on the whole clip."""
        return byte_count * 8 * self.fps / len(self.frames) / 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class ClipFile:
    path: Path
    kind: Kind

    @property
    def name(self) -> str:
        return self.path.stem

    def load(self, frames: int = DEFAULT_FRAMES) -> Clip:
        """Read it, cropped to even sizes, as exactly ``frames`` pictures.

        Raises:
            InputError: it cannot be read.
        """
        with Source(str(self.path), ReadOptions(frames=frames)) as source:
            pictures = [crop(f, f.width & ~1, f.height & ~1) for f in source]
            fps = source.info.fps
        if any(picture.size != pictures[0].size for picture in pictures):
            raise InputError(f"{self.path.name} changes its size: cut it into clips of one size")
        return _timed(self.name, self.kind, fps, pictures, frames)


def find_clips(
    folder: Path | None = None,
    *,
    names: Sequence[str] = (),
    min_source_frames: int = MIN_SOURCE_FRAMES,
) -> list[ClipFile]:
    """The clips of a folder, sorted by kind and name.

    Args:
        folder: where to look; None: the folder in the environment, the test kit beside the
            repository, or the sample clip inside it, whichever is there first.
        names: keep those whose name contains one of these.
        min_source_frames: leave shorter ones out, unless named.

    Raises:
        InputError: no such folder, or nothing in it.
    """
    folder = folder or _default_folder()
    if not folder.is_dir():
        raise InputError(f"{folder} is not a folder of clips")
    kinds = _kinds(folder)
    clips = [
        ClipFile(path=path, kind=kinds.get(path.name) or _kind_by_name(path.stem))
        for path in sorted(folder.iterdir())
        if path.suffix in _SUFFIXES
    ]
    if names:
        clips = [clip for clip in clips if any(name in clip.name for name in names)]
    else:
        clips = [clip for clip in clips if _frame_count(clip.path) >= min_source_frames]
    if not clips:
        raise InputError(f"no clips to measure on in {folder}")
    return sorted(clips, key=lambda clip: (list(Kind).index(clip.kind), clip.name))


def at_height(clip: Clip, height: int) -> Clip:
    """The same clip scaled to about that height, both sides even."""
    resampler = Resampler("area" if height < clip.size[1] else "bicubic")
    width = round(clip.size[0] * height / clip.size[1] / 2) * 2
    return Clip(
        name=f"{clip.name}@{height}p",
        kind=clip.kind,
        fps=clip.fps,
        source_frames=clip.source_frames,
        frames=tuple(resampler.resize(frame, width, height) for frame in clip.frames),
    )


def synthetic(
    width: int, height: int, frames: int, *, fps: float = 30.0, kind: Kind = Kind.GENERAL
) -> Clip:
    """A smooth drifting texture with a brighter disc that moves against it; always the same."""
    return _timed(
        "synthetic", kind, fps, [_drifting(width, height, i) for i in range(frames)], frames
    )


def there_and_back(count: int, length: int) -> Iterator[int]:
    """``length`` indices that walk 0 .. count-1 and back without repeating the turning points."""
    period = max(1, 2 * (count - 1))
    for i in range(length):
        step = i % period
        yield step if step < count else period - step


def _timed(name: str, kind: Kind, fps: float, pictures: Sequence[Frame], length: int) -> Clip:
    frames = tuple(
        pictures[index].at(round(number * 1e6 / fps))
        for number, index in enumerate(there_and_back(len(pictures), length))
    )
    return Clip(name=name, kind=kind, fps=fps, source_frames=len(pictures), frames=frames)


def _default_folder() -> Path:
    named = os.environ.get(ENVIRONMENT)
    if named:
        return Path(named)
    return _TEST_KIT if _TEST_KIT.is_dir() else _DEMO_CLIPS


def _kinds(folder: Path) -> dict[str, Kind]:
    """Kind by file name, from a ``manifest.json`` in the folder or up to two above."""
    for parent in (folder, *list(folder.resolve().parents)[:2]):
        manifest = parent / "manifest.json"
        if manifest.is_file():
            entries = json.loads(manifest.read_text("utf-8")).get("video", [])
            return {
                Path(entry["file"]).name: Kind(entry["category"])
                for entry in entries
                if entry.get("category") in set(Kind)
            }
    return {}


def _kind_by_name(name: str) -> Kind:
    lowered = name.lower()
    if any(word in lowered for word in _SCREEN_WORDS):
        return Kind.SCREEN
    return Kind.PEOPLE if any(word in lowered for word in _PEOPLE_WORDS) else Kind.GENERAL


def _frame_count(path: Path) -> int:
    with Source(str(path), ReadOptions(frames=MIN_SOURCE_FRAMES)) as source:
        return sum(1 for _ in source)


def _drifting(width: int, height: int, number: int) -> Frame:
    y, x = np.mgrid[0:height, 0:width].astype(np.float64)
    shift = 1.5 * number
    luma = (
        120 + 40 * np.sin((x + shift) / 9) * np.cos((y + shift / 2) / 7) + 12 * np.sin(x * y / 90)
    )
    centre_x = width / 2 + width / 4 * np.sin(number / 8)
    luma += 50 * (np.hypot(x - centre_x, y - height / 2) < height / 4)
    chroma = luma[::2, ::2] / 4
    planes = (luma, 100 + chroma, 150 - chroma)
    y8, u8, v8 = (np.ascontiguousarray(plane.clip(16, 235).astype(np.uint8)) for plane in planes)
    return Frame(y=y8, u=u8, v=v8, pts_us=0)
