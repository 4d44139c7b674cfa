"""Turns a training run into the codec that the package carries.

::

    python -m auralink.models.train.neural.export MATERIAL RUN

writes to ``models/weights``: the five graphs, the tables, the weights to train on from, the golden
stream, the training record, and the codec's part of the manifest.  The tables are counted here, by
runs of the averaged networks over training material.
"""

import argparse
import hashlib
import io
import json
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import numpy as np
import onnx
import torch

from auralink.codecs.frame import Frame
from auralink.codecs.neural import picture_code
from auralink.codecs.neural.model import Model
from auralink.codecs.neural.packing import padded
from auralink.models.codec_golden import GoldenStream, decode_stream, pack_stream
from auralink.models.codec_manifest import (
    GRAPHS,
    CodecEntry,
    File,
    GraphName,
    write_codecs,
)
from auralink.models.codec_runtime import OnnxCodec
from auralink.models.codec_store import CodecModel
from auralink.models.manifest import Golden, Precision
from auralink.models.store import BUNDLED
from auralink.models.train.golden_clip import golden_clip
from auralink.models.train.neural import calibrate, fit, graphs, losses, stored
from auralink.models.train.neural.graph_parts import OPSET
from auralink.models.train.neural.sampler import Material, Sampler
from auralink.models.train.neural.trainer import CHECKPOINT, Options, Progress
from auralink.models.train.neural.validate import validate

VERSION = "0.1.0"
LICENCE = "Apache-2.0"
IDS = {"neural-s": 16, "neural-m": 17}
# Grey levels, after a key and four frames predicted from each other: floats differ by rounding
# alone; in 8 bits an activation on the edge of a step may tip over.
TOLERANCE: dict[Precision, float] = {"fp32": 3.0, "int8": 8.0}
GOLDEN_LEVEL = 170
SAMPLES = 1_000_003  # seed of the crops that tables are counted on: no run draws them


def export(
    name: str, material: Material, run: Path, folder: Path, note: str = ""
) -> tuple[CodecEntry, ...]:
    nets, state = stored.averaged(run / CHECKPOINT)
    progress = Progress(**state)
    fitted = fit.fit(nets, Sampler(material, Options().size, SAMPLES))
    tables = _npz(fit.arrays(nets, fitted))
    shared = _Shared(name=name, folder=folder)
    shared.add(f"{name}.tables.npz", tables)
    shared.add(f"{name}.weights.npz", stored.packed(nets))
    floats = graphs.build(nets["intra"], nets["predict"])
    model = Model.from_bytes(tables)
    first = _model(shared, "fp32", floats, model)
    ranges = calibrate.ranges(first, floats, material)
    second = _model(shared, "int8", graphs.build(nets["intra"], nets["predict"], ranges), model)
    stream = _golden_stream(OnnxCodec(first))
    golden = pack_stream(
        stream,
        {m.entry.precision: decode_stream(OnnxCodec(m), stream) for m in (first, second)},
    )
    digest = shared.add(first.entry.golden.file, golden).sha256
    entries = tuple(
        replace(m.entry, golden=replace(m.entry.golden, sha256=digest)) for m in (first, second)
    )
    record = _record(name, nets, progress, material, fitted) | {"note": note}
    shared.add(first.entry.training_record, (json.dumps(record, indent=1) + "\n").encode())
    folder.mkdir(parents=True, exist_ok=True)  # only now: a failed export leaves what was there
    for file, content in shared.contents.items():
        (folder / file).write_bytes(content)
    write_codecs(folder, entries)
    return entries


@dataclass(frozen=True, slots=True, kw_only=True)
class _Shared:
    """What a codec's precisions have in common, and all files by name."""

    name: str
    folder: Path
    contents: dict[str, bytes] = field(default_factory=dict, repr=False)

    def add(self, name: str, content: bytes) -> File:
        self.contents[name] = content
        return self.file(name)

    def file(self, name: str) -> File:
        content = self.contents[name]
        digest = hashlib.sha256(content).hexdigest()
        return File(file=name, sha256=digest, size_bytes=len(content))


