"""Trains the restoration network; stops and goes on where it stopped.

::

    python -m auralink.models.train.train_restore runs/material runs/restore-s --minutes 45
    python -m auralink.models.train.train_restore runs/material runs/restore-s --minutes 90 --resume

``--minutes`` is the whole schedule, not this call's share: the learning rate falls as a cosine of
the minutes trained so far over it.
"""

import argparse
import copy
import json
import math
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path

import torch
from torch import Tensor

from auralink.models.train import losses
from auralink.models.train.nets import GRID, Restore, Shape
from auralink.models.train.sampler import Batch, Material, Prefetch, Sampler
from auralink.models.train.validate import TorchRestorer, validate

CHECKPOINT = "checkpoint.pt"
CURVE = "curve.json"
CHECKPOINT_EVERY_S = 120.0
FIRST_VALIDATION_S = 90.0
VALIDATION_STRETCH = 1.3  # each pause between validations is this much longer
LONGEST_PAUSE_S = 900.0
WARM_UP_STEPS = 200
LAST_RATE = 0.015  # of the peak learning rate
EMA_HALF = 20.0
EMA_CEILING = 0.998
CLIP_NORM = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    minutes: float
    batch: int = 8
    steps: int = 3
    size: int = 96
    rate: float = 1.5e-3
    seed: int = 0
    device: str = "cpu"


@dataclass(slots=True, kw_only=True)
class Progress:
    """What a checkpoint remembers beside tensors."""

    steps: int = 0
    pixels: int = 0
    seconds: float = 0.0
    curve: list[dict[str, object]] = field(default_factory=list)


@dataclass(slots=True)
class State:
    """Recurrent state of the batch; None before the first step."""

    output: Tensor | None = None
    hidden: Tensor | None = None


class Trainer:
    def __init__(self, shape: Shape, options: Options) -> None:
        torch.manual_seed(options.seed)
        self.options = options
        self.device = torch.device(options.device)
        self.net = Restore(shape).to(self.device, memory_format=torch.channels_last)
        self.average = copy.deepcopy(self.net).requires_grad_(False)
        self.optimizer = torch.optim.Adam(self.net.parameters(), options.rate, betas=(0.9, 0.99))
        self.progress = Progress()

    # -- one step -------------------------------------------------------------------------------

    def condition(self, batches: list[Batch]) -> None:
        """Measure the spread of the inputs; the source stands in for the last output."""
        source = torch.cat([batch.source.flatten(0, 1) for batch in batches]).to(self.device)
        base = torch.cat([batch.base.flatten(0, 1) for batch in batches]).to(self.device)
        self.net.condition(base / 255, (source.float() - base.float()) / 255)
        self.average.load_state_dict(self.net.state_dict())

    def step(self, batch: Batch, state: State) -> tuple[State, float]:
        """One update over a few frames; the loss and the state for the next ones."""
        for group in self.optimizer.param_groups:
            group["lr"] = self._rate()
        source, base = (x.to(self.device).float() / 255 for x in (batch.source, batch.base))
        side, fresh = batch.side.to(self.device), batch.fresh.to(self.device)
        output, hidden = self._reset(state, base[0], fresh)
        loss = torch.zeros((), device=self.device)
        for at in range(len(base)):
            with torch.autocast(
                self.device.type, torch.bfloat16, enabled=self.device.type == "cuda"
            ):
                output, hidden = self.net(base[at], output, hidden, side[at])
            output, hidden = output.float(), hidden.float()
            with torch.no_grad():
                before = losses.errors(base[at], source[at])
            loss = loss + losses.relative(losses.errors(output, source[at]), before) / len(base)
        self._update(loss)
        self.progress.steps += 1
        self.progress.pixels += source.numel()
        return State(output.detach().clamp(0, 1), hidden.detach()), loss.item()

    def _reset(self, state: State, base: Tensor, fresh: Tensor) -> tuple[Tensor, Tensor]:
        if state.output is None or state.hidden is None:
            rows, columns = (side // GRID for side in base.shape[-2:])
            return base, base.new_zeros(len(base), self.net.shape.hidden, rows, columns)
        at = fresh[:, None, None, None]
        return torch.where(at, base, state.output), torch.where(at, 0.0, state.hidden)

    def _update(self, loss: Tensor) -> None:
        self.optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.net.parameters(), CLIP_NORM)
        self.optimizer.step()
        keep = min(EMA_CEILING, self.progress.steps / (self.progress.steps + EMA_HALF))
        with torch.no_grad():
            for mean, value in zip(self.average.parameters(), self.net.parameters(), strict=True):
                mean.lerp_(value, 1 - keep)

    def _rate(self) -> float:
        done = min(1.0, self.progress.seconds / (self.options.minutes * 60))
        warm = min(1.0, (self.progress.steps + 1) / WARM_UP_STEPS)
        cosine = 0.5 * (1 + math.cos(math.pi * done))
        return self.options.rate * warm * (cosine * (1 - LAST_RATE) + LAST_RATE)

    # -- checkpoints ----------------------------------------------------------------------------

    def save(self, folder: Path) -> None:
        content = {
            "shape": asdict(self.net.shape),
            "net": self.net.state_dict(),
            "average": self.average.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "progress": asdict(self.progress),
        }
        fresh = folder / f"{CHECKPOINT}.new"
        torch.save(content, fresh)
        fresh.replace(folder / CHECKPOINT)
        (folder / CURVE).write_text(json.dumps(self.progress.curve, indent=1))

    def load(self, folder: Path) -> None:
        content = torch.load(folder / CHECKPOINT, map_location=self.device, weights_only=True)
        self.net.load_state_dict(content["net"])
        self.average.load_state_dict(content["average"])
        self.optimizer.load_state_dict(content["optimizer"])
        self.progress = Progress(**content["progress"])


