"""The relay over a real bad network: real servers, viewers that are not ours, every header counted.

::

    python -m auralink.bench.relay --out bench/results/relay.json
    python -m auralink.bench.relay --parts loss --rtt 100 --loss 10%x3    # one row, merged into it

Four parts.  ``added``: what the relay adds to the latency where there is no network between.
``moments``: how soon a picture is there after a join and after a crash of the server.  ``breaks``:
signal connections that are cut, and a link that gets narrow.  ``loss``: quality, freezes and
latency under random and bursty loss at three round trips, against VP8 through LiveKit under the
same shaping.  A result that is measured again replaces the one before.

Linux, as root, with a livekit-server; see `auralink.engine.shaping`.
"""

import argparse
import dataclasses
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from auralink.bench import machine
from auralink.bench.clips import find_clips, there_and_back
from auralink.bench.relay_breaks import breaks
from auralink.bench.relay_calls import SETTLE_S, SUBJECTS, Condition, call
from auralink.bench.relay_moments import added, moments
from auralink.bench.relay_results import Result, load, loss_table, moments_table, save
from auralink.codecs.errors import AuraLinkError, InputError
from auralink.codecs.frame import Frame, crop
from auralink.codecs.resample import Resampler
from auralink.engine.rehearsal.pictures import Script, write_script
from auralink.engine.rehearsal.stage import Stage, stage

DEFAULT_OUT: Final = Path("bench/results/relay.json")
DEFAULT_CLIP: Final = "foreman_352x288"
SIZE: Final = (640, 360)
FPS: Final = 30.0
PARTS: Final = ("added", "moments", "breaks", "loss")
RTTS_MS: Final = (100.0, 200.0, 50.0)
LOSSES: Final[tuple[tuple[float, float | None], ...]] = (
    (0.0, None),
    *((loss, None) for loss in (0.02, 0.05, 0.1, 0.2)),
    *((loss, 3.0) for loss in (0.02, 0.05, 0.1, 0.2)),
)
QUICK: Final[tuple[tuple[float, float | None], ...]] = ((0.0, None), (0.1, None))


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    clips: Path | None = None
    clip: str = DEFAULT_CLIP
    parts: tuple[str, ...] = PARTS
    rate_bps: int = 300_000
    seconds: float = 6.0
    rtts_ms: tuple[float, ...] = RTTS_MS
    losses: tuple[tuple[float, float | None], ...] = LOSSES
    seed: int = 1
    fill: bool = False
    minutes: float | None = None
    out: Path | None = None

    @property
    def conditions(self) -> list[Condition]:
        """The telling ones first, in case the time is short."""
        return [
            Condition(rtt_ms=rtt_ms, loss=loss, burst=burst)
            for loss, burst in sorted(self.losses, key=lambda one: abs(one[0] - 0.1))
            for rtt_ms in self.rtts_ms
        ]

    @property
    def command(self) -> str:
        """What repeats all of it, without the folders of this machine."""
        words = ["python -m auralink.bench.relay", f"--rate {self.rate_bps // 1000}k"]
        words += [f"--seconds {self.seconds:g}", f"--seed {self.seed}"]
        return " ".join(words)


Progress = Callable[[str], None]


def run(options: Options, progress: Progress = lambda text: None) -> Result:
    """Measure, saving after each step.

    Raises:
        InputError: no such clip or part.
        UnsupportedError: no root, or no livekit-server.
    """
    started = time.monotonic()
    result = dataclasses.replace(
        load(options.out), command=options.command, machine=machine.describe()
    )
    result = dataclasses.replace(result, settings=_settings(options))
    with tempfile.TemporaryDirectory() as folder:
        script = script_of(options, Path(folder))
        with stage(script, Path(folder), seed=options.seed) as on_stage:
            for step in _steps(options, result):
                if options.minutes and time.monotonic() - started > options.minutes * 60:
                    progress("no time for the rest: --fill measures it later")
                    break
                result = step(on_stage, result, progress)
                if options.out:
                    save(result, options.out)
    return result


def script_of(options: Options, folder: Path) -> Script:
    """The clip as 360p at 30 frames per second, cut to 16:9, forth and back."""
    (file, *_) = find_clips(options.clips, names=(options.clip,))
    frames = [_widescreen(frame) for frame in file.load(round(5 * FPS)).frames]
    order = list(there_and_back(len(frames), 2 * len(frames) - 2))
    return write_script(folder / "script.i420", [frames[index] for index in order], FPS)