def _model(
    shared: _Shared,
    precision: Precision,
    built: dict[str, tuple[onnx.ModelProto, list[str]]],
    tables: Model,
) -> CodecModel:
    """The graphs of one precision, added to the files."""
    name = shared.name
    made: dict[GraphName, bytes] = {graph: built[graph][0].SerializeToString() for graph in GRAPHS}
    entry = CodecEntry(
        folder=shared.folder,
        name=name,
        id=IDS[name],
        version=VERSION,
        precision=precision,
        opset=OPSET,
        tables=shared.file(f"{name}.tables.npz"),
        weights=shared.file(f"{name}.weights.npz"),
        graphs={
            graph: shared.add(f"{name}.{precision}.{graph.replace('_', '-')}.onnx", content)
            for graph, content in made.items()
        },
        licence=LICENCE,
        training_record=f"{name}.training.json",
        golden=Golden(file=f"{name}.golden.npz", sha256="0" * 64, tolerance=TOLERANCE[precision]),
    )
    return CodecModel(entry=entry, tables=tables, graphs=made)


def _npz(arrays: dict[str, np.ndarray]) -> bytes:
    buffer = io.BytesIO()
    np.savez_compressed(buffer, allow_pickle=False, **arrays)
    return buffer.getvalue()


def _golden_stream(codec: OnnxCodec) -> GoldenStream:
    """The made-up clip of the restoration networks, coded: a key and predicted frames."""
    state, frames = None, []
    for at, luma in enumerate(golden_clip().base):
        picture = padded(_coloured(luma, at))
        if state is None:
            made = picture_code.encode_key(codec, picture, GOLDEN_LEVEL)
        else:
            made = picture_code.encode_delta(codec, picture, state, GOLDEN_LEVEL)
        state = made.state
        frames.append(made.payloads)
    height, width = luma.shape
    return GoldenStream(width=width, height=height, frames=tuple(frames))


def _coloured(luma: np.ndarray, at: int) -> Frame:
    half = luma[::2, ::2]
    u, v = (np.ascontiguousarray(128 + (half.astype(np.int16) - 110) // by) for by in (4, -5))
    return Frame(y=luma, u=u.astype(np.uint8), v=v.astype(np.uint8), pts_us=at)


def _record(
    name: str,
    nets: dict[str, torch.nn.Module],
    progress: Progress,
    material: Material,
    fitted: fit.Fitted,
) -> dict[str, object]:
    points = validate(nets["intra"], nets["predict"], material)
    return {
        "model": name,
        "version": VERSION,
        "shape": asdict(nets["intra"].prior.shape),
        "weights": {n: sum(p.numel() for p in net.parameters()) for n, net in nets.items()},
        "core_minutes": round(progress.seconds / 60, 1),
        "steps": progress.steps,
        "gigapixels": round(progress.pixels / 1e9, 3),
        "validation": {
            "what": "ideal code lengths and luma quality on unseen scenes, ten frames each",
            "clips": [entry.name for entry in material.validation()],
            "points": [asdict(point) for point in points],
        },
        "material": [entry.name for entry in material.training()],
        "loss": (
            f"bits and traded distortion: squared errors, {losses.SSIM_SHARE:g} of it 1 - SSIM"
        ),
        "tables": {
            "symbols_counted": int(
                sum(k.tables.counts.sum() for k in (fitted.intra, fitted.predict))
            )
        },
        "torch": torch.__version__,
        "curve": progress.curve,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("material", type=Path)
    parser.add_argument("run", type=Path)
    parser.add_argument("--name", choices=IDS, default="neural-s")
    parser.add_argument("--folder", type=Path, default=BUNDLED)
    parser.add_argument("--note", default="", help="goes into the training record")
    args = parser.parse_args()
    torch.set_num_threads(1)
    entries = export(args.name, Material(args.material), args.run, args.folder, args.note)
    for entry in entries:
        print(f"{entry.label}: {entry.size_bytes:,} bytes to run")


if __name__ == "__main__":
    main()
