"""Turns a training run into the weights that the package carries.

::

    python -m auralink.models.train.export_restore runs/material runs/restore-s

writes to ``models/weights``: the graph in floats and in 8 bits, the golden vectors, the training
record and the manifest.  The validation figures of the record are measured on the written files
through `OnnxNetworks`, not on the network that was trained.
"""

import argparse
import hashlib
import json
from dataclasses import asdict, replace
from pathlib import Path

import onnx

from auralink.models.golden import Expected, pack, run_clip
from auralink.models.manifest import (
    FORMAT,
    MANIFEST,
    Entry,
    Golden,
    Precision,
    TensorSpec,
)
from auralink.models.runtime import OnnxNetworks
from auralink.models.store import BUNDLED, Model
from auralink.models.train import coding, losses
from auralink.models.train.calibrate import activation_ranges
from auralink.models.train.data import QUANTIZERS, STRENGTHS
from auralink.models.train.golden_clip import golden_clip
from auralink.models.train.graph import OPSET, RestoreGraph
from auralink.models.train.nets import SPAN, Restore
from auralink.models.train.sampler import Material
from auralink.models.train.train_restore import Progress, load_network
from auralink.models.train.validate import RuntimeRestorer, validate

NAME, ID, VERSION = "restore-s", 1, "1.0.0"
LICENCE = "Apache-2.0"
# Grey levels.  Float graphs differ by rounding alone; in 8 bits an activation on the edge of a step
# may tip over, and a few in sum move a sample by a level or two.
TOLERANCE: dict[Precision, float] = {"fp32": 1.0, "int8": 3.0}
VALIDATION_FRAMES = 64


def export(material: Material, run: Path, folder: Path, note: str = "") -> None:
    net, progress = load_network(run)
    graphs = _graphs(net, material)
    entries = [_entry(net, precision, graph, folder) for precision, graph in graphs.items()]
    models = [
        Model(entry=entry, content=graphs[entry.precision].SerializeToString()) for entry in entries
    ]
    clip = golden_clip()
    expected: dict[Precision, Expected] = {
        model.entry.precision: run_clip(OnnxNetworks(model), clip) for model in models
    }
    golden = pack(clip, expected)
    digest = hashlib.sha256(golden).hexdigest()
    entries = [replace(e, golden=replace(e.golden, sha256=digest)) for e in entries]
    record = _record(net, progress, material, models) | {"note": note}
    folder.mkdir(parents=True, exist_ok=True)  # only now: a failed export leaves what was there
    for model in models:
        model.entry.path.write_bytes(model.content)
    entries[0].golden_path.write_bytes(golden)
    _write_json(folder / entries[0].training_record, record)
    _write_json(
        folder / MANIFEST, {"format": FORMAT, "models": [_as_json(entry) for entry in entries]}
    )


def _graphs(net: Restore, material: Material) -> dict[Precision, onnx.ModelProto]:
    builder = RestoreGraph(net)
    floats = builder.build()
    ranges = activation_ranges(floats, builder.ranged, material)
    return {"fp32": floats, "int8": RestoreGraph(net, ranges).build()}


def _entry(net: Restore, precision: Precision, graph: onnx.ModelProto, folder: Path) -> Entry:
    content = graph.SerializeToString()
    plane = (1, 1, "height", "width")
    state = (1, net.shape.hidden, "rows", "columns")
    limit = SPAN * 1.02  # the 8-bit state reaches 128 / 127 of the span
    return Entry(
        folder=folder,
        name=NAME,
        id=ID,
        version=VERSION,
        precision=precision,
        file=f"{NAME}.{precision}.onnx",
        sha256=hashlib.sha256(content).hexdigest(),
        size_bytes=len(content),
        opset=OPSET,
        inputs=(
            TensorSpec(name="current", dtype="uint8", shape=plane),
            TensorSpec(name="previous_output", dtype="uint8", shape=plane),
            TensorSpec(name="hidden", dtype="float32", shape=state, low=-limit, high=limit),
            TensorSpec(name="side", dtype="float32", shape=(1, 3)),
        ),
        outputs=(
            TensorSpec(name="output", dtype="uint8", shape=plane),
            TensorSpec(name="next_hidden", dtype="float32", shape=state, low=-limit, high=limit),
        ),
        licence=LICENCE,
        training_record=f"{NAME}.training.json",
        golden=Golden(file=f"{NAME}.golden.npz", sha256="0" * 64, tolerance=TOLERANCE[precision]),
    )


def _record(
    net: Restore, progress: Progress, material: Material, models: list[Model]
) -> dict[str, object]:
    gains = {
        model.entry.precision: [
            asdict(gain)
            for gain in validate(RuntimeRestorer(OnnxNetworks(model)), material, VALIDATION_FRAMES)
        ]
        for model in models
    }
    return {
        "model": NAME,
        "version": VERSION,
        "shape": asdict(net.shape),
        "multiplications_per_pixel": net.shape.macs_per_pixel,
        "minutes": round(progress.seconds / 60, 1),
        "steps": progress.steps,
        "gigapixels": round(progress.pixels / 1e9, 3),
        "validation": {
            "what": "gain over Lanczos upscaling, dB of 1 - SSIM and PSNR; luma, unseen scenes",
            "clips": [entry.name for entry in material.validation()],
            "frames": VALIDATION_FRAMES,
            "gains": gains,
        },
        "material": {
            "coder": f"our base encoder, SVT-AV1 preset {coding.PRESET}, 3 quantizers per scale",
            "quantizers": {f"{scale:.3f}": values for scale, values in QUANTIZERS.items()},
            "strengths": STRENGTHS,
            "scaling": "Lanczos both ways",
            "frames_per_clip": coding.FRAME_LIMIT,
            "clips": [entry.name for entry in material.training()],
        },
        "loss": f"(1 - SSIM) and {losses.MSE_WEIGHT} MSE, each relative to the base crop",
        "curve": progress.curve,
    }


def _as_json(entry: Entry) -> dict[str, object]:
    fields = asdict(entry)
    del fields["folder"]
    for kind in ("inputs", "outputs"):
        fields[kind] = [
            {key: value for key, value in tensor.items() if value is not None}
            for tensor in fields[kind]
        ]
    return fields


def _write_json(path: Path, content: object) -> None:
    path.write_text(json.dumps(content, indent=1) + "\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("material", type=Path)
    parser.add_argument("run", type=Path)
    parser.add_argument("--folder", type=Path, default=BUNDLED)
    parser.add_argument("--note", default="", help="goes into the training record")
    args = parser.parse_args()
    export(Material(args.material), args.run, args.folder, args.note)


if __name__ == "__main__":
    main()
