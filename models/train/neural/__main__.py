"""Trains the learned codec; stops on SIGTERM or ctrl-C and goes on where it stopped.

::

    python -m auralink.models.train.neural out/train-neural/material out/train-neural/neural-s

The same command starts a run and continues it.  ``--minutes`` ends this call early;
``--from-weights models/weights/neural-s.weights.npz`` starts a run from what is committed.
"""

import argparse
import json
import signal
import time
from dataclasses import asdict, replace
from pathlib import Path

import torch

from auralink.models.train.neural import curve, schedule
from auralink.models.train.neural.sampler import Material, Sampler
from auralink.models.train.neural.shape import Shape
from auralink.models.train.neural.trainer import CHECKPOINT, Figures, Options, Trainer
from auralink.models.train.neural.validate import drift, validate

CHECKPOINT_EVERY_S = 150.0
VALIDATE_EVERY_S = 600.0
LOG_EVERY = 100  # steps
SHAPES = {"neural-s": Shape(), "neural-m": Shape(channels=96, latent=160)}


class Stop:
    """Becomes true when somebody asks the process to end."""

    def __init__(self) -> None:
        self.asked = False
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._ask)

    def _ask(self, *_: object) -> None:
        self.asked = True


def train(
    trainer: Trainer,
    material: Material,
    folder: Path,
    stages: tuple[schedule.Stage, ...],
    until_s: float,
) -> None:
    """Train until `until_s` of core time, the end of the schedule, or a signal."""
    progress, stop = trainer.progress, Stop()
    # A core at nice 15 gets what others leave: its own time counts, not the wall's.
    clock = time.process_time if trainer.device.type == "cpu" else time.monotonic
    saved = progress.seconds
    validated = progress.curve[-1]["seconds"] if progress.curve else progress.seconds
    window: list[Figures] = []
    before = clock()
    while not stop.asked and progress.seconds < until_s:
        now = schedule.at(stages, progress.seconds)
        if now is None:
            break
        stage, part = now
        steps = progress.steps.get(stage.name, 0)
        window.append(trainer.step(stage, schedule.rate(stage, part, steps)))
        after = clock()
        progress.seconds, before = progress.seconds + after - before, after
        if len(window) >= LOG_EVERY:
            _log(stage.name, progress.seconds, progress.steps[stage.name], window)
            window.clear()
        if progress.seconds - validated >= VALIDATE_EVERY_S:
            validated = progress.seconds
            _validate(trainer, material, folder, stage.name)
            before = clock()  # validation is not training
        if progress.seconds - saved >= CHECKPOINT_EVERY_S:
            saved = progress.seconds
            trainer.save(folder)
    trainer.save(folder)
    print(f"stopped after {progress.seconds / 60:.1f} core-minutes", flush=True)


def _log(stage: str, seconds: float, steps: int, window: list[Figures]) -> None:
    mean = {
        key: sum(getattr(one, key) for one in window) / len(window)
        for key in ("loss", "bits_per_pixel", "hyper_share", "luma_mse", "ssim")
    }
    print(f"{seconds / 60:7.1f} min {stage} {steps}: {json.dumps(mean)}", flush=True)


def _validate(trainer: Trainer, material: Material, folder: Path, stage: str) -> None:
    points = validate(trainer.averages["intra"], trainer.averages["predict"], material)
    record = {
        "seconds": trainer.progress.seconds,
        "gigapixels": trainer.progress.pixels / 1e9,
        "stage": stage,
        "points": [asdict(point) for point in points],
        "drift_db": drift(trainer.averages["intra"], trainer.averages["predict"], material),
    }
    trainer.progress.curve.append(record)
    (folder / curve.CURVE).write_text(json.dumps(trainer.progress.curve, indent=1))
    for point in points:
        print(f"        {point}", flush=True)
    print(f"        drift {record['drift_db']} dB", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("material", type=Path, help="folder that `material` prepared")
    parser.add_argument("run", type=Path, help="folder of checkpoints and the learning curve")
    parser.add_argument("--from-weights", type=Path, help="a committed weights file to start from")
    parser.add_argument("--size", choices=SHAPES, default="neural-s")
    parser.add_argument("--minutes", type=float, default=float("inf"), help="for this call alone")
    parser.add_argument("--latent", type=int, help="channels of y, to try others")
    parser.add_argument("--plan", choices=schedule.PLANS, default="small", help="of stages")
    parser.add_argument("--scale", type=float, default=1.0, help="of every stage's minutes")
    usual = Options()
    parser.add_argument("--batch", type=int, default=usual.batch)
    parser.add_argument("--crop", type=int, default=usual.size)
    parser.add_argument("--device", default=usual.device)
    parser.add_argument("--workers", type=int, default=usual.workers)
    parser.add_argument("--seed", type=int, default=usual.seed)
    args = parser.parse_args()
    if args.device == "cpu":
        torch.set_num_threads(1)
    shape = SHAPES[args.size]
    if args.latent:
        shape = replace(shape, latent=args.latent)
    options = Options(
        batch=args.batch,
        intra_batch=args.batch * usual.intra_batch // usual.batch,
        size=args.crop,
        seed=args.seed,
        device=args.device,
        workers=args.workers,
    )
    args.run.mkdir(parents=True, exist_ok=True)
    material = Material(args.material)
    resumed = (args.run / CHECKPOINT).exists()
    # A resumed run draws other crops than it did at its start.
    seed = options.seed + (time.time_ns() & 0xFFFF if resumed else 0)
    trainer = Trainer(shape, options, Sampler(material, options.size, seed))
    if resumed:
        trainer.load(args.run)
    elif args.from_weights:
        trainer.start_from(args.from_weights)
    stages = tuple(replace(s, minutes=s.minutes * args.scale) for s in schedule.PLANS[args.plan])
    weights = {n: sum(p.numel() for p in net.parameters()) for n, net in trainer.nets.items()}
    print(f"{shape} {weights}, from minute {trainer.progress.seconds / 60:.1f}", flush=True)
    until = trainer.progress.seconds + args.minutes * 60
    train(trainer, material, args.run, stages, until)


if __name__ == "__main__":
    main()