def load_network(folder: Path) -> tuple[Restore, Progress]:
    """The averaged network of a run, on the CPU, and how far it came."""
    content = torch.load(folder / CHECKPOINT, map_location="cpu", weights_only=True)
    net = Restore(Shape(**content["shape"]))
    net.load_state_dict(content["average"])
    return net.eval().requires_grad_(False), Progress(**content["progress"])


def train(trainer: Trainer, material: Material, folder: Path) -> None:
    """Until the schedule's minutes are over."""
    options = trainer.options
    sampler: Sampler | Prefetch = Sampler(
        material,
        batch=options.batch,
        steps=options.steps,
        size=options.size,
        seed=options.seed + trainer.progress.steps,
    )
    if trainer.device.type == "cuda":
        sampler = Prefetch(sampler)
    if trainer.progress.steps == 0:
        trainer.condition([sampler.next() for _ in range(4)])
    state, recent = State(), [0.0, 0]
    saves, checks = _every(CHECKPOINT_EVERY_S), _stretching(trainer.progress.seconds)
    save_at, check_at = next(saves), next(checks)
    begun, before = time.monotonic(), trainer.progress.seconds
    while trainer.progress.seconds < options.minutes * 60:
        state, loss = trainer.step(sampler.next(), state)
        trainer.progress.seconds = before + time.monotonic() - begun
        recent = [recent[0] + loss, recent[1] + 1]
        if trainer.progress.seconds >= check_at:
            pause = time.monotonic()
            _report(trainer, material, recent[0] / recent[1])
            begun += time.monotonic() - pause
            recent, check_at = [0.0, 0], next(checks)
        if time.monotonic() >= save_at:
            trainer.save(folder)
            save_at = next(saves)
    _report(trainer, material, recent[0] / max(1, recent[1]))
    trainer.save(folder)


def _report(trainer: Trainer, material: Material, loss: float) -> None:
    gains = validate(TorchRestorer(trainer.average, trainer.device), material)
    progress = trainer.progress
    point: dict[str, object] = {
        "minutes": round(progress.seconds / 60, 2),
        "steps": progress.steps,
        "gigapixels": round(progress.pixels / 1e9, 3),
        "loss": round(loss, 4),
        "gains": [asdict(gain) for gain in gains],
    }
    progress.curve.append(point)
    print(json.dumps(point), flush=True)


def _every(period_s: float) -> Iterator[float]:
    while True:
        yield time.monotonic() + period_s


def _stretching(start_s: float) -> Iterator[float]:
    """Seconds trained at which to validate: often at first, then rarely."""
    pause, at = FIRST_VALIDATION_S, start_s
    while True:
        at += pause
        yield at
        pause = min(pause * VALIDATION_STRETCH, LONGEST_PAUSE_S)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    usual = Options(minutes=0)
    parser.add_argument("material", type=Path)
    parser.add_argument("run", type=Path, help="folder of checkpoints and the learning curve")
    parser.add_argument("--minutes", type=float, required=True)
    parser.add_argument("--resume", action="store_true")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--batch", type=int, default=usual.batch)
    parser.add_argument("--size", type=int, default=usual.size)
    parser.add_argument("--rate", type=float, default=usual.rate)
    for name, value in asdict(Shape()).items():
        parser.add_argument(f"--{name}", type=int, default=value)
    args = parser.parse_args()
    if args.device == "cpu":
        torch.set_num_threads(1)
    args.run.mkdir(parents=True, exist_ok=True)
    shape = Shape(**{name: getattr(args, name) for name in asdict(Shape())})
    options = Options(
        minutes=args.minutes, batch=args.batch, size=args.size, rate=args.rate, device=args.device
    )
    trainer = Trainer(shape, options)
    if args.resume:
        trainer.load(args.run)
    print(f"{shape}: {shape.macs_per_pixel:.0f} multiplications per pixel", flush=True)
    train(trainer, Material(args.material), args.run)


if __name__ == "__main__":
    main()
