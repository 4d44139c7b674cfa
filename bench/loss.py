"""What a viewer sees when packets are lost: profiles and repairs at the same bits, in virtual time.

::

    python -m auralink.bench.loss --out bench/results/loss.json

A call (`auralink.engine.link.call`) runs over an emulated link with 100 ms round trip, without
sleeping and seeded.  Every subject's target is corrected until its packets, parity and repairs
included, take the bits of all others.  At each display instant (capture time, plus the way, plus a
fixed playout delay) the newest picture that is there is compared with the one that should be: a
picture that stays is a worse one, and counts.
"""

import argparse
import dataclasses
import itertools
import json
import statistics
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import numpy as np

from auralink.bench import machine, tables
from auralink.bench.clips import Clip, find_clips
from auralink.bench.loss_figures import (
    bytes_by_kind,
    count_repairs,
    displayed,
    frozen_instants,
    longest,
    repair_keys,
)
from auralink.bench.metrics import ssim
from auralink.codecs.errors import AuraLinkError, InputError
from auralink.codecs.video.options import EncoderOptions, Engine
from auralink.codecs.video.profiles import open_decoder, open_encoder
from auralink.codecs.video.protocol import Status
from auralink.codecs.video.rate.controller import LIVE
from auralink.engine.link.call import Call, Recording, Sending, is_new, simulate
from auralink.engine.link.netem import LinkSettings
from auralink.engine.link.receiving import URGENT_EVERY_US
from auralink.models.codec_runtime import open_codec

DEFAULT_OUT: Final = Path("bench/results/loss.json")
DEFAULT_CLIPS: Final = ("foreman_352x288", "akiyo", "ice")
DEFAULT_SUBJECTS: Final = (
    "hybrid",
    "svt",
    "svt+resend",
    "aom",
    "aom+parity+resend",
    "vp8",
)
DEFAULT_FRAMES: Final = 180
DEFAULT_BPS_PER_PIXEL: Final = 1.2  # 122 kbit/s at 352x288
# Quick, and the same for every AV1 subject.  Not 10: that is libaom's speed 8, at which release
# 3.6.0 wrote 2 units of 360 that dav1d refuses, without any loss.
PRESET: Final = 9
ONE_WAY_MS: Final = 50.0
PLAYOUT_MS: Final = 100.0  # after the way: what a jitter buffer of three frames takes
LINK_HEADROOM: Final = 2.0  # link rate over the stream's
WARM_UP_S: Final = 1.0  # the first key's way and the first sharpening are not what is measured
_CLOSE_ENOUGH: Final = 0.03
_TRIES: Final = 4

