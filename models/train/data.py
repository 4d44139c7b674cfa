"""Makes the training material: every clip of a folder, coded small at several qualities.

::

    python -m auralink.models.train.data FOLDER runs/material

``FOLDER`` holds the training clips only; nothing a benchmark measures belongs there.  Each clip
becomes one ``.npy`` of luma, ``uint8 (1 + codings, frames, height, width)``: the source, then each
coding upscaled to the source's size, sides cut to multiples of 4; and one ``.json`` that says what
each coding is.  Clips that are there already are kept.
"""

import argparse
import json
import multiprocessing
import random
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from auralink.models.train.coding import Clip, Quality, code, load

SMALLEST_SIDE = 128
FEWEST_FRAMES = 12
SCREENS = ("screen_", "ui_")
CODINGS = 3  # of each clip at each scale; one of a screen
# A sender goes below full size only when the coarsest quantizer there is still too dear, and then
# codes the small size with about the same one: the coarse end counts.  The finer ones teach the
# network to leave good pictures alone.
QUANTIZERS = {0.5: (38, 44, 50, 55, 58, 61, 63), 2 / 3: (44, 50, 55, 58, 61, 63)}
STRENGTHS = (1.0, 1.0, 0.6, 0.3, 0.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Coding:
    scale: float  # base height over picture height
    top: int  # quantizer of the top layer, 1..63
    strength: float  # of the layer offsets
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
    screen = clip.name.startswith(SCREENS)
    rows, codings = [np.stack([frame.y for frame in clip.frames])], []
    for scale, quantizers in QUANTIZERS.items():
        for top in chance.sample(quantizers, 1 if screen else CODINGS):
            quality = Quality(quantizer=top, strength=chance.choice(STRENGTHS))
            coded = code(clip, scale, quality, screen=screen)
            rows.append(coded.luma)
            codings.append(
                Coding(
                    scale=scale,
                    top=top,
                    strength=quality.strength,
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
    with ProcessPoolExecutor(jobs, multiprocessing.get_context("spawn")) as pool:
        running = {pool.submit(_load_and_prepare, path, folder): path for path in missing}
        for done, future in enumerate(as_completed(running), 1):
            error = future.exception()
            print(f"{done}/{len(missing)} {running[future].name} {error or ''}", flush=True)


def _load_and_prepare(path: Path, folder: Path) -> None:
    prepare(load(path), folder)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("clips", type=Path, help="folder of training clips, or one clip")
    parser.add_argument("material", type=Path, help="folder to write")
    parser.add_argument("--jobs", type=int, default=1, help="clips at a time")
    args = parser.parse_args()
    args.material.mkdir(parents=True, exist_ok=True)
    if args.clips.is_file():
        _load_and_prepare(args.clips, args.material)
        return
    paths = sorted(args.clips.glob("*.mp4"))
    random.Random(1).shuffle(paths)  # a stopped run leaves a mixed set
    prepare_all(paths, args.material, args.jobs)


if __name__ == "__main__":
    main()
