"""Gain over plain upscaling on scenes that were never trained on."""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from auralink.models.train import losses
from auralink.models.train.data import Entry
from auralink.models.train.nets import GRID, Restore
from auralink.models.train.sampler import Material, side_of

FRAMES = 16
EVERY = 4  # one frame in so many is measured; all are restored


@dataclass(frozen=True, slots=True, kw_only=True)
class Gain:
    """Of one base scale, mean over clips and codings."""

    scale: float
    ssim_db: float  # of 1 - SSIM, luma
    psnr_db: float
    base_ssim: float
    base_psnr_db: float


@dataclass(slots=True)
class _Sums:
    base: list[tuple[float, float]]
    restored: list[tuple[float, float]]


@torch.no_grad()
def validate(net: Restore, material: Material, device: torch.device) -> list[Gain]:
    """Restore the first frames of each validation coding, from the key frame on."""
    rows = defaultdict(list)
    for entry in material.validation():
        for row, coding in enumerate(entry.codings):
            rows[coding.scale].append(_measure(net, material, entry, row, device))
    return [_gain(scale, sums) for scale, sums in sorted(rows.items())]


def _measure(
    net: Restore, material: Material, entry: Entry, row: int, device: torch.device
) -> _Sums:
    clip = material.clip(entry.name)
    sums = _Sums([], [])
    for at, (base, restored) in enumerate(_restored(net, material, entry, row, device)):
        if at % EVERY == EVERY - 1:
            source = _picture(clip[0, at], device)
            for pairs, picture in ((sums.base, base), (sums.restored, restored)):
                found = losses.errors(picture, source)
                pairs.append((float(found.dissimilarity), losses.psnr_db(float(found.mse))))
    return sums


def _restored(
    net: Restore, material: Material, entry: Entry, row: int, device: torch.device
) -> Iterator[tuple[Tensor, Tensor]]:
    """Base and restored picture of each frame; the restored one rounded to 8 bits as in use."""
    clip, coding = material.clip(entry.name), entry.codings[row]
    state: tuple[Tensor, Tensor] | None = None
    for at in range(min(entry.frames, FRAMES)):
        base = _picture(clip[row + 1, at], device)
        if state is None:
            rows, columns = entry.height // GRID, entry.width // GRID
            state = base, base.new_zeros(1, net.shape.hidden, rows, columns)
        side = torch.tensor([side_of(coding, at)], device=device)
        output, hidden = net(base, *state, side)
        output = (output.clamp(0, 1) * 255).round() / 255
        state = output, hidden
        yield base, output


def _picture(plane: object, device: torch.device) -> Tensor:
    return torch.tensor(plane, device=device)[None, None].float() / 255


def _gain(scale: float, sums: list[_Sums]) -> Gain:
    def ssim_db(pairs: list[tuple[float, float]]) -> float:
        return losses.ssim_db(_mean([a for a, _ in pairs]))

    return Gain(
        scale=round(scale, 3),
        ssim_db=round(_mean([ssim_db(s.restored) - ssim_db(s.base) for s in sums]), 4),
        psnr_db=round(
            _mean([r[1] - b[1] for s in sums for r, b in zip(s.restored, s.base, strict=True)]), 4
        ),
        base_ssim=round(_mean([1 - a for s in sums for a, _ in s.base]), 4),
        base_psnr_db=round(_mean([p for s in sums for _, p in s.base]), 2),
    )


def _mean(values: list[float]) -> float:
    return sum(values) / len(values)
