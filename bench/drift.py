"""How far a decoder in 8 bits, or on another machine, drifts from an encoder in 32-bit floats.

::

    python -m auralink.bench.drift --out bench/results/drift.json

One encoder, one key at the start, no losses; its packets go to a decoder of either precision.  What
a packet says is read by both, to the bit (`whole`); their pictures differ, and the question is
whether the difference stays bounded.
"""

import argparse
import dataclasses
import json
import statistics
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from auralink.bench import machine, tables
from auralink.bench.clips import Clip, find_clips
from auralink.bench.metrics import measure
from auralink.codecs.errors import AuraLinkError
from auralink.codecs.frame import Frame
from auralink.codecs.neural.networks import NeuralNetworks
from auralink.codecs.video.options import EncoderOptions
from auralink.codecs.video.profiles import open_decoder, open_encoder
from auralink.codecs.video.protocol import Status, Wish
from auralink.codecs.video.receiver import Receiver
from auralink.models.codec_runtime import open_codec
from auralink.models.manifest import Precision

DEFAULT_OUT: Final = Path("bench/results/drift.json")
DEFAULT_CLIPS: Final = ("akiyo", "foreman_352x288")
DEFAULT_FRAMES: Final = 1000
SEGMENT: Final = 100  # frames of each figure
_MEASURED: Final = 10  # every so many frames are compared


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    clips: Path | None = None
    names: tuple[str, ...] = DEFAULT_CLIPS
    frames: int = DEFAULT_FRAMES
    profile: str = "neural-s"
    quantizer: float = 48.0
    out: Path | None = None

    @property
    def command(self) -> str:
        words = ["python -m auralink.bench.drift", f"--frames {self.frames}"]
        words += [f"--only {name}" for name in self.names] if self.names != DEFAULT_CLIPS else []
        return " ".join([*words, f"--profile {self.profile}", f"--quantizer {self.quantizer:g}"])


@dataclass(frozen=True, slots=True, kw_only=True)
class Segment:
    """Means over some frames."""

    first: int
    exact_psnr: float  # of the decoder in floats, luma against the source
    psnr: float  # of the decoder in 8 bits
    difference: float  # mean absolute, of the two, grey levels


@dataclass(frozen=True, slots=True, kw_only=True)
class Drift:
    clip: str
    kbps: float
    whole: int  # units that the decoder in 8 bits read, of `frames`
    frames: int
    segments: tuple[Segment, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    command: str
    machine: dict[str, str]
    drifts: tuple[Drift, ...] = ()


def run(options: Options, progress: Callable[[str], None] = lambda text: None) -> Result:
    """
    Raises:
        InputError: no such clips.
        UnsupportedError: no such profile, or no networks for it.
    """
    result = Result(command=options.command, machine=machine.describe())
    for file in find_clips(options.clips, names=options.names):
        progress(file.name)
        made = _drift(file.load(options.frames), options)
        result = dataclasses.replace(result, drifts=(*result.drifts, made))
        if options.out:
            save(result, options.out)
    return result


def _drift(clip: Clip, options: Options) -> Drift:
    def opened(precision: Precision) -> Callable[[str | int], NeuralNetworks]:
        return lambda key: open_codec(key, precision)

    encoder = open_encoder(
        options.profile,
        fps=clip.fps,
        options=EncoderOptions(quantizer=options.quantizer),
        neural=opened("fp32"),
    )
    exact, rough = (Receiver(open_decoder(neural=opened(p))) for p in ("fp32", "int8"))
    total, whole, seen = 0, 0, list[tuple[float, float, float]]()
    shown: tuple[Frame, Frame] | None = None
    for number, frame in enumerate(clip.frames):
        unit = encoder.encode(frame, Wish())
        total += unit.size
        for packet in unit.packets:
            pairs = zip(exact.push(packet), rough.push(packet), strict=True)
            for one, other in pairs:
                whole += other.status in (Status.DECODED, Status.REPEATED)
                if one.frame is not None and other.frame is not None:
                    shown = one.frame, other.frame
        if shown is not None and number % _MEASURED == _MEASURED - 1:
            seen.append(_compared(frame, *shown))
    encoder.close()
    return Drift(
        clip=clip.name,
        kbps=clip.kbps(total),
        whole=whole,
        frames=len(clip.frames),
        segments=tuple(_segments(seen)),
    )


def _compared(source: Frame, one: Frame, other: Frame) -> tuple[float, float, float]:
    apart = np.abs(one.y.astype(np.int16) - other.y).mean()
    return measure(source.y, one.y).psnr, measure(source.y, other.y).psnr, float(apart)


def _segments(seen: Sequence[tuple[float, float, float]]) -> list[Segment]:
    size = SEGMENT // _MEASURED
    return [
        Segment(
            first=at * _MEASURED,
            exact_psnr=statistics.fmean(one for one, _, _ in seen[at : at + size]),
            psnr=statistics.fmean(other for _, other, _ in seen[at : at + size]),
            difference=statistics.fmean(apart for _, _, apart in seen[at : at + size]),
        )
        for at in range(0, len(seen), size)
    ]


def table(result: Result) -> str:
    """Markdown: first, worst and last segment of each clip."""
    rows = []
    for drift in result.drifts:
        losses = [s.exact_psnr - s.psnr for s in drift.segments]
        rows.append(
            [
                drift.clip,
                f"{drift.kbps:.0f}",
                f"{drift.whole} of {drift.frames}",
                f"{losses[0]:.2f}",
                f"{max(losses):.2f}",
                f"{losses[-1]:.2f}",
                f"{max(s.difference for s in drift.segments):.2f}",
            ]
        )
    heads = ["clip", "kbit/s", "units read", "first, dB", "worst, dB", "last, dB", "grey levels"]
    return tables.markdown(heads, rows)


def save(result: Result, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    tree = dataclasses.asdict(result)
    for drift in tree["drifts"]:
        drift["kbps"] = round(drift["kbps"], 2)
        for segment in drift["segments"]:
            for key in ("exact_psnr", "psnr", "difference"):
                segment[key] = round(segment[key], 3)
    path.write_text(json.dumps({"schema": 1, **tree}, indent=1) + "\n", "utf-8")


def load(path: Path) -> Result:
    tree = json.loads(path.read_text("utf-8"))
    drifts = tuple(
        Drift(**{**drift, "segments": tuple(Segment(**one) for one in drift["segments"])})
        for drift in tree["drifts"]
    )
    return Result(command=tree["command"], machine=tree["machine"], drifts=drifts)


def parse(arguments: Sequence[str]) -> Options:
    usual = Options()
    parser = argparse.ArgumentParser(prog="python -m auralink.bench.drift", description=__doc__)
    parser.add_argument("--clips", type=Path, help="folder of clips (default: the test kit)")
    parser.add_argument("--only", action="append", default=[], help="clips whose name has this")
    parser.add_argument("--frames", type=int, default=usual.frames)
    parser.add_argument("--profile", default=usual.profile)
    parser.add_argument("--quantizer", type=float, default=usual.quantizer)
    parser.add_argument("--out", type=Path, default=DEFAULT_OUT)
    given = parser.parse_args(arguments)
    return Options(
        clips=given.clips,
        names=tuple(given.only) or DEFAULT_CLIPS,
        frames=given.frames,
        profile=given.profile,
        quantizer=given.quantizer,
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
