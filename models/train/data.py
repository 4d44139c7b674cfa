"""Makes the training material: every clip of a folder, coded small at several qualities.

::

    python -m auralink.models.train.data FOLDER runs/material

``FOLDER`` holds the training clips only; nothing a benchmark measures belongs there.  Each clip
becomes one ``.npy`` of luma, ``uint8 (1 + codings, frames, height, width)``: the source, then each
coding upscaled to the source's size, sides cut to multiples of 4; and one ``.json`` that says what
each coding is.  Clips that are there already are kept.  A clip has a process of its own: FFmpeg's
log callback, which the header tracer needs, now and then meets an encoder thread and hangs.
"""

import argparse
import json
import random
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np

from auralink.models.train.coding import Clip, code, load, luma_of

CLIP_TIMEOUT_S = 120
ATTEMPTS = 3
SMALLEST_SIDE = 128
FEWEST_FRAMES = 12
# A sender goes below full size only when CRF 63 there is still too dear, so the small sizes are
# used from about CRF 40 up; the finer ones teach the network to leave good pictures alone.
QUALITIES = {
    Fraction(1, 2): (36, 42, 47, 51, 55, 59, 63),
    Fraction(2, 3): (42, 47, 51, 55, 59, 63),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Coding:
    scale: float  # base height over picture height
    crf: int
    quantizer: list[int]  # base_q_idx of each frame
    reference: list[bool]


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One clip of the material; coding `i` is array row ``i + 1``."""

    name: str
    frames: int
    height: int
    width: int
    codings: list[Coding]


def prepare(clip: Clip, folder: Path) -> None:
    """Code one clip and store it, unless it is too small or too short to learn from."""
    chance = random.Random(clip.name)
    width, height = (side & ~3 for side in clip.size)
    if min(width, height) < SMALLEST_SIDE or len(clip.frames) < FEWEST_FRAMES:
        return
    per_scale = 1 if clip.name.startswith(("screen_", "ui_")) else 3
    rows, codings = [luma_of(clip.frames)], []
    for scale, qualities in QUALITIES.items():
        for crf in chance.sample(qualities, per_scale):
            coded = code(clip, scale, crf)
            rows.append(coded.luma)
            codings.append(
                Coding(
                    scale=float(scale),
                    crf=crf,
                    quantizer=coded.quantizer,
                    reference=coded.reference,
                )
            )
    np.save(folder / f"{clip.name}.npy", np.stack([row[:, :height, :width] for row in rows]))
    entry = Entry(
        name=clip.name, frames=len(clip.frames), height=height, width=width, codings=codings
    )
    (folder / f"{clip.name}.json").write_text(json.dumps(asdict(entry)))


def read_index(folder: Path) -> list[Entry]:
    """Entries of a prepared folder, by name."""
    records = [json.loads(path.read_text()) for path in sorted(folder.glob("*.json"))]
    return [
        Entry(**{**record, "codings": [Coding(**coding) for coding in record["codings"]]})
        for record in records
    ]


def prepare_all(paths: list[Path], folder: Path, jobs: int) -> None:
    """Code what is not there yet, `jobs` clips at a time."""
    missing = [path for path in paths if not (folder / f"{path.stem}.json").exists()]
    with ThreadPoolExecutor(jobs) as pool:
        for done, line in enumerate(pool.map(lambda path: _in_a_process(path, folder), missing)):
            print(f"{done + 1}/{len(missing)} {line}", flush=True)


def _in_a_process(path: Path, folder: Path) -> str:
    command = [sys.executable, "-m", "auralink.models.train.data", str(path), str(folder)]
    failures = []
    for _ in range(ATTEMPTS):
        try:
            subprocess.run(command, check=True, timeout=CLIP_TIMEOUT_S)
            break
        except subprocess.SubprocessError as error:
            failures.append(type(error).__name__)
    return " ".join([path.name, *failures])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("clips", type=Path, help="folder of training clips, or one clip")
    parser.add_argument("material", type=Path, help="folder to write")
    parser.add_argument("--jobs", type=int, default=1, help="clips at a time")
    args = parser.parse_args()
    args.material.mkdir(parents=True, exist_ok=True)
    if args.clips.is_file():
        prepare(load(args.clips), args.material)
        return
    paths = sorted(args.clips.glob("*.mp4"))
    random.Random(1).shuffle(paths)  # a stopped run leaves a mixed set
    prepare_all(paths, args.material, args.jobs)


if __name__ == "__main__":
    main()
