"""Two networks, their averages and optimizers; one update of either; checkpoints."""

import copy
import random
from collections.abc import Iterable
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from auralink.models.train.neural import movement, stored
from auralink.models.train.neural.layers import rounding, straight
from auralink.models.train.neural.losses import MIDDLE, distortion, pack, trade_of
from auralink.models.train.neural.nets import Intra, Predict, Result
from auralink.models.train.neural.sampler import Sampler, Slot
from auralink.models.train.neural.schedule import Stage
from auralink.models.train.neural.shape import INTRA_SPAN, Shape, trade

CHECKPOINT = "checkpoint.pt"
EMA_HALF, EMA_CEILING = 20.0, 0.998
FIT_EVERY = 20  # steps between two fits of the symbol tables
CLIP_NORM = {"intra": 1.0, "predict": 0.5}
# Low qualities have large losses; these exponents of the trade let all count about alike.
BALANCE = {"intra": -0.35, "predict": -0.5}
COSETS = (1, 1, 1, 1, 2, 4)  # how frames are split; most small ones travel in one packet
# Learning rates relative to the stage's: priors of z and gains move in logs, and may move fast.
FAST = {"hyper_mean": 10.0, "hyper_scale": 10.0, "contexts": 3.0}
GAINS = ("encode_gain", "decode_gain", "context_gain", "tune")


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    batch: int = 8
    intra_batch: int = 10
    size: int = 128
    seed: int = 0
    device: str = "cpu"
    workers: int = 0  # threads of the motion search; 0 for a machine with one core to spare


@dataclass(slots=True, kw_only=True)
class Progress:
    """What a checkpoint remembers beside tensors."""

    seconds: float = 0.0  # of core time
    pixels: int = 0
    steps: dict[str, int] = field(default_factory=dict)  # by stage
    curve: list[dict[str, Any]] = field(default_factory=list)


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """Means over one step."""

    loss: float
    bits_per_pixel: float
    hyper_share: float
    luma_mse: float
    ssim: float


class Pictures(NamedTuple):
    """What the next frame is predicted from."""

    picture: Tensor  # rounded to 8-bit samples
    features: Tensor

    def moved(self, vectors: np.ndarray) -> "Pictures":
        return Pictures(
            movement.move_picture(self.picture, vectors),
            movement.move_features(self.features, vectors),
        )

    def detach(self) -> "Pictures":
        return Pictures(self.picture.detach(), self.features.detach())

    def replaced(self, places: list[int], new: "Pictures") -> "Pictures":
        """With others at some places of the batch."""
        whole = self.detach()
        whole.picture[places], whole.features[places] = new
        return whole


