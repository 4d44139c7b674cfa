"""A relay for a long time, people coming and going, loss up and down: does it grow?

::

    python -m auralink.bench.soak --minutes 20 --out bench/results/soak.json

Every `CYCLE_S` the publisher publishes anew, mutes and unmutes, a viewer joins and leaves, and the
loss of the link changes; every fourth cycle the publisher itself leaves and comes back.  A cycle
lasts until a viewer could have seen pictures, also where a machine is too busy for its length.
Memory, file descriptors, threads and tasks of the relay's halves are noted every `SAMPLE_S`.

Linux, as root, with a livekit-server.
"""

import argparse
import dataclasses
import itertools
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import psutil

from auralink.bench import machine, tables
from auralink.bench.relay import Options as RelayBench
from auralink.bench.relay import script_of
from auralink.bench.relay_calls import HALVES
from auralink.bench.relay_half import half
from auralink.codecs.errors import AuraLinkError
from auralink.engine.link.netem import LinkSettings
from auralink.engine.rehearsal.people import Person
from auralink.engine.rehearsal.stage import FAR_ROOM, NEAR_ROOM, RESTORED_TRACK, Stage, stage
from auralink.engine.shaping.wire import Shape

DEFAULT_OUT: Final = Path("bench/results/soak.json")
CYCLE_S: Final = 15.0
SAMPLE_S: Final = 5.0
WARM_UP_S: Final = 120.0  # encoders of all sizes, the network and their tables are there by then
LOSSES: Final = (0.0, 0.02, 0.1, 0.05)
RATE_BPS: Final = 300_000
_DELAY_MS: Final = 25.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    at_s: float
    rss_mb: float  # of both halves of the relay
    workers_mb: float  # of their worker processes, which come and go
    descriptors: int
    threads: int
    tasks: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    command: str
    machine: dict[str, str]
    minutes: float  # really
    viewers: int  # that joined
    pictures: int  # viewers that saw one
    republished: int
    samples: tuple[Sample, ...]
    rss_mb_per_min: float  # without workers
    descriptors: tuple[int, int]  # median of the first and the last fifth after the warm-up
    tasks: tuple[int, int]


Progress = Callable[[str], None]


def run(minutes: float, progress: Progress = lambda text: None) -> Result:
    """
    Raises:
        UnsupportedError: no root, or no livekit-server.
    """
    with tempfile.TemporaryDirectory() as folder:
        script = script_of(RelayBench(), Path(folder))
        with stage(script, Path(folder)) as on_stage:
            return _soak(on_stage, minutes, progress)


def _soak(on_stage: Stage, minutes: float, progress: Progress) -> Result:
    halves = [half(on_stage, role, side, RATE_BPS) for role, side in HALVES]
    samples: list[Sample] = []
    seen = joined = republished = 0
    started = time.monotonic()
    publisher, _ = on_stage.publisher(on_stage.near, NEAR_ROOM)
    try:
        for cycle in itertools.count():
            began = time.monotonic()
            if began - started >= minutes * 60:
                break
            loss = LOSSES[cycle % len(LOSSES)]
            settings = LinkSettings(rate_bps=RATE_BPS, delay_ms=_DELAY_MS, loss=loss)
            on_stage.link.shape(Shape.narrow_there(settings))
            if cycle and cycle % 4 == 0:
                publisher.leave()
                publisher, _ = on_stage.publisher(on_stage.near, NEAR_ROOM)
            publisher.fact("published_us")
            viewer, _, _ = on_stage.viewer("far", FAR_ROOM, RESTORED_TRACK, keep=False)
            joined += 1
            for order in ("mute", "unmute", "republish"):
                publisher.ask(order, "done")
                time.sleep(0.3)
            republished += 1
            left_s = SAMPLE_S
            while left_s > 0:
                time.sleep(min(SAMPLE_S, left_s))
                samples.append(_sample(halves, time.monotonic() - started))
                left_s = CYCLE_S - (time.monotonic() - began)
            seen += viewer.has("first_us")
            viewer.leave()
            now = samples[-1]
            progress(f"{now.at_s:.0f} s: {now.rss_mb:.0f} + {now.workers_mb:.0f} MB, {now.tasks}")
    finally:
        publisher.leave()
        for one in halves:
            one.leave()
    return conclude(
        tuple(samples),
        minutes=(time.monotonic() - started) / 60,
        asked=minutes,
        viewers=(joined, seen),
        republished=republished,
    )


