"""How a call looks at a fifth of the rate that LiveKit's preset gives it.

::

    python -m auralink.bench.thin --out bench/results/thin.json

LiveKit's 360p preset is 640x360 at 20 frames per second and 450 kbit/s.  Every clip is brought to
that size and rate, and coded by VP8 at 450 kbit/s and by VP8 and AIC at 90 kbit/s, each under its
own rate control, five seconds with the key frame.
"""

import argparse
import dataclasses
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from auralink.bench import machine, metrics
from auralink.bench.aic import AT_RATE, open_profile
from auralink.bench.anchors import open_anchor
from auralink.bench.clips import Clip, Kind, at_height, find_clips
from auralink.bench.subjects import Point, Subject
from auralink.bench.tables import markdown
from auralink.codecs.errors import AuraLinkError

PRESET_BPS: Final = 450_000
THIN_BPS: Final = 90_000
HEIGHT: Final = 360
FPS: Final = 20
FRAMES: Final = 100
DEFAULT_OUT: Final = Path("bench/results/thin.json")


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    clip: str
    kind: str
    codec: str
    asked_bps: int
    kbps: float
    ssim: float
    ssim_p5: float
    psnr: float
    frames_sent: int


def run(folder: Path | None = None, *, profile: str = "hybrid") -> list[Row]:
    """Measure all clips."""
    aic, vp8 = open_profile(profile + AT_RATE), open_anchor("vp8-cbr")
    rows = []
    for file in find_clips(folder):
        clip = preset_clip(file.load(FRAMES * 2))
        for subject, rate in ((vp8, PRESET_BPS), (vp8, THIN_BPS), (aic, THIN_BPS)):
            rows.append(_measure(clip, subject, rate))
            print(rows[-1], file=sys.stderr, flush=True)
    return rows


def preset_clip(clip: Clip) -> Clip:
    """The clip at the preset's height and rate: frames are left out, never made up."""
    tall = clip if clip.size[1] == HEIGHT else at_height(clip, HEIGHT)
    picks = [min(round(i * clip.fps / FPS), len(tall.frames) - 1) for i in range(FRAMES)]
    frames = tuple(tall.frames[pick].at(round(i * 1e6 / FPS)) for i, pick in enumerate(picks))
    return dataclasses.replace(tall, fps=float(FPS), frames=frames)


def _measure(clip: Clip, subject: Subject, rate: int) -> Row:
    done = subject.run(clip, Point(bitrate_bps=rate))
    similar = [metrics.measure(a.y, b.y) for a, b in zip(clip.frames, done.frames, strict=True)]
    ssim = [one.ssim for one in similar]
    return Row(
        clip=clip.name,
        kind=clip.kind.value,
        codec=subject.name,
        asked_bps=rate,
        kbps=round(clip.kbps(sum(done.sizes)), 1),
        ssim=round(float(np.mean(ssim)), 4),
        ssim_p5=round(float(np.percentile(ssim, 5)), 4),
        psnr=round(float(np.mean([one.psnr for one in similar])), 2),
        frames_sent=sum(size > 0 for size in done.sizes),
    )


def table(rows: Sequence[Row]) -> str:
    """SSIM-Y mean / 5th percentile by clip and codec, with the means of each kind."""
    columns = sorted({(row.codec, row.asked_bps) for row in rows}, key=lambda c: (-c[1], c[0]))
    heads = ["clip", *(f"{codec} at {bps // 1000}k" for codec, bps in columns)]
    lines = []
    for clip in dict.fromkeys(row.clip for row in rows):
        found = {(row.codec, row.asked_bps): row for row in rows if row.clip == clip}
        lines.append([clip, *(_cell([found[column]]) for column in columns)])
    for kind in Kind:
        of_kind = [row for row in rows if row.kind == kind]
        if of_kind:
            cells = [
                _cell([row for row in of_kind if (row.codec, row.asked_bps) == column])
                for column in columns
            ]
            lines.append([f"**mean, {kind.value}**", *cells])
    return markdown(heads, lines)


def _cell(rows: Sequence[Row]) -> str:
    means = [float(np.mean([getattr(row, name) for row in rows])) for name in _SHOWN]
    return f"{means[0]:.3f} / {means[1]:.3f} ({means[2]:.0f}k)"


_SHOWN: Final = ("ssim", "ssim_p5", "kbps")


def load(path: Path) -> list[Row]:
    return [Row(**row) for row in json.loads(path.read_text())["rows"]]


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m auralink.bench.thin", description=__doc__)
    parser.add_argument("--clips", type=Path, help="folder of clips (default: the test kit)")
    parser.add_argument("--profile", default="hybrid")
    parser.add_argument("--out", type=Path, default=DEFAULT_OUT)
    given = parser.parse_args(sys.argv[1:] if arguments is None else arguments)
    try:
        rows = run(given.clips, profile=given.profile)
    except AuraLinkError as failed:
        print(f"error: {failed}", file=sys.stderr)
        return 1
    result = {
        "command": "python -m auralink.bench.thin",
        "machine": machine.describe(),
        "rows": [dataclasses.asdict(row) for row in rows],
    }
    given.out.parent.mkdir(parents=True, exist_ok=True)
    given.out.write_text(json.dumps(result, indent=1) + "\n")
    print(table(rows))
    return 0


if __name__ == "__main__":
    sys.exit(main())