def _widescreen(frame: Frame) -> Frame:
    width, height = frame.size
    lines = min(height, width * SIZE[1] // SIZE[0]) & ~1
    top = (height - lines) // 2 & ~1
    cut = Frame(
        y=frame.y[top : top + lines],
        u=frame.u[top // 2 : (top + lines) // 2],
        v=frame.v[top // 2 : (top + lines) // 2],
        pts_us=frame.pts_us,
    )
    return Resampler("bicubic").resize(crop(cut, width & ~1, lines), *SIZE)


Step = Callable[[Stage, Result, Progress], Result]


def _steps(options: Options, known: Result) -> list[Step]:
    steps: list[Step] = []
    for part in options.parts:
        if part not in PARTS:
            raise InputError(f"no part {part!r}: one of {', '.join(PARTS)}")
    if "added" in options.parts:
        steps.append(_added(options))
    if "moments" in options.parts:
        steps.append(_moments(options))
    if "breaks" in options.parts:
        steps.append(_breaks(options))
    if "loss" in options.parts:
        there = {(one.condition, one.subject) for one in known.seen} if options.fill else set()
        steps += [
            _cell(options, one, name)
            for one in options.conditions
            for name in SUBJECTS
            if (one, name) not in there
        ]
    return steps


def _added(options: Options) -> Step:
    def step(on_stage: Stage, result: Result, progress: Progress) -> Result:
        progress("latency added without a network")
        found = added(on_stage, rate_bps=options.rate_bps, seconds=options.seconds)
        return dataclasses.replace(result, added=found)

    return step


def _moments(options: Options) -> Step:
    def step(on_stage: Stage, result: Result, progress: Progress) -> Result:
        progress("joins and a crash of the server")
        found = moments(on_stage, Condition(rtt_ms=100), rate_bps=options.rate_bps)
        return dataclasses.replace(result, moments=found)

    return step


def _breaks(options: Options) -> Step:
    def step(on_stage: Stage, result: Result, progress: Progress) -> Result:
        progress("signal connections that are cut, a link that gets narrow")
        found = breaks(on_stage, rate_bps=options.rate_bps)
        return dataclasses.replace(result, breaks=found)

    return step


def _cell(options: Options, condition: Condition, subject: Any) -> Step:
    def step(on_stage: Stage, result: Result, progress: Progress) -> Result:
        label = f"{subject} at {condition.label}"
        progress(label)
        others = tuple(
            one for one in result.seen if (one.subject, one.condition) != (subject, condition)
        )
        failed = {name: why for name, why in result.failed.items() if name != label}
        try:
            seen = call(
                on_stage, subject, condition, rate_bps=options.rate_bps, seconds=options.seconds
            )
        except AuraLinkError as none:
            return dataclasses.replace(result, seen=others, failed=failed | {label: str(none)})
        return dataclasses.replace(result, seen=(*others, seen), failed=failed)

    return step


def _settings(options: Options) -> dict[str, str]:
    return {
        "clip": options.clip,
        "size": "{}x{}".format(*SIZE),
        "frames per second": f"{FPS:g}",
        "link, kbit/s": f"{options.rate_bps / 1000:g}",
        "measured, s": f"{options.seconds:g}",
        "not measured at the start, s": f"{SETTLE_S:g}",
    }


def parse(arguments: Sequence[str]) -> Options:
    parser = argparse.ArgumentParser(prog="python -m auralink.bench.relay", description=__doc__)
    parser.add_argument("--clips", type=Path, help="folder of clips (default: the test kit)")
    parser.add_argument("--clip", default=DEFAULT_CLIP, help="the first whose name has this")
    parser.add_argument("--parts", default=",".join(PARTS), help="comma-separated")
    parser.add_argument("--rate", default="300k", help="of the link: 300k")
    parser.add_argument("--seconds", type=float, default=6.0, help="measured per call")
    parser.add_argument("--rtt", type=float, action="append", default=[], help="ms; repeatable")
    parser.add_argument("--loss", action="append", default=[], help="10%% or 10%%x3; repeatable")
    parser.add_argument("--quick", action="store_true", help="0 and 10 %% at 100 ms, 5 s each")
    parser.add_argument("--fill", action="store_true", help="only calls that OUT has not yet")
    parser.add_argument("--minutes", type=float, help="begin nothing after so long")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", type=Path, default=DEFAULT_OUT)
    given = parser.parse_args(arguments)
    return Options(
        clips=given.clips,
        clip=given.clip,
        parts=tuple(given.parts.split(",")),
        rate_bps=round(float(given.rate.removesuffix("k")) * 1000),
        seconds=5.0 if given.quick else given.seconds,
        rtts_ms=tuple(given.rtt) or ((100.0,) if given.quick else RTTS_MS),
        losses=tuple(map(_loss, given.loss)) or (QUICK if given.quick else LOSSES),
        seed=given.seed,
        fill=given.fill,
        minutes=given.minutes,
        out=given.out,
    )


def _loss(text: str) -> tuple[float, float | None]:
    loss, _, burst = text.replace("%", "").partition("x")
    return float(loss) / 100, float(burst) if burst else None


def main(arguments: Sequence[str] | None = None) -> int:
    options = parse(sys.argv[1:] if arguments is None else arguments)
    try:
        result = run(options, lambda text: print(text, file=sys.stderr, flush=True))
    except AuraLinkError as failed:
        print(f"error: {failed}", file=sys.stderr)
        for hint in getattr(failed, "__notes__", ()):
            print(f"hint: {hint}", file=sys.stderr)
        return 1
    print(moments_table(result), loss_table(result), sep="\n\n")
    if options.out:
        from auralink.bench import relay_plot

        relay_plot.losses(result, options.out.with_suffix(".png"))
    return 0


if __name__ == "__main__":
    sys.exit(main())
