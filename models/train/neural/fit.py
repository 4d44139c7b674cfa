"""Fits the symbol tables of a trained pair by counting over training material.

Counts of z, of the symbols of y by scale index, and of motion, over runs of averaged networks at
all qualities and with all ways to deal a frame to packets.  Rows that were hardly seen lean on what
training assumed: Gaussians for z and y, and one part in a few dozen of everything for motion.
"""

import random
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from auralink.codecs.neural import motion_code, rans
from auralink.codecs.neural.model import BUCKETS, LARGEST_HYPER
from auralink.models.train.neural import movement
from auralink.models.train.neural.losses import pack
from auralink.models.train.neural.prior import Prior
from auralink.models.train.neural.rate import Tables, gaussian_bits
from auralink.models.train.neural.sampler import Sampler, Slot
from auralink.models.train.neural.shape import INTRA_SPAN, PREDICT_SPAN, trade
from auralink.models.train.neural.trainer import COSETS, round_picture

RUNS, BATCH, FRAMES = 20, 8, 9
HYPER_SMOOTH = 40.0  # symbols' worth of the Gaussian mixed into each row of z
MOTION_SMOOTH = 8.0  # of every mode and length
# Scale indices whose symbols are zero but for one in so many are never coded.  Measured on three
# clips: 1/700 takes 1 % more bits for the same PSNR and 6 % more for SSIM, 1/40 up to 4 % more.
QUIET_SHARE = 1 / 60

Counts = npt.NDArray[np.float64]


@dataclass(slots=True)
class Fit:
    """Counts of one kind of frame."""

    tables: Tables
    hyper: Counts  # (BUCKETS, channels, 63)


@dataclass(slots=True)
class Fitted:
    intra: Fit
    predict: Fit
    modes: Counts
    lengths: Counts


def fit(nets: dict[str, nn.Module], sampler: Sampler, seed: int = 1) -> Fitted:
    """Run the networks over fresh crops and count."""
    channels = nets["intra"].prior.shape.hyper
    kinds = [Fit(Tables(), np.zeros((BUCKETS, channels, 2 * LARGEST_HYPER + 1))) for _ in range(2)]
    fitted = Fitted(*kinds, np.zeros(motion_code.MODE_SHAPE), np.zeros(motion_code.LENGTH_SHAPE))
    chance = random.Random(seed)
    with torch.no_grad():
        for _ in range(RUNS):
            _run(nets, [sampler.run(FRAMES) for _ in range(BATCH)], fitted, chance)
    return fitted


def _run(
    nets: dict[str, nn.Module], slots: list[Slot], fitted: Fitted, chance: random.Random
) -> None:
    quality = torch.tensor([slot.quality for slot in slots])
    keys = torch.tensor(
        [chance.uniform(0, INTRA_SPAN) if chance.random() < 0.3 else s.key_quality for s in slots]
    )
    result = nets["intra"](_frame(slots), _column(keys), chance.choice(COSETS))
    _count(fitted.intra, result, keys / INTRA_SPAN)
    picture, features = round_picture(result.picture), result.features
    for _ in range(FRAMES):
        for slot in slots:
            slot.at += 1
        x = _frame(slots)
        vectors = movement.search(x, picture, [trade(s.quality) for s in slots], None)
        for field in vectors:
            motion_code.count(field, fitted.modes, fitted.lengths)
        predicted = movement.move_picture(picture, vectors)
        moved = movement.move_features(features, vectors)
        cells = _column(quality) + movement.cell_offsets(predicted, [s.strength for s in slots])
        result = nets["predict"](
            x, predicted, moved, _column(quality), cells, chance.choice(COSETS)
        )
        _count(fitted.predict, result, quality / PREDICT_SPAN)
        picture, features = round_picture(result.picture), result.features


def _count(kind: Fit, result: object, share: Tensor) -> None:
    """`share`: quality, 0..1 of its span."""
    at = result.index.long() * kind.tables.counts.shape[1]
    at += result.symbols.abs().clamp_max(kind.tables.counts.shape[1] - 1).long()
    seen = torch.bincount(at.flatten(), minlength=kind.tables.counts.numel())
    kind.tables.counts += seen.view_as(kind.tables.counts)
    buckets = (share * BUCKETS).long().clamp_max(BUCKETS - 1)
    for bucket, z in zip(buckets.tolist(), result.hyper.long().numpy(), strict=True):
        for channel, values in enumerate(z + LARGEST_HYPER):
            kind.hyper[bucket, channel] += np.bincount(
                values.ravel(), minlength=2 * LARGEST_HYPER + 1
            )


def arrays(nets: dict[str, nn.Module], fitted: Fitted) -> dict[str, npt.NDArray[np.generic]]:
    """What `auralink.codecs.neural.model.Model.from_arrays` reads."""
    made: dict[str, npt.NDArray[np.generic]] = {
        "early": nets["intra"].prior.early.flatten().bool().numpy(),
        "modes": rans.frequencies(fitted.modes + MOTION_SMOOTH),
        "lengths": rans.frequencies(fitted.lengths + MOTION_SMOOTH),
    }
    for name, kind, span in (
        ("intra", fitted.intra, INTRA_SPAN),
        ("predict", fitted.predict, PREDICT_SPAN),
    ):
        prior = nets[name].prior
        probabilities = kind.tables.probabilities().double().numpy()
        made[f"{name}.latent"] = rans.frequencies(probabilities)
        loud = probabilities[:, 1:].sum(1) >= QUIET_SHARE
        made[f"{name}.quiet"] = np.array(int(loud.argmax()), np.int16)
        mixed = kind.hyper + HYPER_SMOOTH * _gaussians(prior, span)
        made[f"{name}.hyper"] = rans.frequencies(mixed.reshape(-1, mixed.shape[2]))
        made |= _layers(prior, name)
    return made


def _gaussians(prior: Prior, span: float) -> Counts:
    """What training assumed of z, at the middle of each bucket."""
    middles = (torch.arange(BUCKETS) + 0.5) / BUCKETS * span
    with torch.no_grad():
        mean = prior.hyper_mean.at(_column(middles))
        scale = prior.hyper_scale(_column(middles)).clamp(0.11, 30)
    values = torch.arange(-LARGEST_HYPER, LARGEST_HYPER + 1)
    share = torch.exp2(-gaussian_bits(values - mean[:, :, 0], scale[:, :, 0])).double().numpy()
    return share / share.sum(2, keepdims=True)


def _layers(prior: Prior, name: str) -> dict[str, npt.NDArray[np.generic]]:
    made: dict[str, npt.NDArray[np.generic]] = {}
    layers = {"scale_up": prior.scale_up, "scale_out": prior.scale_out}
    for at, context in enumerate(prior.contexts):
        for part in ("gather", "mix", "tell"):
            layers[f"contexts.{at}.{part}"] = getattr(context, part)
    for part, layer in layers.items():
        weight, bias = layer.integers()
        made[f"{name}.{part}.weight"] = weight.detach().numpy().astype(np.int8)
        made[f"{name}.{part}.bias"] = bias.detach().numpy().astype(np.int32)
    return made


def _frame(slots: list[Slot]) -> Tensor:
    luma, chroma = (np.stack(planes) for planes in zip(*(s.frame for s in slots), strict=True))
    sides = [torch.from_numpy(planes) for planes in (luma[:, None], chroma)]
    return pack(*(side.float() / 255 - 0.5 for side in sides))


def _column(x: Tensor) -> Tensor:
    return x[:, None, None, None]
