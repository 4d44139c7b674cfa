"""What `bench load` measured, as values, as JSON, as a table and as a picture."""

import dataclasses
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

from auralink.bench import load_figures, tables
from auralink.bench.load_traffic import DEADLINE_US
from auralink.codecs.errors import InputError
from auralink.engine.inference.backend import Media

SCHEMA: Final = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """One kind of frames in one phase; milliseconds from the schedule unless said otherwise."""

    frames: int
    coded_share: float
    fell_back_share: float
    dropped_share: float
    outcomes: dict[str, int]
    p50_ms: float  # of those that the model made
    p95_ms: float
    p99_ms: float
    wait_p99_ms: float
    run_p50_ms: float
    overhead_p50_ms: float  # from `submit`, less waiting and the model
    overhead_p99_ms: float
    other_p99_ms: float  # until those were answered that the model did not make
    answered_late: int  # more than 5 ms after the deadline


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    audio: int
    video: int
    seconds: float
    offered_per_s: float
    coded_per_s: float
    sound: Kind | None
    pictures: Kind | None
    lag_p99_ms: float
    tardy_p99_ms: float  # the generator's own lateness
    rss_first_mb: float  # before most streams sat down
    rss_settled_mb: float  # after a quarter of the time: every stream has its state
    rss_last_mb: float
    rss_peak_mb: float

    @property
    def streams(self) -> int:
        return self.audio + self.video


@dataclass(frozen=True, slots=True, kw_only=True)
class Overload:
    times: int
    step: Step
    recovery_ms: float | None  # None: not within the time it was watched


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadResult:
    command: str
    machine: dict[str, str]
    load_average: float  # of the machine before the start: 0 is a quiet one
    scheduling: str  # of this process and its workers: "real-time" where others shared the machine
    backend: str
    workers: int
    unit: Literal["audio", "video"]  # what the streams of the curve are
    alone: Step
    curve: tuple[Step, ...]
    carried: int  # N*
    overloads: tuple[Overload, ...]


def load(path: Path) -> LoadResult:
    """
    Raises:
        InputError: not a result of this version.
    """
    try:
        tree = json.loads(path.read_text("utf-8"))
        if tree.pop("schema") != SCHEMA:
            raise InputError(f"{path.name} is of another schema: measure again")
        tree["alone"] = _read_step(tree["alone"])
        tree["curve"] = tuple(_read_step(step) for step in tree["curve"])
        tree["overloads"] = tuple(
            Overload(**(one | {"step": _read_step(one["step"])})) for one in tree["overloads"]
        )
        return LoadResult(**tree)
    except (OSError, ValueError, KeyError, TypeError) as broken:
        raise InputError(f"{path.name} is not a result of `bench load`: {broken}") from broken


def goodput(result: LoadResult, overload: Overload) -> float:
    """What was coded in an overload over the most on the curve, both as work of the curve's model.

    A block of sound counts by its own time at a worker.
    """
    most_per_s = max(step.coded_per_s for step in result.curve)
    step = overload.step
    if result.unit == "audio" or step.sound is None or step.pictures is None:
        return step.coded_per_s / most_per_s
    sound_per_s = step.sound.frames * step.sound.coded_share / step.seconds
    cost = step.sound.run_p50_ms / step.pictures.run_p50_ms
    return (step.coded_per_s - sound_per_s + cost * sound_per_s) / most_per_s


def table(result: LoadResult) -> str:
    """Markdown: one row per step."""
    rows = []
    named = [(str(step.streams), step) for step in result.curve]
    named += [(f"{one.times}x", one.step) for one in result.overloads]
    for name, step in named:
        for what, kind in (("sound", step.sound), ("pictures", step.pictures)):
            if kind is not None:
                rows.append(
                    [
                        name,
                        what,
                        f"{kind.p50_ms:.1f} / {kind.p95_ms:.1f} / {kind.p99_ms:.1f}",
                        f"{1 - kind.coded_share:.1%}",
                        f"{kind.overhead_p99_ms:.1f}",
                        f"{step.coded_per_s:.0f}",
                        f"{step.lag_p99_ms:.1f}",
                    ]
                )
    heads = ["streams", "of", "p50 / p95 / p99, ms", "not coded", "overhead p99, ms", "coded/s"]
    return tables.markdown([*heads, "loop lag p99, ms"], rows)


def summary(result: LoadResult) -> str:
    kind = result.alone.sound or result.alone.pictures
    lines = [f"{result.carried} {result.unit} streams carried by {result.workers} workers"]
    if kind is not None:
        lines.append(f"alone the engine adds {kind.overhead_p99_ms:.2f} ms (p99)")
    for one in result.overloads:
        late = sum(k.answered_late for k in (one.step.sound, one.step.pictures) if k)
        back = "not in time" if one.recovery_ms is None else f"{one.recovery_ms:.0f} ms"
        sound = 1 - one.step.sound.coded_share if one.step.sound else 0.0
        lines.append(
            f"{one.times}x: goodput {goodput(result, one):.0%} of the most on the curve, sound "
            f"not coded {sound:.2%}, {late} answers late, recovery {back}, memory "
            f"{one.step.rss_first_mb:.0f} MB, with all streams {one.step.rss_settled_mb:.0f} -> "
            f"{one.step.rss_last_mb:.0f} MB"
        )
    return "\n".join(lines)


def report(result: LoadResult) -> str:
    """Markdown: what a document says of a record."""
    cores, cpu = result.machine.get("cores", "?"), result.machine.get("cpu", "unknown processor")
    where = f"on {cores} cores of {cpu}, {result.scheduling} priority, load average before it "
    facts = "\n".join(f"- {line}" for line in summary(result).splitlines())
    made = f"`{result.command}` {where}{result.load_average:.1f}."
    return "\n\n".join((table(result), facts, made))


def save(result: LoadResult, path: Path) -> None:
    """The JSON, and a picture of the curve beside it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    tree = _rounded(dataclasses.asdict(result))
    path.write_text(json.dumps({"schema": SCHEMA, **tree}, indent=1) + "\n", "utf-8")
    points = [
        load_figures.Point(
            streams=step.streams,
            p50_ms=kind.p50_ms,
            p95_ms=kind.p95_ms,
            p99_ms=kind.p99_ms,
            fallback=1 - kind.coded_share,
        )
        for step in result.curve
        if (kind := step.sound or step.pictures) is not None
    ]
    deadline_us = DEADLINE_US[Media.AUDIO if result.unit == "audio" else Media.VIDEO]
    load_figures.curve(
        points,
        path.with_suffix(".png"),
        title=f"{result.backend}, {result.workers} workers",
        unit=result.unit,
        deadline_ms=deadline_us / 1e3,
    )


def _read_step(tree: dict[str, Any]) -> Step:
    kinds = {name: Kind(**tree[name]) if tree[name] else None for name in ("sound", "pictures")}
    return Step(**(tree | kinds))


def _rounded(value: Any) -> Any:
    if isinstance(value, float):
        return round(value, 4)
    if isinstance(value, dict):
        return {key: _rounded(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_rounded(inner) for inner in value]
    return value