def _sample(halves: Sequence[Person], at_s: float) -> Sample:
    roots = [psutil.Process(one.process.pid) for one in halves]
    return Sample(
        at_s=at_s,
        rss_mb=sum(root.memory_info().rss for root in roots) / 1e6,
        workers_mb=sum(map(_resident_mb, (c for r in roots for c in r.children(recursive=True)))),
        descriptors=sum(root.num_fds() for root in roots),
        threads=sum(root.num_threads() for root in roots),
        tasks=sum(one.ask("tasks", "tasks") for one in halves),
    )


def _resident_mb(process: psutil.Process) -> float:
    try:
        return float(process.memory_info().rss) / 1e6
    except psutil.Error:
        return 0.0  # ended in between


def conclude(
    samples: tuple[Sample, ...],
    *,
    minutes: float,
    asked: float,
    viewers: tuple[int, int],
    republished: int,
) -> Result:
    """Slopes of what came after the warm-up, or of everything if that was all."""
    late = [one for one in samples if one.at_s >= WARM_UP_S] or list(samples)
    return Result(
        command=f"python -m auralink.bench.soak --minutes {asked:g}",
        machine=machine.describe(),
        minutes=minutes,
        viewers=viewers[0],
        pictures=viewers[1],
        republished=republished,
        samples=samples,
        rss_mb_per_min=slope([(one.at_s / 60, one.rss_mb) for one in late]),
        descriptors=_ends([one.descriptors for one in late]),
        tasks=_ends([one.tasks for one in late]),
    )


def slope(points: Sequence[tuple[float, float]]) -> float:
    """Of the least-squares line."""
    if len({x for x, _ in points}) < 2:
        return 0.0
    return statistics.linear_regression([x for x, _ in points], [y for _, y in points]).slope


def _ends(values: Sequence[int]) -> tuple[int, int]:
    fifth = max(1, len(values) // 5)
    return round(statistics.median(values[:fifth])), round(statistics.median(values[-fifth:]))


def table(result: Result) -> str:
    rows = [
        ["time", f"{result.minutes:.1f} min"],
        ["memory after the warm-up", f"{result.rss_mb_per_min:+.2f} MB/min"],
        [
            "file descriptors, first and last fifth",
            f"{result.descriptors[0]}, {result.descriptors[1]}",
        ],
        ["tasks, first and last fifth", f"{result.tasks[0]}, {result.tasks[1]}"],
        ["viewers that joined, that saw pictures", f"{result.viewers}, {result.pictures}"],
        ["times published anew", str(result.republished)],
    ]
    return tables.markdown(["", ""], rows)


def save(result: Result, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    tree = dataclasses.asdict(result)
    for sample in tree["samples"]:
        for name in ("at_s", "rss_mb", "workers_mb"):
            sample[name] = round(sample[name], 1)
    path.write_text(json.dumps({"schema": 1, **tree}, indent=1) + "\n", "utf-8")


def load(path: Path) -> Result:
    tree = json.loads(path.read_text("utf-8"))
    tree.pop("schema")
    return Result(
        **tree
        | {
            "samples": tuple(Sample(**one) for one in tree["samples"]),
            "descriptors": tuple(tree["descriptors"]),
            "tasks": tuple(tree["tasks"]),
        }
    )


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m auralink.bench.soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=20.0)
    parser.add_argument("--out", type=Path, default=DEFAULT_OUT)
    given = parser.parse_args(sys.argv[1:] if arguments is None else arguments)
    try:
        result = run(given.minutes, lambda text: print(text, file=sys.stderr, flush=True))
    except AuraLinkError as failed:
        print(f"error: {failed}", file=sys.stderr)
        for hint in getattr(failed, "__notes__", ()):
            print(f"hint: {hint}", file=sys.stderr)
        return 1
    print(table(result))
    save(result, given.out)
    return 0


if __name__ == "__main__":
    sys.exit(main())
