"""How many streams the inference engine carries, and what it does when there are more.

::

    python -m auralink.bench.load --backend null --out bench/results/load_null.json
    python -m auralink.bench.load --backend restore-s --out bench/results/load_restore-s.json

1. One stream: what the engine adds to the model.
2. Streams are added until, twice in a row, more than 1 % of the frames fall back or the 99th
   percentile passes the deadline: the curve, and N*, the last number that was carried.
3. Overload: twice and ten times the work of N*, a quarter of N* of it sound.  Goodput, answers in
   time, sound against pictures, memory, lag of the event loop.
4. Recovery: seven tenths of N* right after; how long until all is answered by the model again.

Arrivals are open-loop and timed by their schedule.  One event loop makes the load and runs the
engine, so the loop's own work counts against the engine.  On a machine that others use as well,
``chrt -r 5`` in front keeps them out; the record says so.  ``--show FILE`` prints a record.
"""

import argparse
import math
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from auralink.bench import machine
from auralink.bench.load_backends import STAGES, Stage
from auralink.bench.load_records import (
    Kind,
    LoadResult,
    Overload,
    Step,
    load,
    report,
    save,
    summary,
    table,
)
from auralink.bench.load_traffic import DEADLINE_US, Heard, Phase, Traffic
from auralink.codecs.errors import AuraLinkError, InputError
from auralink.engine.cli import loop
from auralink.engine.inference.backend import Media
from auralink.engine.inference.engine import InferenceEngine
from auralink.engine.inference.outcome import Fate
from auralink.engine.inference.pool import default_workers

DEFAULT_OUT: Final = Path("bench/results/load_null.json")
_MOST_FALLBACK: Final = 0.01
_GROWTH: Final = 1.25  # of the number of streams, from step to step
_AUDIO_OF_FULL: Final = 0.25  # of N*'s work, in overload
_CALM_OF_FULL: Final = 0.7
_SOUND_RATE: Final = 1e6 / 20_000
_PICTURE_RATE: Final = 1e6 / 33_333


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """
    Attributes:
        workers: None: what this machine has, less one.
        step_s: length of each step of the curve.
        overload_s: of each overload.
        calm_s: how long recovery is watched.
    """

    backend: str = "null"
    workers: int | None = None
    step_s: float = 4.0
    overload_s: float = 60.0
    calm_s: float = 4.0
    times: tuple[int, ...] = (2, 10)
    seed: int = 1
    out: Path | None = None

    @property
    def command(self) -> str:
        words = ["python -m auralink.bench.load", f"--backend {self.backend}"]
        if self.workers is not None:
            words.append(f"--workers {self.workers}")
        words += [f"--step-seconds {self.step_s:g}", f"--overload-seconds {self.overload_s:g}"]
        return " ".join(words)


async def run(options: Options, progress: Callable[[str], None] = lambda text: None) -> LoadResult:
    """
    Raises:
        InputError: no such backend.
    """
    if options.backend not in STAGES:
        raise InputError(f"no backend is called {options.backend!r}: one of {', '.join(STAGES)}")
    workers = options.workers or default_workers()
    load_average = os.getloadavg()[0]
    async with (
        STAGES[options.backend](workers) as stage,
        InferenceEngine(stage.backend, seed=options.seed) as engine,
    ):
        measurement = _Measurement(Traffic(engine, stage, seed=options.seed), stage, options)
        parts = await measurement.run(progress)
    result = LoadResult(
        command=options.command,
        machine=machine.describe(),
        load_average=load_average,
        scheduling=_scheduling(),
        backend=options.backend,
        workers=workers,
        **parts,
    )
    if options.out is not None:
        save(result, options.out)
    return result


class _Measurement:
    def __init__(self, traffic: Traffic, stage: Stage, options: Options) -> None:
        self._traffic = traffic
        self._options = options
        self._sound_only = stage.video_model == stage.audio_model

    async def run(self, progress: Callable[[str], None]) -> dict[str, Any]:
        await self._go(2, 2, 1.0)  # seats, threads, costs
        progress("one stream")
        alone = _step(1, 0, await self._go(1, 0, self._options.step_s))
        if not self._sound_only:
            alone = _step(0, 1, await self._go(0, 1, self._options.step_s))
        curve = await self._curve(progress)
        carried = [step for step in curve if _carries(step)]
        best = carried[-1] if carried else curve[0]
        overloads = [await self._overload(times, best, progress) for times in self._options.times]
        return {
            "unit": "audio" if self._sound_only else "video",
            "alone": alone,
            "curve": tuple(curve),
            "carried": best.streams if carried else 0,
            "overloads": tuple(overloads),
        }

    async def _curve(self, progress: Callable[[str], None]) -> list[Step]:
        steps: list[Step] = []
        count = 1
        # One bad moment of the machine is not the end of the curve: two steps in a row are.
        while len(steps) < 2 or _carries(steps[-1]) or _carries(steps[-2]):
            progress(f"{count} streams")
            audio, video = (count, 0) if self._sound_only else (0, count)
            steps.append(_step(audio, video, await self._go(audio, video, self._options.step_s)))
            count = max(count + 1, round(count * _GROWTH))
        return steps

    async def _overload(self, times: int, best: Step, progress: Callable[[str], None]) -> Overload:
        full = best.offered_per_s
        cost = 1.0 if self._sound_only else _cost_ratio(best)
        # Work in units of what the curve's streams ask: sound takes its own share of a picture's.
        audio = max(1, round(_AUDIO_OF_FULL * full / (cost * _SOUND_RATE)))
        rest = times * full - audio * _SOUND_RATE * cost
        video = max(1, math.ceil(rest / _PICTURE_RATE))
        progress(f"{times} times too much: {audio} of sound, {video} of pictures")
        step = _step(audio, video, await self._go(audio, video, self._options.overload_s))
        calm = max(1, round(_CALM_OF_FULL * best.streams))
        streams = (calm, 0) if self._sound_only else (0, calm)
        after = await self._go(*streams, self._options.calm_s)
        return Overload(
            times=times,
            step=step,
            recovery_ms=_recovery_ms(after),
        )

    async def _go(self, audio: int, video: int, seconds: float) -> Phase:
        return await self._traffic.run(audio=audio, video=video, seconds=seconds)


