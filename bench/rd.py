"""Rate-quality curves and BD-rates of AIC profiles and conventional codecs on the same frames.

::

    python -m auralink.bench.rd --profile hybrid --out bench/results/rd.json

Every subject codes the same decoded pictures.  Bits are all bytes sent, key frame included.
"""

import argparse
import dataclasses
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from auralink.bench import machine, metrics
from auralink.bench.anchors import ANCHORS, DEFAULT_ANCHORS, open_anchor
from auralink.bench.clips import DEFAULT_FRAMES, Clip, ClipFile, Kind, find_clips
from auralink.bench.records import ClipResult, Curve, Measured, Result, compared, load, save
from auralink.bench.subjects import Point, Run, Subject
from auralink.codecs.errors import AuraLinkError, InputError, UnsupportedError

DEFAULT_OUT: Final = Path("bench/results/rd.json")
QUICK_ANCHORS: Final = ("vp8-cbr", "svt-p10")
QUICK_FRAMES: Final = 32
# At most: a fast look needs the ends of each curve and two points between.
QUICK_POINTS: Final = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What to measure.

    ``quick`` measures one clip per kind, few frames, few points and few anchors: a minute instead
    of an hour, and figures to match.
    """

    clips: Path | None = None
    names: tuple[str, ...] = ()
    frames: int = DEFAULT_FRAMES
    profiles: tuple[str, ...] = ()
    anchors: tuple[str, ...] = DEFAULT_ANCHORS
    quick: bool = False
    out: Path | None = None  # written after every curve
    keep: bool = False  # take anchors' curves from `out` where their settings are the same

    @property
    def command(self) -> str:
        """What repeats this, without the folders of this machine."""
        words = ["python -m auralink.bench.rd", f"--frames {self.frames}"]
        words += [f"--profile {name}" for name in self.profiles]
        words += [f"--anchors {','.join(self.anchors)}"] if self.anchors != DEFAULT_ANCHORS else []
        words += [f"--only {name}" for name in self.names]
        words += ["--quick"] if self.quick else []
        return " ".join(words)


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """What is done next, for people who wait."""

    number: int
    of: int  # curves in all
    clip: str
    subject: str
    point: str


Progress = Callable[[Step], None]


def run(options: Options, progress: Progress = lambda step: None) -> Result:
    """Measure everything asked for.

    Raises:
        InputError: no such anchor, profile or clips.
    """
    options = _quick(options) if options.quick else options
    files = find_clips(options.clips, names=options.names)
    files = _one_per_kind(files) if options.quick else files
    subjects, skipped = _subjects(options)
    earlier = load(options.out) if options.keep and options.out and options.out.exists() else None
    result = Result(command=options.command, machine=machine.describe(), skipped=skipped)
    done = 0
    for file in files:
        clip = file.load(options.frames)
        blank = _described(clip)
        curves: list[Curve] = []
        for subject in subjects:
            done += 1
            step = Step(
                number=done,
                of=len(files) * len(subjects),
                clip=clip.name,
                subject=subject.name,
                point="",
            )
            curve = _kept(earlier, blank, subject, clip)
            curves.append(curve or _curve(subject, clip, options, step, progress))
            measured = dataclasses.replace(blank, curves=tuple(curves))
            so_far = dataclasses.replace(result, clips=(*result.clips, measured))
            so_far = compared(so_far, options.anchors)
            if options.out:
                save(so_far, options.out)
        result = so_far
    return result


def _quick(options: Options) -> Options:
    return dataclasses.replace(
        options,
        frames=min(options.frames, QUICK_FRAMES),
        anchors=QUICK_ANCHORS if options.anchors == DEFAULT_ANCHORS else options.anchors,
    )


def _one_per_kind(files: Sequence[ClipFile]) -> list[ClipFile]:
    first: dict[Kind, ClipFile] = {}
    for file in files:
        first.setdefault(file.kind, file)
    return list(first.values())


def _subjects(options: Options) -> tuple[list[Subject], dict[str, str]]:
    """What can run here, and why the rest cannot."""
    opened: list[Subject] = []
    skipped: dict[str, str] = {}
    wanted = [(name, open_anchor) for name in options.anchors]
    wanted += [(name, _open_profile) for name in options.profiles]
    for name, opener in wanted:
        try:
            opened.append(opener(name))
        except UnsupportedError as missing:
            skipped[name] = str(missing)
    if not opened:
        raise InputError(f"nothing to measure: {skipped or 'no anchors and no profiles'}")
    return opened, skipped


def _open_profile(name: str) -> Subject:
    from auralink.bench.aic import open_profile

    return open_profile(name)


def _described(clip: Clip) -> ClipResult:
    width, height = clip.size
    return ClipResult(
        clip=clip.name,
        kind=clip.kind.value,
        width=width,
        height=height,
        fps=clip.fps,
        frames=len(clip.frames),
        source_frames=clip.source_frames,
        ms_ssim_scales=metrics.scales_of(height, width),
    )


def _kept(
    earlier: Result | None, described: ClipResult, subject: Subject, clip: Clip
) -> Curve | None:
    """The curve measured before, if it is an anchor's, of the same frames and settings."""
    before = earlier.clip(described.clip) if earlier else None
    if before is None or subject.name not in ANCHORS:
        return None
    if dataclasses.replace(before, curves=()) != _as_saved(described):
        return None
    curve = before.curve(subject.name)
    return curve if curve and curve.settings == subject.settings(clip) else None