ENGINES: Final[dict[str, tuple[str, Engine]]] = {
    "hybrid": ("hybrid", "auto"),
    "svt": ("hybrid", "svt"),
    "aom": ("hybrid", "aom"),
    "vp8": ("native-vp8", "auto"),
    "neural-s": ("neural-s", "auto"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Pattern:
    loss: float
    burst: float | None = None

    @property
    def label(self) -> str:
        how = f" bursts of {self.burst:g}" if self.burst else ""
        return f"{self.loss:.0%}{how}"


PATTERNS: Final = (
    Pattern(loss=0.0),
    *(Pattern(loss=loss) for loss in (0.05, 0.1, 0.2)),
    *(Pattern(loss=loss, burst=3.0) for loss in (0.05, 0.1, 0.2)),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    clips: Path | None = None
    names: tuple[str, ...] = DEFAULT_CLIPS
    frames: int = DEFAULT_FRAMES
    subjects: tuple[str, ...] = DEFAULT_SUBJECTS
    patterns: tuple[Pattern, ...] = PATTERNS
    bps_per_pixel: float = DEFAULT_BPS_PER_PIXEL
    seed: int = 1
    out: Path | None = None

    @property
    def command(self) -> str:
        """What repeats this, without the folders of this machine."""
        words = ["python -m auralink.bench.loss", f"--frames {self.frames}"]
        words += [f"--only {name}" for name in self.names] if self.names != DEFAULT_CLIPS else []
        if self.subjects != DEFAULT_SUBJECTS:
            words.append(f"--subjects {','.join(self.subjects)}")
        if self.bps_per_pixel != DEFAULT_BPS_PER_PIXEL:
            words.append(f"--bps-per-pixel {self.bps_per_pixel:g}")
        return " ".join([*words, f"--seed {self.seed}"])


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """One subject on one clip under one pattern."""

    clip: str
    kind: str
    subject: str
    pattern: str
    kbps: float  # all packets: parity and what is sent again included
    target_kbps: float
    loss: float  # of packets, on the link
    ssim: float  # of luma, mean over display instants
    ssim_p5: float
    freeze_ratio: float  # display instants with a picture older than the newest one sent
    longest_freeze_ms: float
    stuck: int  # times that nothing could be decoded
    recovery_ms: tuple[float, ...]  # how long each took, sorted
    in_time: float  # share of them within a round trip, 2 frames and the reporting delay
    keys: int  # after the first, without those for another base size
    repairs: int  # delta units predicted from acknowledged ones
    resent: int  # packets
    rebuilt: int  # packets, from parity
    errors: int  # units that the decoder refused
    parity_share: float  # of all bytes
    bytes_by_kind: dict[str, int]
    base_sizes: tuple[str, ...]

    @property
    def recovery_p95_ms(self) -> float:
        return float(np.percentile(self.recovery_ms, 95)) if self.recovery_ms else 0.0

    @property
    def recovery_median_ms(self) -> float:
        return statistics.median(self.recovery_ms) if self.recovery_ms else 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    command: str
    machine: dict[str, str]
    settings: dict[str, str]
    seen: tuple[Seen, ...] = ()
    skipped: dict[str, str] = field(default_factory=dict)


Progress = Callable[[str], None]


def run(options: Options, progress: Progress = lambda text: None) -> Result:
    """Measure every subject on every clip under every pattern.

    Raises:
        InputError: no such clip or subject.
    """
    for name in options.subjects:
        parse_subject(name)
    files = find_clips(options.clips, names=options.names)
    result = Result(command=options.command, machine=machine.describe(), settings=_settings())
    seen: list[Seen] = []
    for number, file in enumerate(files):
        clip = file.load(options.frames)
        for name, pattern in itertools.product(options.subjects, options.patterns):
            progress(f"{clip.name} {name} {pattern.label}")
            try:
                seen.append(
                    at_equal_bits(clip, name, pattern, options, options.seed + 100 * number)
                )
            except AuraLinkError as failed:
                result.skipped[f"{clip.name} {name} {pattern.label}"] = str(failed)
            result = dataclasses.replace(result, seen=tuple(seen))
        if options.out:
            save(result, options.out)
    return result


def parse_subject(name: str) -> tuple[str, Engine, Sending]:
    """``aom+parity+resend``: engine, then what is done about loss; ``parity=0.25`` fixes it.

    Raises:
        InputError: no such engine or measure.
    """
    engine, *measures = name.split("+")
    if engine not in ENGINES:
        raise InputError(f"no subject {engine!r}: one of {', '.join(ENGINES)}")
    parity: float | None = None if engine == "hybrid" else 0.0
    resend = engine == "hybrid"  # as a call does by default
    for measure in measures:
        if measure == "resend":
            resend = True
        elif measure == "parity":
            parity = None
        elif measure.startswith("parity="):
            parity = float(measure.removeprefix("parity="))
        else:
            raise InputError(f"{name}: no measure {measure!r}: parity, parity=SHARE, resend")
    return *ENGINES[engine], Sending(parity=parity, resend=resend)


def at_equal_bits(clip: Clip, name: str, pattern: Pattern, options: Options, seed: int) -> Seen:
    """Measure with the target that makes all packets together take the wanted bits."""
    wanted = options.bps_per_pixel * clip.size[0] * clip.size[1]
    target, best = wanted, None
    for _ in range(_TRIES):
        seen = _measure(clip, name, pattern, round(target), wanted, seed)
        if best is None or _off(seen, wanted) < _off(best, wanted):
            best = seen
        if _off(seen, wanted) <= _CLOSE_ENOUGH:
            break
        target *= wanted / 1000 / seen.kbps
    assert best is not None
    return best


def _off(seen: Seen, wanted_bps: float) -> float:
    return abs(seen.kbps * 1000 / wanted_bps - 1)


def _measure(
    clip: Clip, name: str, pattern: Pattern, target_bps: int, wanted_bps: float, seed: int
) -> Seen:
    profile, engine, sending = parse_subject(name)
    link = LinkSettings(
        rate_bps=LINK_HEADROOM * wanted_bps,
        queue_ms=1000,
        delay_ms=ONE_WAY_MS,
        loss=pattern.loss,
        burst=pattern.burst,
    )
    call = Call(
        open_encoder(
            profile,
            fps=clip.fps,
            options=EncoderOptions(preset=PRESET, engine=engine, rate=LIVE),
            neural=open_codec,
        ),
        open_decoder(neural=open_codec),
        bitrate_bps=target_bps,
        there=link,
        seed=seed,
        sending=sending,
    )
    return judge(clip, name, pattern, target_bps, simulate(call, clip.frames))


def judge(clip: Clip, name: str, pattern: Pattern, target_bps: int, made: Recording) -> Seen:
    """Figures from what happened in a call."""
    shown = displayed(clip, made, delay_ms=ONE_WAY_MS + PLAYOUT_MS)
    first = round(WARM_UP_S * clip.fps)
    similarities = [
        ssim(original.y, frame.y)
        for original, (_, frame) in list(zip(clip.frames, shown, strict=True))[first:]
    ]
    frozen = frozen_instants(made, [index for index, _ in shown])[first:]
    begun_us = next((played.at_us for played in made.played if is_new(played)), 0)
    recoveries = sorted(
        (end - start) / 1e3 for start, end in made.stuck if end is not None and start > begun_us
    )
    limit_ms = 2 * ONE_WAY_MS + 2e3 / clip.fps + URGENT_EVERY_US / 1e3
    in_time = [spent <= limit_ms for spent in recoveries]
    coded = [sent.coded for sent in made.sent if sent.coded.packets]
    there, by_kind = made.state.there, bytes_by_kind(coded)
    by_kind["resent"] = made.state.sender.resent_bytes
    total = sum(by_kind.values())
    return Seen(
        clip=clip.name,
        kind=clip.kind.value,
        subject=name,
        pattern=pattern.label,
        kbps=clip.kbps(there.sent_bytes),
        target_kbps=target_bps / 1000,
        loss=there.lost / max(1, there.sent),
        ssim=statistics.fmean(similarities),
        ssim_p5=float(np.percentile(similarities, 5)),
        freeze_ratio=statistics.fmean(frozen),
        longest_freeze_ms=1e3 / clip.fps * longest(frozen),
        stuck=len(recoveries),
        recovery_ms=tuple(recoveries),
        in_time=statistics.fmean(in_time) if in_time else 1.0,
        keys=repair_keys(coded),
        repairs=count_repairs(coded),
        resent=made.state.sender.resent,
        rebuilt=made.state.received.recovered,
        errors=sum(played.picture.status is Status.FROZEN for played in made.played),
        parity_share=by_kind["parity"] / max(1, total),
        bytes_by_kind=by_kind,
        base_sizes=tuple(dict.fromkeys(f"{w}x{h}" for w, h in (unit.base_size for unit in coded))),
    )


def _settings() -> dict[str, str]:
    return {
        "preset": str(PRESET),
        "round trip, ms": f"{2 * ONE_WAY_MS:g}",
        "playout delay, ms": f"{PLAYOUT_MS:g}",
        "link rate over stream rate": f"{LINK_HEADROOM:g}",
        "not measured at the start, s": f"{WARM_UP_S:g}",
    }


def means(result: Result) -> Iterator[tuple[str, str, list[Seen]]]:
    """Subject, pattern and what was seen, in the order of measurement."""
    keys = dict.fromkeys((seen.pattern, seen.subject) for seen in result.seen)
    for pattern, subject in sorted(keys, key=lambda key: _order(result, key)):
        group = [s for s in result.seen if (s.pattern, s.subject) == (pattern, subject)]
        yield subject, pattern, group


def _order(result: Result, key: tuple[str, str]) -> tuple[int, int]:
    patterns = list(dict.fromkeys(seen.pattern for seen in result.seen))
    subjects = list(dict.fromkeys(seen.subject for seen in result.seen))
    return patterns.index(key[0]), subjects.index(key[1])


def table(result: Result) -> str:
    """Markdown: one row per pattern and subject, means over clips."""
    rows = []
    for subject, pattern, group in means(result):
        recoveries = [spent for seen in group for spent in seen.recovery_ms]
        took = "–"
        if recoveries:
            took = f"{np.median(recoveries):.0f} / {np.percentile(recoveries, 95):.0f}"
        rows.append(
            [
                pattern,
                subject,
                f"{_mean(seen.ssim for seen in group):.4f}",
                f"{_mean(seen.ssim_p5 for seen in group):.3f}",
                f"{_mean(seen.freeze_ratio for seen in group):.1%}",
                f"{max(seen.longest_freeze_ms for seen in group):.0f}",
                took,
                f"{_mean(seen.in_time for seen in group):.0%}",
                f"{sum(seen.keys for seen in group)} / {sum(seen.repairs for seen in group)}"
                f" / {sum(seen.resent for seen in group)}",
                f"{_mean(seen.parity_share for seen in group):.0%}",
                f"{_mean(seen.kbps for seen in group):.0f}",
                str(sum(seen.errors for seen in group)),
            ]
        )
    heads = ["loss", "subject", "SSIM", "p5", "frozen", "longest, ms", "recovery, ms", "in time"]
    heads += ["keys / repairs / resent", "parity", "kbit/s", "errors"]
    return tables.markdown(heads, rows)


def _mean(values: Iterable[float]) -> float:
    return statistics.fmean(values)


def save(result: Result, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    tree = dataclasses.asdict(result)
    for seen in tree["seen"]:
        for key, value in seen.items():
            if isinstance(value, float):
                seen[key] = float(f"{value:.5g}")
        seen["recovery_ms"] = [round(spent) for spent in seen["recovery_ms"]]
    path.write_text(json.dumps({"schema": 1, **tree}, indent=1) + "\n", "utf-8")


def parse(arguments: Sequence[str]) -> Options:
    parser = argparse.ArgumentParser(prog="python -m auralink.bench.loss", description=__doc__)
    parser.add_argument("--clips", type=Path, help="folder of clips (default: the test kit)")
    parser.add_argument("--only", action="append", default=[], help="clips whose name has this")
    parser.add_argument("--frames", type=int, default=DEFAULT_FRAMES)
    parser.add_argument("--subjects", default=",".join(DEFAULT_SUBJECTS))
    parser.add_argument("--loss", action="append", default=[], help="10%% or 10%%x3; repeatable")
    parser.add_argument("--bps-per-pixel", type=float, default=DEFAULT_BPS_PER_PIXEL)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", type=Path, default=DEFAULT_OUT)
    given = parser.parse_args(arguments)
    return Options(
        clips=given.clips,
        names=tuple(given.only) or DEFAULT_CLIPS,
        frames=given.frames,
        subjects=tuple(given.subjects.split(",")),
        patterns=tuple(_pattern(text) for text in given.loss) or PATTERNS,
        bps_per_pixel=given.bps_per_pixel,
        seed=given.seed,
        out=given.out,
    )


def _pattern(text: str) -> Pattern:
    loss, _, burst = text.replace("%", "").partition("x")
    return Pattern(loss=float(loss) / 100, burst=float(burst) if burst else None)


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

        plots.losses(result, options.out.with_suffix(".png"))
    return 0


if __name__ == "__main__":
    sys.exit(main())
