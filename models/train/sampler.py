"""Crops of coded clips that run on through time, for truncated back-propagation.

The batch has fixed slots.  A slot shows one crop of one coding, a few frames further at each step,
until its run ends; then it starts elsewhere and is marked fresh, which tells the caller to reset
its recurrent state.
"""

import queue
import random
import threading
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from auralink.models.train.data import SCREENS, Coding, Entry, read_index
from auralink.models.train.nets import side_inputs

# Scenes kept for validation, whole: no clip whose name starts so is trained on.
UNSEEN = ("selfie_headphones", "signerC", "xiph_intros", "xiph_pamphlet")
VALIDATION = (
    "selfie_headphones",
    "signerC_learn",
    "xiph_intros_422_ntsc_200",
    "xiph_pamphlet_cif_60",
)
RUN = 20  # frames a slot stays on one crop
FROM_KEY = 0.4  # share of the runs that start at the key frame
DULL = 3e-5  # mean squared error of a crop that has nothing to teach


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    source: Tensor  # uint8 (steps, batch, 1, size, size)
    base: Tensor  # the same, coded and upscaled
    side: Tensor  # float32 (steps, batch, 3)
    fresh: Tensor  # bool (batch,): a new run starts here


@dataclass(slots=True)
class _Slot:
    pixels: np.ndarray  # uint8 (2, run, size, size): source and base
    side: list[list[float]]
    at: int


class Material:
    """Memory-mapped clips of a prepared folder."""

    def __init__(self, folder: Path) -> None:
        self.entries = read_index(folder)
        self._arrays = {
            entry.name: np.load(folder / f"{entry.name}.npy", mmap_mode="r")
            for entry in self.entries
        }

    def training(self) -> list[Entry]:
        return [entry for entry in self.entries if not entry.name.startswith(UNSEEN)]

    def validation(self) -> list[Entry]:
        return [entry for entry in self.entries if entry.name in VALIDATION]

    def clip(self, name: str) -> np.ndarray:
        """``uint8 (1 + codings, frames, height, width)``."""
        return self._arrays[name]


def side_of(coding: Coding, frame: int) -> list[float]:
    return side_inputs(coding.quantizer[frame], coding.scale, coding.reference[frame])


class Sampler:
    """An endless supply of batches; the same seed gives the same ones."""

    def __init__(self, material: Material, *, batch: int, steps: int, size: int, seed: int) -> None:
        self._material = material
        self._entries = material.training()
        self._weights = [_weight(entry) for entry in self._entries]
        self._steps, self._size = steps, size
        self._chance = random.Random(seed)
        self._slots = [self._start() for _ in range(batch)]
        for index, slot in enumerate(self._slots):  # let them end at different times
            slot.at = min(index * steps % 16, len(slot.side) - steps)
        self._fresh = [True] * batch

    def next(self) -> Batch:
        for index, slot in enumerate(self._slots):
            if slot.at + self._steps > len(slot.side):
                self._slots[index] = self._start()
                self._fresh[index] = True
        pixels = np.stack([slot.pixels[:, self._span(slot)] for slot in self._slots])
        sides = [slot.side[self._span(slot)] for slot in self._slots]
        batch = Batch(
            source=torch.from_numpy(pixels[:, 0].swapaxes(0, 1)[:, :, None].copy()),
            base=torch.from_numpy(pixels[:, 1].swapaxes(0, 1)[:, :, None].copy()),
            side=torch.tensor(sides).transpose(0, 1).contiguous(),
            fresh=torch.tensor(self._fresh),
        )
        for slot in self._slots:
            slot.at += self._steps
        self._fresh = [False] * len(self._slots)
        return batch

    def _span(self, slot: _Slot) -> slice:
        return slice(slot.at, slot.at + self._steps)

    def _start(self) -> _Slot:
        while True:
            slot = self._draw()
            source, base = slot.pixels[:, 0, ::2, ::2].astype(np.float32) / 255
            if float(((source - base) ** 2).mean()) >= DULL:
                return slot

    def _draw(self) -> _Slot:
        chance, size = self._chance, self._size
        entry = chance.choices(self._entries, self._weights)[0]
        row = chance.randrange(len(entry.codings))
        frames = min(entry.frames, RUN)
        start = 0
        if chance.random() >= FROM_KEY:
            start = chance.randrange(entry.frames - frames + 1)
        top = chance.randrange(0, entry.height - size + 1, 4)
        left = chance.randrange(0, entry.width - size + 1, 4)
        times = slice(start, start + frames)
        crop = np.s_[times, top : top + size, left : left + size]
        clip = self._material.clip(entry.name)
        pixels = np.stack([clip[0][crop], clip[row + 1][crop]])
        coding = entry.codings[row]
        sides = [side_of(coding, frame) for frame in range(start, start + frames)]
        return _Slot(pixels=_turn(pixels, chance), side=sides, at=0)


def _turn(pixels: np.ndarray, chance: random.Random) -> np.ndarray:
    if chance.random() < 0.5:
        pixels = pixels[..., ::-1]
    if chance.random() < 0.2:
        pixels = pixels[..., ::-1, :]
    if chance.random() < 0.2:
        pixels = pixels.swapaxes(-1, -2)
    return pixels


def _weight(entry: Entry) -> float:
    """Drawn screens are coded at full size by any sensible sender: few of them are enough."""
    share = 0.3 if entry.name.startswith(SCREENS) else 1.0
    return share * min(entry.frames, 40)


class Prefetch:
    """A sampler on a thread of its own, a few batches ahead of a device that would wait for it."""

    AHEAD = 4

    def __init__(self, sampler: Sampler) -> None:
        self._sampler = sampler
        self._ready: queue.Queue[Batch] = queue.Queue(self.AHEAD)
        threading.Thread(target=self._run, daemon=True).start()

    def next(self) -> Batch:
        return self._ready.get()

    def _run(self) -> None:
        while True:
            self._ready.put(self._sampler.next())
