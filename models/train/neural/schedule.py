"""The order of training: stages by their share of core time."""

import math
from dataclasses import dataclass
from typing import Final

WARM_UP_STEPS: Final = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """One cosine of the learning rate over one of the two networks."""

    name: str
    network: str  # "intra" or "predict"
    minutes: float  # of processor time on one core
    rate: float  # peak learning rate
    last: float  # end of the cosine, as a share of the peak
    frames: int = 1  # gradients run through so many frames
    run: int = 1  # frames of a run after its key
    followed: bool = False  # what counts is the picture of a receiver in 8 bits, drift and all


# Stages alternate so that a usable pair exists early, and each network meets the other's progress.
SMALL: Final = (
    Stage(name="intra", network="intra", minutes=14, rate=1.2e-3, last=0.1),
    Stage(name="predict", network="predict", minutes=60, rate=1.3e-3, last=0.15, frames=2, run=12),
    Stage(name="intra-long", network="intra", minutes=60, rate=8e-4, last=0.02),
    Stage(
        name="predict-long", network="predict", minutes=180, rate=1e-3, last=0.1, frames=2, run=18
    ),
    Stage(name="unroll", network="predict", minutes=240, rate=5e-4, last=0.02, frames=3, run=24),
)

# After SMALL: a receiver in 8 bits must stay close to a sender in 32 over runs without a key.
STEADY: Final = (
    Stage(
        name="predict-steady",
        network="predict",
        minutes=120,
        rate=7e-4,
        last=0.02,
        frames=2,
        run=48,
        followed=True,
    ),
)
PLANS: Final = {"small": SMALL, "steady": STEADY}


def at(stages: tuple[Stage, ...], seconds: float) -> tuple[Stage, float] | None:
    """The stage after so much core time, and how far through it; None after the last."""
    for stage in stages:
        length = stage.minutes * 60
        if seconds < length:
            return stage, seconds / length
        seconds -= length
    return None


def rate(stage: Stage, progress: float, steps: int) -> float:
    """Learning rate at `progress` 0..1 of a stage, `steps` steps after its start."""
    cosine = 0.5 * (1 + math.cos(math.pi * min(1.0, progress)))
    return (
        stage.rate
        * min(1.0, (steps + 1) / WARM_UP_STEPS)
        * (cosine * (1 - stage.last) + stage.last)
    )
