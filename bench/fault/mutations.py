"""Model files that must not serve: every kind of damage, made from good ones by chance.

Some are caught by their hash.  For the others the manifest vouches for the damaged file, so that
only what it says, or what it computes, can give it away.
"""

import hashlib
import random
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Final

import numpy as np
import onnx
from onnx import TensorProto, numpy_helper

from auralink.models.manifest import Entry
from auralink.models.store import BUNDLED, MAX_BYTES, Store

Mutation = Callable[[Entry, random.Random], Entry]


def bundled(folder: Path) -> Entry:
    """A private copy of the bundled weights; the entry of the 32-bit network."""
    for path in BUNDLED.iterdir():
        if path.is_file():
            shutil.copy(path, folder)
    return Store(folder).find("restore-s", "fp32")


def missing(entry: Entry, chance: random.Random) -> Entry:
    return replace(entry, file=f"{chance.getrandbits(32):08x}.onnx")


def truncated(entry: Entry, chance: random.Random) -> Entry:
    content = entry.path.read_bytes()
    return _written(entry, content[: chance.randrange(len(content))])


def truncated_and_vouched(entry: Entry, chance: random.Random) -> Entry:
    content = entry.path.read_bytes()
    return _vouched(entry, content[: chance.randrange(len(content))])


def bits_flipped(entry: Entry, chance: random.Random) -> Entry:
    content = bytearray(entry.path.read_bytes())
    for _ in range(chance.randint(1, 4)):
        content[chance.randrange(len(content))] ^= 1 << chance.randrange(8)
    return _written(entry, bytes(content))


def noise_appended(entry: Entry, chance: random.Random) -> Entry:
    return _written(entry, entry.path.read_bytes() + chance.randbytes(chance.randint(1, 99)))


def other_operators(entry: Entry, chance: random.Random) -> Entry:
    model = _model(entry)
    model.opset_import[0].version = chance.choice([1, 9, 16, 18, 23, 1_000])
    return _vouched(entry, model.SerializeToString())


def other_ports(entry: Entry, chance: random.Random) -> Entry:
    model = _model(entry)
    port = chance.choice([*model.graph.input, *model.graph.output])
    match chance.randrange(3):
        case 0:
            port.name += "x"
        case 1:
            port.type.tensor_type.elem_type = TensorProto.DOUBLE
        case _:
            port.type.tensor_type.shape.dim[1].dim_value = 99
    return _vouched(entry, model.SerializeToString())


def data_elsewhere(entry: Entry, chance: random.Random) -> Entry:
    model = _model(entry)
    tensor = chance.choice(model.graph.initializer)
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    where = chance.choice(["../../../etc/passwd", "/etc/passwd", "weights.bin", "../x/../y"])
    tensor.external_data.add(key="location", value=where)
    return _vouched(entry, model.SerializeToString())


def too_large(entry: Entry, chance: random.Random) -> Entry:
    path = entry.folder / "bomb.onnx"
    with path.open("wb") as file:
        file.truncate(chance.choice([MAX_BYTES + 1, 10 << 30]))  # sparse
    said = path.stat().st_size if chance.random() < 0.9 else entry.size_bytes
    return replace(entry, file=path.name, size_bytes=said)


def other_weights(entry: Entry, chance: random.Random) -> Entry:
    """Whole, well-formed, taken by ONNX Runtime, and wrong."""
    model = _model(entry)
    large = [t for t in model.graph.initializer if np.prod(t.dims) >= 64 and t.data_type == 1]
    tensor = chance.choice(large)
    values = numpy_helper.to_array(tensor).copy()
    rng = np.random.default_rng(chance.getrandbits(32))
    values = rng.normal(0, 1, values.shape).astype(np.float32)
    tensor.CopyFrom(numpy_helper.from_array(values, tensor.name))
    return _vouched(entry, model.SerializeToString())


def weights_not_a_number(entry: Entry, chance: random.Random) -> Entry:
    model = _model(entry)
    large = [t for t in model.graph.initializer if np.prod(t.dims) >= 64 and t.data_type == 1]
    tensor = chance.choice(large)
    values = numpy_helper.to_array(tensor).copy()
    values.flat[chance.randrange(values.size)] = np.nan
    tensor.CopyFrom(numpy_helper.from_array(values, tensor.name))
    return _vouched(entry, model.SerializeToString())


def golden_damaged(entry: Entry, chance: random.Random) -> Entry:
    content = bytearray(entry.golden_path.read_bytes())
    content[chance.randrange(len(content))] ^= 1 << chance.randrange(8)
    path = entry.folder / "other.npz"
    path.write_bytes(content)
    return replace(entry, golden=replace(entry.golden, file=path.name))


ALL: Final[tuple[Mutation, ...]] = (
    missing,
    truncated,
    truncated_and_vouched,
    bits_flipped,
    noise_appended,
    other_operators,
    other_ports,
    data_elsewhere,
    too_large,
    other_weights,
    weights_not_a_number,
    golden_damaged,
)


def _model(entry: Entry) -> onnx.ModelProto:
    return onnx.load_from_string(entry.path.read_bytes())


def _written(entry: Entry, content: bytes) -> Entry:
    """Other bytes, the old promise."""
    path = entry.folder / "mutated.onnx"
    path.write_bytes(content)
    return replace(entry, file=path.name)


def _vouched(entry: Entry, content: bytes) -> Entry:
    """Other bytes, and a manifest that says so."""
    return replace(
        _written(entry, content),
        size_bytes=len(content),
        sha256=hashlib.sha256(content).hexdigest(),
    )
