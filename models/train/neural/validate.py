"""Rate and distortion on unseen scenes, with the averaged weights and true code lengths."""

import random
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from auralink.codecs.neural import motion_search
from auralink.models.train.neural import movement
from auralink.models.train.neural.layers import rounding
from auralink.models.train.neural.losses import distortion, pack, trade_of
from auralink.models.train.neural.material import Entry, crop
from auralink.models.train.neural.nets import Result
from auralink.models.train.neural.sampler import Material
from auralink.models.train.neural.shape import INTRA_SPAN, trade
from auralink.models.train.neural.trainer import Pictures, pictures, round_picture

QUALITIES = (0.0, 0.33, 0.67, 1.0)
FRAMES = 10  # of each clip, key included
SIZE = 144
CLIPS = 14
KEY_OFFSET = 0.35
STRENGTH = 2
LONG_RUN = 240  # frames after a key in which drift is looked for
DRIFT_QUALITY = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    quality: float
    bits_per_pixel: float  # of all frames, vectors included as the search estimates them
    psnr: float  # mean over clips of the clip's luma PSNR
    ssim: float
    cost: float  # bits per pixel plus traded distortion, predicted frames alone
    key_bits_per_pixel: float
    key_psnr: float


def validate(intra: nn.Module, predict: nn.Module, material: Material) -> list[Point]:
    """One point per quality; the same crops of the same clips at each call."""
    clips = [_frames(material, entry) for entry in _choose(material)]
    device = next(intra.parameters()).device
    pictures = [
        _tensor(np.stack([c[t][0] for c in clips]), np.stack([c[t][1] for c in clips]), device)
        for t in range(FRAMES)
    ]
    with torch.no_grad():
        return [_point(intra, predict, pictures, quality) for quality in QUALITIES]


def _point(intra: nn.Module, predict: nn.Module, pictures: list[Tensor], quality: float) -> Point:
    count = len(pictures[0])
    column = torch.full((count, 1, 1, 1), quality, device=pictures[0].device)
    worth = trade_of(column[:, 0, 0, 0])
    key_quality = (column + KEY_OFFSET).clamp_max(INTRA_SPAN)
    result: Result = intra(pictures[0], key_quality)
    area = 64 * pictures[0].shape[2] * pictures[0].shape[3]
    bits, mses, alikes, costs = [_bits(result) / area], [], [], []
    picture, features = round_picture(result.picture), result.features
    for t, x in enumerate(pictures):
        spent = bits[0]
        if t:
            vectors = movement.search(x, picture, [trade(quality)] * count, None)
            predicted = movement.move_picture(picture, vectors)
            moved = movement.move_features(features, vectors)
            cells = column + movement.cell_offsets(predicted, [STRENGTH] * count)
            result = predict(x, predicted, moved, column, cells)
            picture, features = round_picture(result.picture), result.features
            motion = torch.tensor([motion_search.estimate_bits(field) for field in vectors])
            spent = (_bits(result) + motion.to(worth)) / area
            bits.append(spent)
        lost, mse, alike = distortion(picture, x, worth)
        mses.append(mse)
        alikes.append(alike)
        if t:
            costs.append(spent + worth * lost)
    psnr = -10 * torch.log10(torch.stack(mses).mean(0).clamp_min(1e-8))
    return Point(
        quality=quality,
        bits_per_pixel=torch.stack(bits).mean().item(),
        psnr=psnr.mean().item(),
        ssim=torch.stack(alikes).mean().item(),
        cost=torch.stack(costs).mean().item(),
        key_bits_per_pixel=bits[0].mean().item(),
        key_psnr=(-10 * torch.log10(mses[0].clamp_min(1e-8))).mean().item(),
    )


def drift(intra: nn.Module, predict: nn.Module, material: Material) -> float:
    """Luma PSNR in dB that a receiver in 8 bits lacks against one in floats after a long run.

    Clips run to and fro without a key until `LONG_RUN`; means over its last quarter.
    """
    entries = _choose(material)[::2]
    frames = [_frames(material, entry) for entry in entries]
    device = next(intra.parameters()).device
    quality = torch.full((len(frames), 1, 1, 1), DRIFT_QUALITY, device=device)
    trades, strengths = [trade(DRIFT_QUALITY)] * len(frames), [STRENGTH] * len(frames)
    seen: list[Tensor] = []
    with torch.no_grad():
        x = _at(frames, 0, device)
        sent = pictures(intra(x, quality + KEY_OFFSET))
        with rounding(intra):
            shown = pictures(intra(x, quality + KEY_OFFSET))
        for number in range(1, LONG_RUN):
            x = _at(frames, number, device)
            vectors = movement.search(x, sent.picture, trades, None)
            moved, theirs = sent.moved(vectors), shown.moved(vectors)
            cells = quality + movement.cell_offsets(moved.picture, strengths)
            result = predict(x, moved.picture, moved.features, quality, cells)
            cells = quality + movement.cell_offsets(theirs.picture, strengths)
            with rounding(predict):
                picture, features = predict.follow(result, *theirs, cells)
            sent, shown = pictures(result), Pictures(round_picture(picture), features)
            if number >= LONG_RUN * 3 // 4:
                errors = [distortion(p.picture, x, quality)[1] for p in (sent, shown)]
                seen.append((10 * torch.log10(errors[1] / errors[0].clamp_min(1e-8))).mean())
    return torch.stack(seen).mean().item()


def _at(
    clips: list[list[tuple[np.ndarray, np.ndarray]]], number: int, device: torch.device
) -> Tensor:
    turn = FRAMES - 1
    at = turn - abs(turn - number % (2 * turn))
    return _tensor(np.stack([c[at][0] for c in clips]), np.stack([c[at][1] for c in clips]), device)


def _bits(result: Result) -> Tensor:
    return result.latent_bits.sum((1, 2, 3)) + result.hyper_bits.sum((1, 2, 3))


def _choose(material: Material) -> list[Entry]:
    fitting = [
        entry
        for entry in material.validation()
        if entry.frames >= FRAMES and min(entry.height, entry.width) >= SIZE
    ]
    return sorted(random.Random(7).sample(fitting, min(CLIPS, len(fitting))), key=lambda e: e.name)


def _frames(material: Material, entry: Entry) -> list[tuple[np.ndarray, np.ndarray]]:
    """The middle of the picture, from a third into the clip."""
    first = (entry.frames - FRAMES) // 3
    top, left = ((side - SIZE) // 4 * 2 for side in (entry.height, entry.width))
    frames = material.frames(entry.name)[first : first + FRAMES]
    return [crop(frame, top, left, SIZE) for frame in frames]


def _tensor(luma: np.ndarray, chroma: np.ndarray, device: torch.device) -> Tensor:
    planes = [torch.from_numpy(p).to(device).float() / 255 - 0.5 for p in (luma[:, None], chroma)]
    return pack(*planes).contiguous(memory_format=torch.channels_last)
