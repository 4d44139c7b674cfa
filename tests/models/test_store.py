import hashlib
import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import onnx
import pytest
from onnx import TensorProto

from auralink.codecs.errors import AuraLinkError
from auralink.models.errors import (
    DamagedModel,
    ManifestError,
    ModelError,
    RefusedModel,
    UnknownModel,
)
from auralink.models.manifest import MANIFEST, MAX_MANIFEST_BYTES, Entry
from auralink.models.store import MAX_BYTES, Store, load, read_checked

Edit = Callable[[Callable[[dict[str, Any]], object]], Store]


def swap_weights(folder: Path, edit: Edit, content: bytes) -> Entry:
    """Install other weights with a manifest that vouches for them."""

    def vouch(document: dict[str, Any]) -> None:
        document["models"][0] |= {
            "size_bytes": len(content),
            "sha256": hashlib.sha256(content).hexdigest(),
        }

    entry = edit(vouch).entries[0]
    entry.path.write_bytes(content)
    return entry


def test_bundled_weights_are_whole(store: Store) -> None:
    labels = [entry.label for entry in store.entries]

    assert labels == ["restore-s-fp32", "restore-s-int8"]
    for entry in store.entries:
        assert len(load(entry).content) == entry.size_bytes
        assert (entry.folder / entry.training_record).is_file()
        assert entry.licence == "Apache-2.0"


def test_finds_by_id_and_by_name(store: Store) -> None:
    assert store.find(1) is store.find("restore-s")
    assert store.find(1, "fp32").precision == "fp32"


@pytest.mark.parametrize("key", [0, 2, 255, "restore", ""])
def test_unknown_model_names_what_there_is(store: Store, key: int | str) -> None:
    with pytest.raises(UnknownModel, match="restore-s-int8 \\(id 1\\)"):
        store.find(key)


def test_every_mutated_weights_file_is_rejected(folder: Path) -> None:
    entry = Store(folder).find(1)
    content = entry.path.read_bytes()
    chance = random.Random(7)

    for index in range(240):
        if index % 3:
            at, bit = chance.randrange(len(content)), 1 << chance.randrange(8)
            mutated = content[:at] + bytes([content[at] ^ bit]) + content[at + 1 :]
        else:
            mutated = content[: chance.randrange(len(content))]
        entry.path.write_bytes(mutated)

        with pytest.raises(DamagedModel):
            load(entry)


def test_even_vouched_for_mutations_never_raise_anything_but_model_errors(
    folder: Path, edit: Edit
) -> None:
    entry = Store(folder).entries[0]
    content = entry.path.read_bytes()
    chance = random.Random(8)
    refused = 0

    for _ in range(120):
        at = chance.randrange(len(content) - 400, len(content))  # inputs and outputs are last
        mutated = content[:at] + bytes([chance.randrange(256)]) + content[at + 1 :]
        vouched = swap_weights(folder, edit, mutated)
        try:
            load(vouched)
        except RefusedModel:
            refused += 1

    assert refused > 40


def test_missing_file_is_damage(folder: Path) -> None:
    entry = Store(folder).entries[0]
    entry.path.unlink()

    with pytest.raises(DamagedModel, match="cannot be read"):
        load(entry)


def test_oversize_is_refused_before_it_is_read(folder: Path, edit: Edit) -> None:
    def enlarge(document: dict[str, Any]) -> None:
        document["models"][0]["size_bytes"] = MAX_BYTES + 1

    with pytest.raises(RefusedModel, match="at most"):
        load(edit(enlarge).entries[0])


def test_a_file_larger_than_the_bound_is_not_read_whole(folder: Path) -> None:
    path = folder / "endless.npz"
    with path.open("wb") as file:
        file.truncate(MAX_BYTES + 1)  # sparse

    with pytest.raises(RefusedModel, match="more than"):
        read_checked(path, "0" * 64)


@pytest.mark.parametrize("where", ["initializer", "attribute"])
def test_external_data_is_refused(folder: Path, edit: Edit, where: str) -> None:
    model = onnx.load_from_string(Store(folder).entries[0].path.read_bytes())
    tensor = model.graph.initializer[0]
    if where == "attribute":
        tensor = model.graph.node.add(op_type="Constant").attribute.add(name="value").t
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="secrets.bin")

    entry = swap_weights(folder, edit, model.SerializeToString())

    with pytest.raises(RefusedModel, match="other files"):
        load(entry)


def test_other_inputs_are_refused(folder: Path, edit: Edit) -> None:
    model = onnx.load_from_string(Store(folder).entries[0].path.read_bytes())
    model.graph.input[0].name = "picture"

    entry = swap_weights(folder, edit, model.SerializeToString())

    with pytest.raises(RefusedModel, match="inputs are"):
        load(entry)


def test_another_operator_set_is_refused(folder: Path, edit: Edit) -> None:
    def change(document: dict[str, Any]) -> None:
        document["models"][0]["opset"] = 18

    with pytest.raises(RefusedModel, match="operator set 17"):
        load(edit(change).entries[0])


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("id", 0),
        ("id", 256),
        ("id", True),
        ("id", "1"),
        ("precision", "fp16"),
        ("file", "../weights.onnx"),
        ("file", "/etc/passwd"),
        ("file", ""),
        ("sha256", "abc"),
        ("sha256", None),
        ("inputs", "current"),
        ("inputs", [{"name": "current", "dtype": "int32", "shape": [1]}]),
        ("inputs", [{"name": "current", "dtype": "uint8", "shape": [1.5]}]),
        ("outputs", [{"name": "x", "dtype": "uint8", "shape": [1], "low": "-1"}]),
        ("golden", []),
    ],
)
def test_a_wrong_manifest_field_is_named(
    folder: Path, edit: Edit, field: str, value: object
) -> None:
    def change(document: dict[str, Any]) -> None:
        document["models"][0][field] = value

    with pytest.raises(ManifestError, match=field):
        edit(change)


def test_the_same_model_twice_is_an_error(folder: Path, edit: Edit) -> None:
    with pytest.raises(ManifestError, match="twice"):
        edit(lambda document: document["models"].append(document["models"][0]))


def test_unreadable_manifests_are_manifest_errors(folder: Path) -> None:
    path = folder / MANIFEST
    for content in (b"", b"[]", b"{", b"\xff", b'{"format": 2}', b"[" * 100_000):
        path.write_bytes(content)
        with pytest.raises(ManifestError):
            Store(folder)
    path.write_bytes(b" " * (MAX_MANIFEST_BYTES + 1))
    with pytest.raises(ManifestError, match="larger"):
        Store(folder)
    path.unlink()
    with pytest.raises(ManifestError, match="cannot be read"):
        Store(folder)


def test_mutated_manifests_never_raise_anything_else(folder: Path) -> None:
    path = folder / MANIFEST
    content = path.read_bytes()
    chance = random.Random(9)

    for _ in range(300):
        at = chance.randrange(len(content))
        path.write_bytes(content[:at] + bytes([chance.randrange(256)]) + content[at + 1 :])
        try:
            for entry in Store(folder).entries:
                load(entry)
        except ModelError:
            continue


def test_model_errors_are_auralink_errors() -> None:
    assert issubclass(ModelError, AuraLinkError)


def test_the_training_record_names_no_test_clip(store: Store) -> None:
    entry = store.find(1)
    record = json.loads((entry.folder / entry.training_record).read_text())
    trained, unseen = record["material"]["clips"], record["validation"]["clips"]

    assert len(trained) > 50
    assert not set(trained) & set(unseen)
    assert not any("foreman" in name or "akiyo" in name for name in trained + unseen)