class Trainer:
    def __init__(self, shape: Shape, options: Options, sampler: Sampler) -> None:
        torch.manual_seed(options.seed)
        self.shape, self.options, self.progress = shape, options, Progress()
        self.device = torch.device(options.device)
        self.nets: dict[str, nn.Module] = {
            name: net.to(self.device, memory_format=torch.channels_last)
            for name, net in (("intra", Intra(shape)), ("predict", Predict(shape)))
        }
        self.averages = {
            name: copy.deepcopy(net).requires_grad_(False) for name, net in self.nets.items()
        }
        self.optimizers = {
            name: torch.optim.Adam(_groups(net), betas=(0.9, 0.98))
            for name, net in self.nets.items()
        }
        self._sampler, self._chance = sampler, random.Random(options.seed + 1)
        workers = options.workers
        self._pool: Executor | None = ThreadPoolExecutor(workers) if workers else None
        self._slots: list[Slot] = []
        self._sent = self._shown = Pictures(torch.empty(0), torch.empty(0))

    def step(self, stage: Stage, rate: float) -> Figures:
        """One update of the stage's network."""
        for group in self.optimizers[stage.network].param_groups:
            group["lr"] = rate * group["factor"]
        loss, figures = self._intra() if stage.network == "intra" else self._predict(stage)
        self._update(stage, loss)
        return figures

    # -- steps ----------------------------------------------------------------------------------

    def _intra(self) -> tuple[Tensor, Figures]:
        count = self.options.intra_batch
        x = self._tensor([self._sampler.still() for _ in range(count)])
        quality = torch.rand(count, device=self.device) * INTRA_SPAN
        result = self._run("intra", x, _column(quality), cosets=self._chance.choice(COSETS))
        self._count("intra", result)
        return self._loss("intra", result, result.picture, x, quality)

    def _predict(self, stage: Stage) -> tuple[Tensor, Figures]:
        self._refill(stage)
        quality = torch.tensor([slot.quality for slot in self._slots], device=self.device)
        trades = [trade(slot.quality) for slot in self._slots]
        strengths = [slot.strength for slot in self._slots]
        cosets = self._chance.choice(COSETS)
        sent, shown = self._sent, self._shown
        total, figures = torch.zeros((), device=self.device), []
        for _ in range(stage.frames):
            for slot in self._slots:
                slot.at += 1
            x = self._tensor([slot.frame for slot in self._slots])
            vectors = movement.search(x, sent.picture, trades, self._pool)
            moved = sent.moved(vectors)
            cells = _column(quality) + movement.cell_offsets(moved.picture, strengths)
            result = self._run(
                "predict", x, moved.picture, moved.features, _column(quality), cells, cosets,
                followed=stage.followed,
            )  # fmt: skip
            self._count("predict", result)
            sent = pictures(result)
            picture = result.picture
            if stage.followed:
                theirs = shown.moved(vectors)
                cells = _column(quality) + movement.cell_offsets(theirs.picture, strengths)
                picture, features = self._follow(result, theirs, cells)
                shown = Pictures(round_picture(picture), features)
                sent = Pictures(
                    straight(sent.picture, shown.picture), straight(sent.features, features)
                )
            loss, seen = self._loss("predict", result, picture, x, quality)
            total, figures = total + loss / stage.frames, [*figures, seen]
        self._sent, self._shown = sent.detach(), shown.detach()
        return total, _mean(figures)

    def _refill(self, stage: Stage) -> None:
        """Start new runs, each with a key, where old ones have no frames left."""
        count = self.options.batch
        if len(self._slots) != count:
            # Different lengths at first, so that the runs do not end together.
            lengths = [
                stage.frames * (1 + k * stage.run // stage.frames // count) for k in range(count)
            ]
            self._slots = [self._sampler.run(max(stage.frames, n)) for n in lengths]
            new = list(range(count))
        else:
            new = [k for k, slot in enumerate(self._slots) if slot.left < stage.frames]
            for k in new:
                self._slots[k] = self._sampler.run(stage.run)
        if not new:
            return
        x = self._tensor([self._slots[k].frame for k in new])
        quality = torch.tensor([self._slots[k].key_quality for k in new], device=self.device)
        with torch.no_grad():
            sent = pictures(self._run("intra", x, _column(quality)))
            shown = sent
            if stage.followed:
                with rounding(self.nets["intra"]):
                    shown = pictures(self._run("intra", x, _column(quality)))
        self._sent = sent if len(new) == count else self._sent.replaced(new, sent)
        self._shown = shown if len(new) == count else self._shown.replaced(new, shown)

    def _follow(self, sent: Result, moved: Pictures, cells: Tensor) -> tuple[Tensor, Tensor]:
        net = self.nets["predict"]
        with self._autocast(), rounding(net):
            shown: tuple[Tensor, Tensor] = net.follow(sent, *moved, cells)
        return shown

    def _run(self, name: str, *inputs: Any, **options: Any) -> Result:
        with self._autocast():
            result: Result = self.nets[name](*inputs, **options)
        return result

    def _autocast(self) -> torch.autocast:
        on = self.device.type == "cuda"
        return torch.autocast(self.device.type, torch.bfloat16, enabled=on)

    def _count(self, name: str, result: Result) -> None:
        self.nets[name].tables.count(result.symbols.detach(), result.index.detach())

    def _loss(
        self, name: str, result: Result, picture: Tensor, x: Tensor, quality: Tensor
    ) -> tuple[Tensor, Figures]:
        area = 64 * x.shape[2] * x.shape[3]
        worth = trade_of(quality)
        hyper = result.hyper_bits.sum((1, 2, 3)) / area
        bits = result.latent_bits.sum((1, 2, 3)) / area + hyper
        lost, luma, alike = distortion(picture, x, worth)
        loss = ((bits + worth * lost) * (worth / MIDDLE) ** BALANCE[name]).mean()
        figures = Figures(
            loss=loss.item(),
            bits_per_pixel=bits.mean().item(),
            hyper_share=(hyper.mean() / bits.mean()).item(),
            luma_mse=luma.mean().item(),
            ssim=alike.mean().item(),
        )
        return loss, figures

    def _update(self, stage: Stage, loss: Tensor) -> None:
        name, net = stage.network, self.nets[stage.network]
        optimizer = self.optimizers[name]
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(net.parameters(), CLIP_NORM[name])
        optimizer.step()
        steps = self.progress.steps[stage.name] = self.progress.steps.get(stage.name, 0) + 1
        done = sum(n for other, n in self.progress.steps.items() if other.startswith(name))
        keep = min(EMA_CEILING, done / (done + EMA_HALF))
        average = self.averages[name]
        with torch.no_grad():
            for mean, value in zip(average.parameters(), net.parameters(), strict=True):
                mean.lerp_(value, 1 - keep)
        if steps % FIT_EVERY == 0:
            net.tables.fit()
            average.tables.load_state_dict(net.tables.state_dict())
        frames = stage.frames * self.options.batch
        if name == "intra":
            frames = self.options.intra_batch
        self.progress.pixels += frames * self.options.size**2

    def _tensor(self, pictures: Iterable[tuple[np.ndarray, np.ndarray]]) -> Tensor:
        """Packed pictures, -0.5..0.5."""
        luma, chroma = (np.stack(planes) for planes in zip(*pictures, strict=True))
        sides = [torch.from_numpy(planes).to(self.device) for planes in (luma[:, None], chroma)]
        packed = pack(*(side.float() / 255 - 0.5 for side in sides))
        return packed.contiguous(memory_format=torch.channels_last)

    # -- checkpoints ----------------------------------------------------------------------------

    def save(self, folder: Path) -> None:
        content = {
            "shape": asdict(self.shape),
            "nets": {name: net.state_dict() for name, net in self.nets.items()},
            "averages": {name: net.state_dict() for name, net in self.averages.items()},
            "optimizers": {name: opt.state_dict() for name, opt in self.optimizers.items()},
            "progress": asdict(self.progress),
            "random": torch.get_rng_state(),
        }
        part = folder / f"{CHECKPOINT}.part"
        torch.save(content, part)
        part.replace(folder / CHECKPOINT)

    def load(self, folder: Path) -> None:
        content = torch.load(folder / CHECKPOINT, map_location=self.device, weights_only=True)
        for kind in ("nets", "averages", "optimizers"):
            for name, state in content[kind].items():
                getattr(self, kind)[name].load_state_dict(state)
        self.progress = Progress(**content["progress"])
        torch.set_rng_state(content["random"].cpu())

    def start_from(self, weights: Path) -> None:
        """Take over weights and counts; optimizers and progress start anew."""
        for nets in (self.nets, self.averages):
            stored.read(weights, nets)


def round_picture(picture: Tensor) -> Tensor:
    """To what the next frame is predicted from: 8-bit samples."""
    kept = picture.clamp(-0.5, 0.5)
    kept = kept + 0.02 * (picture - kept)  # a little gradient back from beyond black and white
    whole = ((picture.clamp(-0.5, 0.5) + 0.5) * 255).round() / 255 - 0.5
    return straight(whole, kept)


def pictures(result: Result) -> Pictures:
    return Pictures(round_picture(result.picture), result.features)


def _column(x: Tensor) -> Tensor:
    return x[:, None, None, None]


def _groups(net: nn.Module) -> list[dict[str, Any]]:
    groups: dict[float, list[nn.Parameter]] = {}
    for name, parameter in net.named_parameters():
        parts = name.split(".")
        factor = max((FAST[part] for part in parts if part in FAST), default=1.0)
        if any(part in GAINS for part in parts):
            factor = 3.0
        groups.setdefault(factor, []).append(parameter)
    return [{"params": params, "factor": factor} for factor, params in groups.items()]


def _mean(figures: list[Figures]) -> Figures:
    sums = [asdict(one) for one in figures]
    return Figures(**{key: sum(one[key] for one in sums) / len(sums) for key in sums[0]})
