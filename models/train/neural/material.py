"""Makes the training material: clips, stills and drawn screens as memory-mapped arrays.

::

    python -m auralink.models.train.neural.material ../shared/data out/train-neural/material

``KIT`` is the data kit.  Only its ``video/train`` and ``images/train`` are read, never a test
clip.  Screens are drawn by the kit's own generator from seeds that no clip of the kit has.  Each
entry becomes ``NAME.npy``, ``uint8 (frames, height * 3 / 2, width)``: luma, then U beside V; sides
are cut to multiples of 16.  Entries that are there already are kept.
"""

import argparse
import importlib.util
import json
import random
import sys
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from types import ModuleType

import av
import numpy as np
import numpy.typing as npt

from auralink.codecs.frame import Plane

INDEX = "index.json"
FRAMES = 48  # of a drawn screen
SCREENS = 84  # twelve of each of the seven scenes
FIRST_SEED = 50_000  # the kit's own screens are 100-113 and 9001-9003
SIZES = ((640, 352), (480, 272), (320, 240))
LONG_SIDE, SHORT_SIDE = 640, 160  # stills are scaled to lie between


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    name: str
    category: str  # of the kit's manifest; "image" for stills, "drawn" for generated screens
    frames: int
    height: int
    width: int


def join_planes(y: Plane, u: Plane, v: Plane) -> Plane:
    """One array of a picture: luma above, U and V side by side below."""
    height, width = (side // 16 * 16 for side in y.shape)
    chroma = [plane[: height // 2, : width // 2] for plane in (u, v)]
    return np.concatenate([y[:height, :width], np.concatenate(chroma, 1)])


def crop(joined: npt.NDArray[np.uint8], top: int, left: int, size: int) -> tuple[Plane, Plane]:
    """A square of a joined picture: luma and ``(2, size / 2, size / 2)`` chroma; even corner."""
    height, width = joined.shape[0] * 2 // 3, joined.shape[1]
    rows = slice(height + top // 2, height + (top + size) // 2)
    columns = [slice(left // 2 + at, (left + size) // 2 + at) for at in (0, width // 2)]
    luma = joined[top : top + size, left : left + size]
    return luma, np.stack([joined[rows, column] for column in columns])


def read_index(folder: Path) -> list[Entry]:
    return [Entry(**record) for record in json.loads((folder / INDEX).read_text())]


def prepare(kit: Path, folder: Path, screens: int = SCREENS) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    manifest = json.loads((kit / "manifest.json").read_text())
    entries = []
    for record in manifest["video"]:
        if record["file"].startswith("video/train/"):
            path = kit / record["file"]
            entries.append(_store(folder, path.stem, record["category"], _clip(path)))
    for number, record in enumerate(manifest["images"]):
        if record["file"].startswith("images/train/"):
            entries.append(
                _store(folder, f"image_{number:03d}", "image", _still(kit / record["file"]))
            )
    generator = _load(kit / "tools" / "make_screen.py")
    photos = sorted((kit / "images" / "train").glob("clothing*.jp*g"))
    for seed in range(FIRST_SEED, FIRST_SEED + screens):
        frames = _screen(generator, seed, photos)
        entries.append(_store(folder, f"drawn_{seed}", "drawn", frames))
    records = [asdict(entry) for entry in entries]
    (folder / INDEX).write_text(json.dumps(records, indent=1))


def _store(folder: Path, name: str, category: str, frames: Iterable[Plane]) -> Entry:
    path = folder / f"{name}.npy"
    if not path.exists():
        whole = path.with_suffix(".part.npy")
        np.save(whole, np.stack(list(frames)))
        whole.rename(path)
    count, rows, width = np.load(path, mmap_mode="r").shape
    return Entry(name=name, category=category, frames=count, height=rows * 2 // 3, width=width)


def _planes(frame: av.VideoFrame) -> Plane:
    planes = []
    for plane in frame.planes:
        whole = np.frombuffer(plane, np.uint8).reshape(-1, plane.line_size)
        planes.append(whole[: plane.height, : plane.width])
    return join_planes(*planes)


def _clip(path: Path) -> Iterator[Plane]:
    with av.open(str(path)) as container:
        for frame in container.decode(video=0):
            yield _planes(frame.reformat(format="yuv420p"))


def _still(path: Path) -> Iterator[Plane]:
    with av.open(str(path)) as container:
        frame = next(container.decode(video=0))
        sides = frame.width, frame.height
        scale = max(SHORT_SIDE / min(sides), min(1.0, LONG_SIDE / max(sides)))
        width, height = (int(side * scale) // 16 * 16 for side in sides)
        yield _planes(
            frame.reformat(width=width, height=height, format="yuv420p", dst_color_range="MPEG")
        )


def _screen(generator: ModuleType, seed: int, photos: list[Path]) -> Iterator[Plane]:
    width, height = random.Random(seed).choice(SIZES)
    for rgb in generator.sequence(seed, width, height, FRAMES, photos=photos):
        yield join_planes(*generator.kit_io.rgb_to_yuv420(rgb))


def _load(path: Path) -> ModuleType:
    """The kit's generator: a script beside the kit, not a package."""
    sys.path.insert(0, str(path.parent))
    try:
        spec = importlib.util.spec_from_file_location(path.stem, path)
        if spec is None or spec.loader is None:
            raise FileNotFoundError(path)
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
    finally:
        sys.path.remove(str(path.parent))
    return module


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("kit", type=Path, help="folder of the data kit")
    parser.add_argument("material", type=Path, help="folder to write")
    args = parser.parse_args()
    prepare(args.kit, args.material)


if __name__ == "__main__":
    main()