def _step(audio: int, video: int, phase: Phase) -> Step:
    rss = [one / 1e6 for one in phase.rss] or [0.0]
    return Step(
        audio=audio,
        video=video,
        seconds=phase.seconds,
        offered_per_s=(phase.audio.frames + phase.video.frames) / phase.seconds,
        coded_per_s=phase.coded_per_s,
        sound=_kind(phase.audio),
        pictures=_kind(phase.video),
        lag_p99_ms=phase.lag.quantile(0.99),
        tardy_p99_ms=phase.tardy.quantile(0.99),
        rss_first_mb=rss[0],
        rss_settled_mb=rss[len(rss) // 4],
        rss_last_mb=rss[-1],
        rss_peak_mb=max(rss),
    )


def _kind(heard: Heard) -> Kind | None:
    if not heard.frames:
        return None
    return Kind(
        frames=heard.frames,
        coded_share=heard.share(Fate.CODED),
        fell_back_share=heard.share(Fate.FELL_BACK),
        dropped_share=heard.share(Fate.DROPPED),
        outcomes={outcome.value: count for outcome, count in heard.outcomes.items()},
        p50_ms=heard.coded.quantile(0.5),
        p95_ms=heard.coded.quantile(0.95),
        p99_ms=heard.coded.quantile(0.99),
        wait_p99_ms=heard.wait.quantile(0.99),
        run_p50_ms=heard.run.quantile(0.5),
        overhead_p50_ms=heard.overhead.quantile(0.5),
        overhead_p99_ms=heard.overhead.quantile(0.99),
        other_p99_ms=heard.refused.quantile(0.99),
        answered_late=heard.late_answers,
    )


def _carries(step: Step) -> bool:
    """Whether this many streams are served."""
    kind, media = step.sound or step.pictures, Media.AUDIO if step.sound else Media.VIDEO
    if kind is None:
        return False
    in_time = kind.p99_ms <= DEADLINE_US[media] / 1e3
    return in_time and 1 - kind.coded_share <= _MOST_FALLBACK


def _cost_ratio(best: Step) -> float:
    """A block of sound in units of a picture's work."""
    return 2.1 / best.pictures.run_p50_ms if best.pictures else 1.0


def _recovery_ms(after: Phase) -> float | None:
    """Until no frame is left to a fallback any more."""
    bad = [number for number, found in after.bins.items() if found.other]
    last = max(after.bins, default=0)
    if not bad:
        return 0.0
    return None if max(bad) >= last - 1 else (max(bad) + 1) * 100.0


def _scheduling() -> str:
    if not hasattr(os, "sched_getscheduler"):
        return "ordinary"
    real_time = (os.SCHED_FIFO, os.SCHED_RR)
    return "real-time" if os.sched_getscheduler(0) in real_time else "ordinary"


def parse(arguments: Sequence[str]) -> Options:
    parser = argparse.ArgumentParser(prog="python -m auralink.bench.load", description=__doc__)
    parser.add_argument("--backend", default="null", choices=tuple(STAGES))
    parser.add_argument("--workers", type=int, help="(default: one less than the cores)")
    parser.add_argument("--step-seconds", type=float, default=4.0)
    parser.add_argument("--overload-seconds", type=float, default=60.0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", type=Path, help="(default: bench/results/load_BACKEND.json)")
    given = parser.parse_args(arguments)
    return Options(
        backend=given.backend,
        workers=given.workers,
        step_s=given.step_seconds,
        overload_s=given.overload_seconds,
        seed=given.seed,
        out=given.out or DEFAULT_OUT.with_name(f"load_{given.backend}.json"),
    )


def _show(path: Path) -> int:
    """A record as the documents have it."""
    try:
        print(report(load(path)))
    except AuraLinkError as failed:
        print(f"error: {failed}", file=sys.stderr)
        return 1
    return 0


def main(arguments: Sequence[str] | None = None) -> int:
    words = list(sys.argv[1:] if arguments is None else arguments)
    if words[:1] == ["--show"] and len(words) == 2:
        return _show(Path(words[1]))
    options = parse(words)

    async def measure() -> None:
        result = await run(options, lambda text: print(text, file=sys.stderr, flush=True))
        print(table(result))
        print(summary(result))

    try:
        loop.run(measure())
    except AuraLinkError as failed:
        print(f"error: {failed}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
