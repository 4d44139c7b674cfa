"""Milliseconds per frame by stage, at three sizes, and as a ratio to VP8 in the same run.

::

    python -m auralink.bench.speed --out bench/results/speed.json

Machines and their neighbours change from minute to minute, so every subject's blocks of frames
alternate with blocks of VP8 (A B A B ...), each block gives one ratio, and the median is reported.
"""

import argparse
import dataclasses
import json
import statistics
import sys
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from auralink.bench import machine, tables
from auralink.bench.clips import Clip, ClipFile, Kind, at_height, find_clips
from auralink.bench.steppers import STEPPERS, Stages, Stepper, open_stepper
from auralink.codecs.errors import AuraLinkError, UnsupportedError

ANCHOR: Final = "vp8"
DEFAULT_OUT: Final = Path("bench/results/speed.json")
HEIGHTS: Final = (180, 360, 720)
DEFAULT_SUBJECTS: Final = tuple(name for name in STEPPERS if name != ANCHOR)
BLOCK_FRAMES: Final = 16  # two turns of an eight-frame hierarchy
ROUNDS: Final = 5
_WARM_UP_BLOCKS: Final = 1  # holds the key frame and the filling of caches


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    clips: Path | None = None
    name: str = ""  # a clip whose name contains this; default: the largest of people
    heights: tuple[int, ...] = HEIGHTS
    subjects: tuple[str, ...] = DEFAULT_SUBJECTS
    rounds: int = ROUNDS
    out: Path | None = None

    @property
    def command(self) -> str:
        words = ["python -m auralink.bench.speed", f"--rounds {self.rounds}"]
        words += [f"--heights {','.join(map(str, self.heights))}"]
        if self.subjects != DEFAULT_SUBJECTS:
            words.append(f"--subjects {','.join(self.subjects)}")
        return " ".join(words)


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """One subject at one size; medians over rounds of means per frame."""

    subject: str
    width: int
    height: int
    stages_ms: Stages
    total_ms: float
    ms_per_megapixel: float  # of all encoding stages: everything before "decode"
    ratio_to_vp8: float  # total, both ways


@dataclass(frozen=True, slots=True, kw_only=True)
class SpeedResult:
    command: str
    clip: str
    machine: dict[str, str]
    timings: tuple[Timing, ...] = ()
    skipped: dict[str, str] = field(default_factory=dict)


def run(options: Options, progress: Callable[[str], None] = lambda text: None) -> SpeedResult:
    """Time every subject at every height.

    Raises:
        InputError: no such subject or clip.
    """
    clip = _choose(options).load(BLOCK_FRAMES * (options.rounds + _WARM_UP_BLOCKS))
    result = SpeedResult(command=options.command, clip=clip.name, machine=machine.describe())
    timings: list[Timing] = []
    for height in options.heights:
        scaled = at_height(clip, height)
        for name in options.subjects:
            progress(f"{name} at {height}p")
            try:
                timings.append(_timed(name, scaled, options.rounds))
            except UnsupportedError as missing:
                result.skipped[name] = str(missing)
        result = dataclasses.replace(result, timings=tuple(timings))
        if options.out:
            _save(result, options.out)
    return result


def table(result: SpeedResult) -> str:
    """Markdown: one row per subject and size."""
    rows = [
        [
            timing.subject,
            f"{timing.width}x{timing.height}",
            ", ".join(f"{stage} {spent:.1f}" for stage, spent in timing.stages_ms.items()),
            f"{timing.total_ms:.1f}",
            f"{timing.ratio_to_vp8:.1f}",
        ]
        for timing in result.timings
    ]
    return tables.markdown(["codec", "size", "stages, ms", "total, ms", "times VP8"], rows)


def _choose(options: Options) -> ClipFile:
    files = find_clips(options.clips, names=[options.name] if options.name else [])
    people = [file for file in files if file.kind is Kind.PEOPLE] or files
    return max(people, key=lambda file: file.load(1).size[0])


def _timed(name: str, clip: Clip, rounds: int) -> Timing:
    subject, anchor = open_stepper(name, clip), open_stepper(ANCHOR, clip)
    try:
        blocks, ratios = [], []
        for number in range(rounds + _WARM_UP_BLOCKS):
            start = number * BLOCK_FRAMES
            base = _block(anchor, clip, start)
            block = _block(subject, clip, start)
            if number >= _WARM_UP_BLOCKS:
                blocks.append(block)
                ratios.append(sum(block.values()) / sum(base.values()))
    finally:
        subject.close()
        anchor.close()
    stages = {stage: statistics.median(block[stage] for block in blocks) for stage in blocks[0]}
    width, height = clip.size
    encoding = sum(spent for stage, spent in stages.items() if stage != "decode")
    return Timing(
        subject=name,
        width=width,
        height=height,
        stages_ms=stages,
        total_ms=sum(stages.values()),
        ms_per_megapixel=encoding / (width * height / 1e6),
        ratio_to_vp8=statistics.median(ratios),
    )


def _block(stepper: Stepper, clip: Clip, start: int) -> Stages:
    """Mean milliseconds per frame by stage."""
    spent: defaultdict[str, float] = defaultdict(float)
    for frame in clip.frames[start : start + BLOCK_FRAMES]:
        for stage, stage_ms in stepper.step(frame).items():
            spent[stage] += stage_ms / BLOCK_FRAMES
    return dict(spent)


def _save(result: SpeedResult, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    tree = dataclasses.asdict(result)
    for timing in tree["timings"]:
        timing["stages_ms"] = {name: round(ms, 3) for name, ms in timing["stages_ms"].items()}
        for key in ("total_ms", "ms_per_megapixel", "ratio_to_vp8"):
            timing[key] = round(timing[key], 3)
    path.write_text(json.dumps({"schema": 1, **tree}, indent=1) + "\n", "utf-8")


def parse(arguments: Sequence[str]) -> Options:
    parser = argparse.ArgumentParser(prog="python -m auralink.bench.speed", description=__doc__)
    parser.add_argument("--clips", type=Path, help="folder of clips (default: the test kit)")
    parser.add_argument("--name", default="", help="a clip whose name contains this")
    parser.add_argument("--heights", default=",".join(map(str, HEIGHTS)))
    parser.add_argument("--subjects", default=",".join(DEFAULT_SUBJECTS))
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--out", type=Path, default=DEFAULT_OUT)
    given = parser.parse_args(arguments)
    return Options(
        clips=given.clips,
        name=given.name,
        heights=tuple(int(height) for height in given.heights.split(",")),
        subjects=tuple(given.subjects.split(",")),
        rounds=given.rounds,
        out=given.out,
    )


def main(arguments: Sequence[str] | None = None) -> int:
    options = parse(sys.argv[1:] if arguments is None else arguments)
    try:
        result = run(options, lambda text: print(text, file=sys.stderr, flush=True))
    except AuraLinkError as failed:
        print(f"error: {failed}", file=sys.stderr)
        return 1
    print(table(result))
    return 0


if __name__ == "__main__":
    sys.exit(main())
