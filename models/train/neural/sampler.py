"""Crops that run on through time, for truncated back-propagation.

A batch has fixed slots.  A slot shows one crop of one clip, one frame further at each step, until
its run ends; then it starts elsewhere, with a key.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from auralink.codecs.frame import Plane
from auralink.models.train.neural.material import Entry, crop, read_index
from auralink.models.train.neural.shape import INTRA_SPAN

# Scenes kept for validation, whole: no clip whose name starts so is trained on.
UNSEEN = (
    "grid_l",
    "selfie",
    "signerC",
    "xiph_deadline",
    "xiph_intros",
    "xiph_pamphlet",
    "xiph_paris",
    "xiph_suzie",
    "screen_code_113",
    "screen_doc_112",
    "screen_web_111",
    "drawn_50080",
)
SHARES = {
    "people": 1.0,
    "general": 0.6,
    "objects": 0.6,
    "animation": 0.4,
    "screen": 0.35,
    "drawn": 0.35,
}
STILLS = 0.4  # of the pictures for the intra network
PANS = 0.06  # of the runs: a still under a moving window, or not moving at all
LOWEST = 0.12  # of the runs are at quality 0, where calls on thin links live
# Much of what a key spends comes back: each frame after it copies what it can.  A key half a unit
# of quality above its stream won most of what any change to the prototype won (measured).
KEY_OFFSET = (-0.1, 0.6)
STRENGTHS = (0, 1, 2, 2, 2, 3)  # of adaptive quantization, in quarters


@dataclass(slots=True, kw_only=True)
class Slot:
    luma: npt.NDArray[np.uint8]  # (frames, size, size)
    chroma: npt.NDArray[np.uint8]  # (frames, 2, size / 2, size / 2)
    quality: float
    key_quality: float
    strength: int
    at: int = 0

    @property
    def left(self) -> int:
        return len(self.luma) - 1 - self.at

    @property
    def frame(self) -> tuple[Plane, Plane]:
        return self.luma[self.at], self.chroma[self.at]


class Material:
    """Memory-mapped entries of a prepared folder."""

    def __init__(self, folder: Path) -> None:
        self.entries = read_index(folder)
        self._arrays = {
            entry.name: np.load(folder / f"{entry.name}.npy", mmap_mode="r")
            for entry in self.entries
        }

    def training(self) -> list[Entry]:
        return [entry for entry in self.entries if not entry.name.startswith(UNSEEN)]

    def validation(self) -> list[Entry]:
        return [entry for entry in self.entries if entry.name.startswith(UNSEEN)]

    def frames(self, name: str) -> npt.NDArray[np.uint8]:
        """``uint8 (frames, height * 3 / 2, width)``."""
        return self._arrays[name]


class Sampler:
    """An endless supply of runs and stills; the same seed gives the same ones."""

    def __init__(self, material: Material, size: int, seed: int) -> None:
        self._material, self._size = material, size
        self._chance = random.Random(seed)
        fitting = [e for e in material.training() if min(e.height, e.width) >= size]
        self._stills = [e for e in fitting if e.category == "image"]
        self._clips = [e for e in fitting if e.category != "image" and e.frames > 1]
        self._weights = [SHARES[e.category] * min(1.0, e.frames / 40) for e in self._clips]

    def still(self) -> tuple[Plane, Plane]:
        """One turned crop: luma and chroma."""
        chance = self._chance
        entry = self._clip()
        if chance.random() < STILLS:
            entry = chance.choice(self._stills)
        frame = chance.randrange(entry.frames)
        luma, chroma = self._crops(entry, [(frame, *self._corner(entry))])
        return luma[0], chroma[0]

    def run(self, length: int) -> Slot:
        """A key and `length` frames after it."""
        chance = self._chance
        entry, places = self._pan(length) if chance.random() < PANS else self._walk(length)
        luma, chroma = self._crops(entry, places)
        quality = 0.0 if chance.random() < LOWEST else chance.random()
        key = quality + chance.uniform(*KEY_OFFSET)
        return Slot(
            luma=luma,
            chroma=chroma,
            quality=quality,
            key_quality=min(max(key, 0.0), INTRA_SPAN),
            strength=chance.choice(STRENGTHS),
        )

    def _walk(self, length: int) -> tuple[Entry, list[tuple[int, int, int]]]:
        chance, entry = self._chance, self._clip()
        stride = min(chance.choice((1, 1, 1, 2, 3)), max(1, (entry.frames - 1) // length))
        count = min(length, (entry.frames - 1) // stride)
        first = chance.randrange(entry.frames - count * stride)
        corner = self._corner(entry)
        places = [(first + k * stride, *corner) for k in range(count + 1)]
        if chance.random() < 0.3:
            places.reverse()
        return entry, places + [places[-1]] * (length - count)  # a scene that comes to rest

    def _pan(self, length: int) -> tuple[Entry, list[tuple[int, int, int]]]:
        chance, entry = self._chance, self._chance.choice(self._stills)
        top, left = self._corner(entry)
        dy, dx = (2 * round(chance.gauss(0, 2)) for _ in range(2))
        if chance.random() < 0.3:
            dy = dx = 0
        bottom, right = entry.height - self._size, entry.width - self._size
        return entry, [
            (0, min(max(top + dy * k, 0), bottom), min(max(left + dx * k, 0), right))
            for k in range(length + 1)
        ]

    def _clip(self) -> Entry:
        return self._chance.choices(self._clips, self._weights)[0]

    def _corner(self, entry: Entry) -> tuple[int, int]:
        """Even, so that chroma is cut at whole samples."""
        rows, columns = entry.height - self._size, entry.width - self._size
        return 2 * self._chance.randint(0, rows // 2), 2 * self._chance.randint(0, columns // 2)

    def _crops(
        self, entry: Entry, places: Sequence[tuple[int, int, int]]
    ) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint8]]:
        frames = self._material.frames(entry.name)
        cut = [
            crop(frames[time], top // 2 * 2, left // 2 * 2, self._size)
            for time, top, left in places
        ]
        luma, chroma = np.stack([c[0] for c in cut]), np.stack([c[1] for c in cut])
        for turn in range(3):
            if self._chance.random() < 0.5:
                luma, chroma = (_turn(planes, turn) for planes in (luma, chroma))
        return np.ascontiguousarray(luma), np.ascontiguousarray(chroma)


def _turn(planes: npt.NDArray[np.uint8], way: int) -> npt.NDArray[np.uint8]:
    return (planes[..., ::-1], planes[..., ::-1, :], planes.swapaxes(-1, -2))[way]
