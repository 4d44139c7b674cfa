"""Does the encoder keep its rate?  Constant targets, steps and a sawtooth, on real clips.

::

    python -m auralink.bench.rate --out bench/results/rate.json

The real encoder codes clips scaled to 640x360 and 1280x720.  Every 2 s window after the first
second is compared with the integral of the target over it.  The backlog is that of a link which
always carries exactly the target.  Preset 10, so that it is quick: slower presets spend the same
bits on a better picture.
"""

import argparse
import dataclasses
import itertools
import json
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import numpy as np

from auralink.bench import machine, tables
from auralink.bench.clips import ClipFile, find_clips, there_and_back
from auralink.codecs.errors import AuraLinkError, InputError
from auralink.codecs.frame import Frame
from auralink.codecs.resample import Resampler
from auralink.codecs.video.options import EncoderOptions
from auralink.codecs.video.profiles import open_encoder
from auralink.codecs.video.protocol import Coded, Kind, Outcome, Wish
from auralink.engine.media.reader import Clip as Source
from auralink.engine.media.reader import ReadOptions

DEFAULT_OUT: Final = Path("bench/results/rate.json")
DEFAULT_CLIPS: Final = ("foreman_352x288", "akiyo", "screen_code")
SIZES: Final = ((640, 360), (1280, 720))
TARGETS_KBPS: Final = (30, 60, 90, 150, 300, 600, 1200, 2000)
SECONDS: Final = 10.0
STEP_S: Final = 4.0
PRESET: Final = 10
WINDOW_S: Final = 2.0
WARM_UP_S: Final = 1.0
WITHIN: Final = 0.05  # what the windows should keep to
BIN_S: Final = 0.25  # of the timeline
_SAW_S: Final = 3.0
_SAW_LEAST: Final = 0.25


@dataclass(frozen=True, slots=True, kw_only=True)
class Pattern:
    """A target over time."""

    label: str
    bps: Callable[[float], float] = field(repr=False)  # of seconds


def constant(kbps: float) -> Pattern:
    return Pattern(label=f"{kbps:g}k", bps=lambda at_s: kbps * 1e3)


def step(before_kbps: float, after_kbps: float) -> Pattern:
    return Pattern(
        label=f"{before_kbps:g}k to {after_kbps:g}k",
        bps=lambda at_s: 1e3 * (before_kbps if at_s < STEP_S else after_kbps),
    )


def sawtooth(most_kbps: float) -> Pattern:
    """Rises from a quarter to all of it within 3 s, falls at once."""

    def bps(at_s: float) -> float:
        share = _SAW_LEAST + (1 - _SAW_LEAST) * (at_s % _SAW_S) / _SAW_S
        return 1e3 * most_kbps * share

    return Pattern(label=f"sawtooth to {most_kbps:g}k", bps=bps)


