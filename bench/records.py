"""What a rate-quality measurement found: plain values that go to JSON and come back."""

import dataclasses
import json
import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from auralink.bench.bdrate import Delta, RatePoint, bd_rate, decibels
from auralink.codecs.errors import InputError

SCHEMA: Final = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """One subject on one clip at one point; means over all frames unless said otherwise."""

    point: str
    kbps: float  # all bytes, the key frame included
    kbps_after_key: float  # without the first frame: what a long call tends to
    bytes: int
    keys: int
    frames_sent: int
    ssim: float
    ssim_p5: float  # the 5th percentile over frames
    ms_ssim: float
    psnr: float
    encode_fps: float  # by processor time, all threads together
    decode_fps: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Curve:
    """One subject on one clip."""

    subject: str
    settings: dict[str, str]
    points: tuple[Measured, ...]

    def along(self, metric: str) -> Iterator[RatePoint]:
        quality, _ = METRICS[metric]
        return (RatePoint(point.kbps, quality(point)) for point in self.points)


@dataclass(frozen=True, slots=True, kw_only=True)
class ClipResult:
    clip: str
    kind: str
    width: int
    height: int
    fps: float
    frames: int
    source_frames: int
    ms_ssim_scales: int
    curves: tuple[Curve, ...] = ()

    def curve(self, subject: str) -> Curve | None:
        return next((curve for curve in self.curves if curve.subject == subject), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """BD-rate of ``subject`` against ``anchor`` on one clip; None where they share no quality."""

    subject: str
    anchor: str
    clip: str
    kind: str
    metric: str
    delta: Delta | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Mean:
    """Mean over the clips of one kind that could be compared."""

    subject: str
    anchor: str
    kind: str
    metric: str
    percent: float
    clips: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    command: str
    machine: dict[str, str]
    clips: tuple[ClipResult, ...] = ()
    skipped: dict[str, str] = field(default_factory=dict)  # subject: why it could not run
    comparisons: tuple[Comparison, ...] = ()
    means: tuple[Mean, ...] = ()

    @property
    def subjects(self) -> tuple[str, ...]:
        names = dict.fromkeys(curve.subject for clip in self.clips for curve in clip.curves)
        return tuple(names)

    def clip(self, name: str) -> ClipResult | None:
        return next((clip for clip in self.clips if clip.clip == name), None)


# Name: the scale for BD-rates, and the label for people.
METRICS: Final[dict[str, tuple[Callable[[Measured], float], str]]] = {
    "ssim": (lambda point: decibels(point.ssim), "SSIM"),
    "ms_ssim": (lambda point: decibels(point.ms_ssim), "MS-SSIM"),
    "psnr": (lambda point: point.psnr, "PSNR"),
}


def compared(result: Result, anchors: Iterable[str]) -> Result:
    """The same result with BD-rates of every subject against each anchor, and their means."""
    comparisons = tuple(
        Comparison(
            subject=curve.subject,
            anchor=anchor,
            clip=clip.clip,
            kind=clip.kind,
            metric=metric,
            delta=bd_rate(base.along(metric), curve.along(metric)),
        )
        for clip in result.clips
        for anchor in anchors
        if (base := clip.curve(anchor)) is not None
        for curve in clip.curves
        if curve.subject != anchor
        for metric in METRICS
    )
    return dataclasses.replace(result, comparisons=comparisons, means=tuple(_means(comparisons)))


def save(result: Result, path: Path) -> None:
    """Write JSON, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps({"schema": SCHEMA, **_rounded(dataclasses.asdict(result))}, indent=1)
    partial = path.with_name(path.name + ".part")
    partial.write_text(text + "\n", "utf-8")
    os.replace(partial, path)


def load(path: Path) -> Result:
    """
    Raises:
        InputError: not a result of this version.
    """
    try:
        tree = json.loads(path.read_text("utf-8"))
        if tree.pop("schema") != SCHEMA:
            raise InputError(f"{path.name} is of another schema: measure again")
        return _result(tree)
    except (OSError, ValueError, KeyError, TypeError) as broken:
        raise InputError(f"{path.name} is not a result of `bench rd`: {broken}") from broken


def _means(comparisons: Iterable[Comparison]) -> Iterator[Mean]:
    groups: dict[tuple[str, str, str, str], list[float]] = {}
    for one in comparisons:
        key = (one.subject, one.anchor, one.kind, one.metric)
        if one.delta is not None:
            groups.setdefault(key, []).append(one.delta.percent)
    for (subject, anchor, kind, metric), values in groups.items():
        yield Mean(
            subject=subject,
            anchor=anchor,
            kind=kind,
            metric=metric,
            percent=sum(values) / len(values),
            clips=len(values),
        )


def _rounded(value: Any) -> Any:
    """Six digits are more than any of it is worth, and keep the file readable."""
    if isinstance(value, float):
        return float(f"{value:.6g}")
    if isinstance(value, dict):
        return {key: _rounded(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_rounded(inner) for inner in value]
    return value


def _result(tree: dict[str, Any]) -> Result:
    return Result(
        command=tree["command"],
        machine=tree["machine"],
        skipped=tree["skipped"],
        clips=tuple(_clip(clip) for clip in tree["clips"]),
        comparisons=tuple(
            Comparison(**(one | {"delta": Delta(**one["delta"]) if one["delta"] else None}))
            for one in tree["comparisons"]
        ),
        means=tuple(Mean(**mean) for mean in tree["means"]),
    )


def _clip(tree: dict[str, Any]) -> ClipResult:
    curves = tuple(
        Curve(
            subject=curve["subject"],
            settings=curve["settings"],
            points=tuple(Measured(**point) for point in curve["points"]),
        )
        for curve in tree["curves"]
    )
    return ClipResult(**(tree | {"curves": curves}))