def _as_saved(described: ClipResult) -> ClipResult:
    return dataclasses.replace(described, fps=float(f"{described.fps:.6g}"))


def _curve(subject: Subject, clip: Clip, options: Options, step: Step, progress: Progress) -> Curve:
    points = list(subject.points(clip))
    if options.quick and len(points) > QUICK_POINTS:
        places = np.linspace(0, len(points) - 1, QUICK_POINTS).round().astype(int)
        points = [points[place] for place in places]
    measured = []
    for point in points:
        progress(dataclasses.replace(step, point=point.label))
        measured.append(_measured(clip, point, subject.run(clip, point)))
    return Curve(subject=subject.name, settings=subject.settings(clip), points=tuple(measured))


def _measured(clip: Clip, point: Point, done: Run) -> Measured:
    qualities = [
        metrics.measure(original.y, decoded.y)
        for original, decoded in zip(clip.frames, done.frames, strict=True)
    ]
    similarities = [quality.ssim for quality in qualities]
    count, total = len(done.sizes), sum(done.sizes)
    after_key = clip.kbps(total - done.sizes[0]) * count / max(1, count - 1)
    return Measured(
        point=point.label,
        kbps=clip.kbps(total),
        kbps_after_key=after_key,
        bytes=total,
        keys=done.keys,
        frames_sent=sum(size > 0 for size in done.sizes),
        ssim=float(np.mean(similarities)),
        ssim_p5=float(np.percentile(similarities, 5)),
        ms_ssim=float(np.mean([quality.ms_ssim for quality in qualities])),
        psnr=float(np.mean([quality.psnr for quality in qualities])),
        encode_fps=count / max(done.encode_s, 1e-6),
        decode_fps=count / max(done.decode_s, 1e-6),
    )


def parse(arguments: Sequence[str]) -> Options:
    parser = argparse.ArgumentParser(prog="python -m auralink.bench.rd", description=__doc__)
    parser.add_argument("--clips", type=Path, help="folder of clips (default: the test kit)")
    parser.add_argument("--only", action="append", default=[], help="clips whose name has this")
    parser.add_argument("--frames", type=int, default=DEFAULT_FRAMES)
    parser.add_argument("--profile", action="append", default=[], help="an AIC profile; repeatable")
    parser.add_argument("--anchors", default=",".join(DEFAULT_ANCHORS), help=", ".join(ANCHORS))
    parser.add_argument("--quick", action="store_true", help="one clip per kind, few points")
    parser.add_argument("--keep", action="store_true", help="keep curves of unchanged anchors")
    parser.add_argument("--out", type=Path, default=DEFAULT_OUT)
    given = parser.parse_args(arguments)
    return Options(
        clips=given.clips,
        names=tuple(given.only),
        frames=given.frames,
        profiles=tuple(given.profile),
        anchors=tuple(name for name in given.anchors.split(",") if name),
        quick=given.quick,
        keep=given.keep,
        out=given.out,
    )


def main(arguments: Sequence[str] | None = None) -> int:
    options = parse(sys.argv[1:] if arguments is None else arguments)

    def say(step: Step) -> None:
        where = f"{step.clip} {step.subject} {step.point}"
        print(f"[{step.number}/{step.of}] {where}", file=sys.stderr, flush=True)

    try:
        result = run(options, say)
        _draw(result, options)
    except AuraLinkError as failed:
        print(f"error: {failed}", file=sys.stderr)
        return 1
    return 0


def _draw(result: Result, options: Options) -> None:
    from auralink.bench import tables

    if options.profiles:
        print(tables.means(result, options.profiles, options.anchors))
    else:
        print(tables.means(result, result.subjects, options.anchors[:1]))
    if options.out is None:
        return
    try:
        from auralink.bench import plots
    except ImportError:
        print("no plot: `pip install auralink-aic[bench]` brings matplotlib", file=sys.stderr)
        return
    plots.curves(result, options.out.with_suffix(".png"), tested=options.profiles)


if __name__ == "__main__":
    sys.exit(main())