PATTERNS: Final = (
    *map(constant, TARGETS_KBPS),
    step(600, 60),
    step(60, 600),
    sawtooth(600),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    clips: Path | None = None
    names: tuple[str, ...] = DEFAULT_CLIPS
    sizes: tuple[tuple[int, int], ...] = SIZES
    patterns: tuple[Pattern, ...] = PATTERNS
    seconds: float = SECONDS
    preset: int = PRESET
    engine: str = "auto"
    out: Path | None = None

    @property
    def command(self) -> str:
        """What repeats this, without the folders of this machine."""
        words = ["python -m auralink.bench.rate", f"--seconds {self.seconds:g}"]
        words += [f"--only {name}" for name in self.names] if self.names != DEFAULT_CLIPS else []
        words += [f"--preset {self.preset}"] if self.preset != PRESET else []
        words += [f"--engine {self.engine}"] if self.engine != "auto" else []
        return " ".join(words)


@dataclass(frozen=True, slots=True, kw_only=True)
class Windows:
    """Bits over target bits, of every 2 s window that begins after the first second."""

    least: float
    p5: float
    p95: float
    most: float
    within: float  # share that keeps to 5 %


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeline:
    """By quarter seconds."""

    target_kbps: tuple[float, ...]
    kbps: tuple[float, ...]
    quantizer: tuple[float, ...]  # mean; 0 where nothing was coded


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """One clip at one size under one target."""

    clip: str
    kind: str
    size: str
    pattern: str
    kbps: float
    windows: Windows
    dropped: dict[str, int]  # by reason
    skipped: int
    most_delay_s: float  # backlog over target
    most_delay_after_step_s: float  # the same from 4 s on
    keys_budgets: tuple[float, ...]  # size of each key in frame budgets
    base_sizes: tuple[str, ...]  # in order of first use
    encode_ms: float  # processor time per frame
    timeline: Timeline = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    command: str
    machine: dict[str, str]
    preset: int
    kept: tuple[Kept, ...] = ()


Progress = Callable[[str], None]


def run(options: Options, progress: Progress = lambda text: None) -> Result:
    """Measure every clip at every size under every target.

    Raises:
        InputError: no such clips.
    """
    files = find_clips(options.clips, names=options.names)
    result = Result(command=options.command, machine=machine.describe(), preset=options.preset)
    for file, size in itertools.product(files, options.sizes):
        pictures, fps = _load(file, size)
        for pattern in options.patterns:
            progress(f"{file.name} {size[0]}x{size[1]} {pattern.label}")
            kept = measure(file.name, file.kind.value, pictures, fps, pattern, options)
            result = dataclasses.replace(result, kept=(*result.kept, kept))
        if options.out:
            save(result, options.out)
    return result


def _load(file: ClipFile, size: tuple[int, int]) -> tuple[list[Frame], float]:
    """The pictures that differ; memory holds ten seconds of 720p only once."""
    resampler = Resampler("bicubic")
    with Source(str(file.path), ReadOptions()) as source:
        return [resampler.resize(frame, *size) for frame in source], source.info.fps


def measure(
    clip: str,
    kind: str,
    pictures: Sequence[Frame],
    fps: float,
    pattern: Pattern,
    options: Options,
) -> Kept:
    """Code one clip under one target."""
    if options.engine not in ("auto", "svt", "aom", "pyav"):
        raise InputError(f"no engine {options.engine!r}: auto, svt, aom or pyav")
    encoder = open_encoder(
        "hybrid",
        fps=fps,
        options=EncoderOptions(preset=options.preset, engine=options.engine),  # type: ignore[arg-type]
    )
    coded: list[Coded] = []
    started = time.process_time()
    for number, index in enumerate(there_and_back(len(pictures), round(options.seconds * fps))):
        frame = pictures[index].at(round(number * 1e6 / fps))
        wish = Wish(bitrate_bps=round(pattern.bps(number / fps)))
        coded.append(encoder.encode(frame, wish))
    encode_ms = (time.process_time() - started) * 1e3 / len(coded)
    encoder.close()
    width, height = pictures[0].size
    return judge(coded, fps, pattern, clip, kind, f"{width}x{height}", encode_ms)


def judge(
    coded: Sequence[Coded],
    fps: float,
    pattern: Pattern,
    clip: str,
    kind: str,
    size: str,
    encode_ms: float,
) -> Kept:
    """Figures from what was coded."""
    bits = np.array([8.0 * unit.size for unit in coded])
    budgets = np.array([pattern.bps(number / fps) / fps for number in range(len(coded))])
    delays = backlog_s(bits, budgets, fps)
    drops = [unit.outcome for unit in coded if unit.outcome.value.startswith("dropped")]
    keys = [i for i, unit in enumerate(coded) if unit.packets and unit.kind is Kind.KEY]
    sizes = dict.fromkeys(f"{w}x{h}" for w, h in (u.base_size for u in coded if u.packets))
    return Kept(
        clip=clip,
        kind=kind,
        size=size,
        pattern=pattern.label,
        kbps=float(bits.sum() * fps / len(bits) / 1e3),
        windows=windows(bits, budgets, fps),
        dropped={outcome.value: drops.count(outcome) for outcome in dict.fromkeys(drops)},
        skipped=sum(unit.outcome is Outcome.SKIPPED for unit in coded),
        most_delay_s=float(delays.max()),
        most_delay_after_step_s=float(delays[min(round(STEP_S * fps), len(bits) - 1) :].max()),
        keys_budgets=tuple(round(float(bits[i] / budgets[i]), 2) for i in keys),
        base_sizes=tuple(sizes),
        encode_ms=encode_ms,
        timeline=_timeline(coded, bits, budgets, fps),
    )


def windows(bits: np.ndarray, budgets: np.ndarray, fps: float) -> Windows:
    """Compare every window with the integral of the target.

    Raises:
        InputError: shorter than the first second and one window.
    """
    frames, first = round(WINDOW_S * fps), round(WARM_UP_S * fps)
    if len(bits) < first + frames:
        raise InputError(f"{len(bits) / fps:.1f} s: {WARM_UP_S + WINDOW_S:g} s are the least")
    have, want = (np.concatenate([[0.0], np.cumsum(values)]) for values in (bits, budgets))
    ratios = ((have[frames:] - have[:-frames]) / (want[frames:] - want[:-frames]))[first:]
    p5, p95 = np.percentile(ratios, (5, 95))
    return Windows(
        least=float(ratios.min()),
        p5=float(p5),
        p95=float(p95),
        most=float(ratios.max()),
        within=float(np.mean(np.abs(ratios - 1) <= WITHIN)),
    )


def backlog_s(bits: np.ndarray, budgets: np.ndarray, fps: float) -> np.ndarray:
    """What a link of exactly the target still has to carry after each frame, in seconds of it."""
    waiting, delays = 0.0, []
    for taken, budget in zip(bits, budgets, strict=True):
        waiting = max(0.0, waiting + taken - budget)
        delays.append(waiting / (budget * fps))
    return np.array(delays)


def _timeline(
    coded: Sequence[Coded], bits: np.ndarray, budgets: np.ndarray, fps: float
) -> Timeline:
    per_bin = max(1, round(BIN_S * fps))
    target, spent, quantizers = [], [], []
    for start in range(0, len(bits) - per_bin + 1, per_bin):
        part = slice(start, start + per_bin)
        target.append(round(float(budgets[part].mean() * fps / 1e3), 1))
        spent.append(round(float(bits[part].mean() * fps / 1e3), 1))
        used = [u.quantizer for u in coded[part] if u.outcome is Outcome.CODED]
        quantizers.append(round(float(np.mean(used)), 1) if used else 0.0)
    return Timeline(target_kbps=tuple(target), kbps=tuple(spent), quantizer=tuple(quantizers))


def table(result: Result) -> str:
    """Markdown: one row per size and target; the worst of all clips."""
    rows = []
    groups: dict[tuple[str, str], list[Kept]] = {}
    for kept in result.kept:
        groups.setdefault((kept.size, kept.pattern), []).append(kept)
    for (size, pattern), group in groups.items():
        found = [kept.windows for kept in group]
        drops = sum(sum(kept.dropped.values()) for kept in group)
        rows.append(
            [
                size,
                pattern,
                f"{min(w.least for w in found):.2f}–{max(w.most for w in found):.2f}",
                f"{min(w.p5 for w in found):.2f}–{max(w.p95 for w in found):.2f}",
                " / ".join(f"{w.within:.0%}" for w in found),
                f"{max(kept.most_delay_s for kept in group):.2f}",
                f"{max(kept.most_delay_after_step_s for kept in group):.2f}",
                str(drops),
                f"{max((max(k.keys_budgets) for k in group if k.keys_budgets), default=0):.1f}",
                ", ".join(_distinct(size for kept in group for size in kept.base_sizes)),
                f"{np.mean([kept.encode_ms for kept in group]):.0f}",
            ]
        )
    heads = ["picture", "target", "windows", "p5–p95", "within 5 %", "delay, s", "after 4 s"]
    heads += ["drops", "largest key", "base sizes", "ms"]
    return tables.markdown(heads, rows)


def _distinct(texts: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(texts))


def save(result: Result, path: Path) -> None:
    """Write JSON, a line per run."""
    path.parent.mkdir(parents=True, exist_ok=True)
    tree = dataclasses.asdict(result)
    runs = tree.pop("kept")
    for kept in runs:
        for name in ("kbps", "most_delay_s", "most_delay_after_step_s", "encode_ms"):
            kept[name] = float(f"{kept[name]:.5g}")
        kept["windows"] = {name: round(value, 4) for name, value in kept["windows"].items()}
    lines = ",\n".join(f"  {json.dumps(kept)}" for kept in runs)
    head = json.dumps({"schema": 1, **tree}, indent=1).removesuffix("\n}")
    path.write_text(f'{head},\n "kept": [\n{lines}\n ]\n}}\n', "utf-8")


def parse(arguments: Sequence[str]) -> Options:
    parser = argparse.ArgumentParser(prog="python -m auralink.bench.rate", description=__doc__)
    parser.add_argument("--clips", type=Path, help="folder of clips (default: the test kit)")
    parser.add_argument("--only", action="append", default=[], help="clips whose name has this")
    parser.add_argument("--heights", default="360,720", help="360, 720 or both")
    parser.add_argument("--pattern", action="append", default=[], help="only targets named so")
    parser.add_argument("--seconds", type=float, default=SECONDS)
    parser.add_argument("--preset", type=int, default=PRESET)
    parser.add_argument("--engine", default="auto")
    parser.add_argument("--out", type=Path, default=DEFAULT_OUT)
    given = parser.parse_args(arguments)
    heights = {int(height) for height in given.heights.split(",")}
    named = tuple(p for p in PATTERNS if p.label in given.pattern)
    return Options(
        clips=given.clips,
        names=tuple(given.only) or DEFAULT_CLIPS,
        sizes=tuple(size for size in SIZES if size[1] in heights),
        patterns=named or PATTERNS,
        seconds=given.seconds,
        preset=given.preset,
        engine=given.engine,
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
    if options.out:
        from auralink.bench import plots

        plots.timelines(result, options.out.with_suffix(".png"))
    return 0


if __name__ == "__main__":
    sys.exit(main())
