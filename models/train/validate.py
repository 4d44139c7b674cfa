"""Gain over plain upscaling on scenes that were never trained on."""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from auralink.models.runtime import OnnxNetworks
from auralink.models.train import losses
from auralink.models.train.data import Entry
from auralink.models.train.nets import GRID, Restore
from auralink.models.train.sampler import Material, side_of

FRAMES = 16
EVERY = 4  # one frame in so many is measured; all are restored

Plane = npt.NDArray[np.uint8]


@dataclass(frozen=True, slots=True, kw_only=True)
class Gain:
    """Of one base scale, mean over clips and codings."""

    scale: float
    ssim_db: float  # of 1 - SSIM, luma
    psnr_db: float
    base_ssim: float
    base_psnr_db: float


class Restorer(Protocol):
    def reset(self) -> None:
        """The next frame is a key frame."""
        ...

    def restore(self, base: Plane, side: list[float]) -> Plane: ...


class TorchRestorer:
    """The network as it is trained."""

    def __init__(self, net: Restore, device: torch.device) -> None:
        self._net, self._device = net, device
        self._state: tuple[Tensor, Tensor] | None = None

    def reset(self) -> None:
        self._state = None

    @torch.no_grad()
    def restore(self, base: Plane, side: list[float]) -> Plane:
        current = torch.from_numpy(base.copy()).to(self._device)[None, None].float() / 255
        if self._state is None:
            rows, columns = (length // GRID for length in base.shape)
            hidden = current.new_zeros(1, self._net.shape.hidden, rows, columns)
            self._state = current, hidden
        told = torch.tensor([side], device=self._device)
        output, hidden = self._net(current, *self._state, told)
        output = (output.clamp(0, 1) * 255).round()
        self._state = output / 255, hidden
        return output[0, 0].byte().cpu().numpy()


class RuntimeRestorer:
    """The exported network as it is used."""

    def __init__(self, networks: OnnxNetworks) -> None:
        self._networks = networks
        self.reset()

    def reset(self) -> None:
        self._output, self._hidden = None, None

    def restore(self, base: Plane, side: list[float]) -> Plane:
        before = base if self._output is None else self._output
        made = self._networks.restore(
            base,
            before,
            self._hidden,
            quantizer=int(side[0]),
            scale=side[1],
            reference=bool(side[2]),
        )
        if made is None:
            raise RuntimeError(f"a frame was refused: {dict(self._networks.faults)}")
        self._output, self._hidden = made.luma, made.hidden
        return made.luma


@dataclass(slots=True)
class _Sums:
    """``(1 - SSIM, PSNR in dB)`` of each frame measured."""

    base: list[tuple[float, float]] = field(default_factory=list)
    restored: list[tuple[float, float]] = field(default_factory=list)


def validate(restorer: Restorer, material: Material, frames: int = FRAMES) -> list[Gain]:
    """Restore the first frames of each validation coding, from the key frame on."""
    rows: dict[float, list[_Sums]] = defaultdict(list)
    for entry in material.validation():
        for row, coding in enumerate(entry.codings):
            rows[coding.scale].append(_measure(restorer, material, entry, row, frames))
    return [_gain(scale, sums) for scale, sums in sorted(rows.items())]


def restored(
    restorer: Restorer, material: Material, entry: Entry, row: int, frames: int
) -> Iterator[tuple[Plane, Plane]]:
    """Base and restored picture of each frame of a coding."""
    clip, coding = material.clip(entry.name), entry.codings[row]
    restorer.reset()
    for at in range(min(entry.frames, frames)):
        base = np.ascontiguousarray(clip[row + 1, at])
        yield base, restorer.restore(base, side_of(coding, at))


def _measure(restorer: Restorer, material: Material, entry: Entry, row: int, frames: int) -> _Sums:
    source, sums = material.clip(entry.name)[0], _Sums()
    for at, (base, made) in enumerate(restored(restorer, material, entry, row, frames)):
        if at % EVERY == EVERY - 1:
            sums.base.append(_errors(base, source[at]))
            sums.restored.append(_errors(made, source[at]))
    return sums


def _errors(picture: Plane, source: Plane) -> tuple[float, float]:
    both = [torch.tensor(plane)[None, None].float() / 255 for plane in (picture, source)]
    found = losses.errors(*both)
    return found.dissimilarity.item(), losses.psnr_db(found.mse.item())


def _gain(scale: float, sums: list[_Sums]) -> Gain:
    base = [pair for s in sums for pair in s.base]
    made = [pair for s in sums for pair in s.restored]
    ssim_gains = [
        losses.ssim_db(_mean(s.restored, 0)) - losses.ssim_db(_mean(s.base, 0)) for s in sums
    ]
    return Gain(
        scale=round(scale, 3),
        ssim_db=round(sum(ssim_gains) / len(ssim_gains), 4),
        psnr_db=round(_mean(made, 1) - _mean(base, 1), 4),
        base_ssim=round(1 - _mean(base, 0), 4),
        base_psnr_db=round(_mean(base, 1), 2),
    )


def _mean(pairs: list[tuple[float, float]], column: int) -> float:
    return sum(pair[column] for pair in pairs) / len(pairs)
