"""A folder of weights: finds them by id or name and hands them out only if they are whole."""

import hashlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from auralink.models.errors import DamagedModel, ModelError, RefusedModel, UnknownModel
from auralink.models.manifest import Entry, Precision, TensorSpec, read_manifest
from auralink.models.onnx_file import Port, read_facts

MAX_BYTES = 64 << 20  # the largest network planned is a tenth of it
BUNDLED = Path(__file__).with_name("weights")


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """Checked weights: `content` is what the manifest promises."""

    entry: Entry
    content: bytes = field(repr=False)


class Store:
    def __init__(self, folder: Path) -> None:
        """
        Raises:
            ManifestError: the folder has no readable manifest.
        """
        self._entries = read_manifest(folder)

    @classmethod
    def bundled(cls) -> Self:
        """The weights that come with the package."""
        return cls(BUNDLED)

    @property
    def entries(self) -> tuple[Entry, ...]:
        return self._entries

    def find(self, key: int | str, precision: Precision = "int8") -> Entry:
        """The entry of that id or name.

        Raises:
            UnknownModel: there is none.
        """
        for entry in self._entries:
            if key in (entry.id, entry.name) and entry.precision == precision:
                return entry
        known = ", ".join(f"{entry.label} (id {entry.id})" for entry in self._entries)
        raise UnknownModel(f"no model {key!r} in {precision}; there are: {known or 'none'}")

    def load(self, key: int | str, precision: Precision = "int8") -> Model:
        """Find and check.

        Raises:
            UnknownModel, DamagedModel, RefusedModel
        """
        return load(self.find(key, precision))


def load(entry: Entry) -> Model:
    """Read the weights of an entry and check size, hash, external data, inputs and outputs.

    Raises:
        DamagedModel: missing, truncated, or other bytes than the manifest's.
        RefusedModel: too large, external data, or other inputs, outputs or operators.
    """
    content = read_checked(entry.path, entry.sha256, entry.size_bytes)
    try:
        facts = read_facts(content)
        if facts.external:
            raise RefusedModel("its tensors lie in other files")
        if facts.opset != entry.opset:
            raise RefusedModel(f"operator set {facts.opset}, the manifest says {entry.opset}")
        _check_ports("inputs", facts.inputs, entry.inputs)
        _check_ports("outputs", facts.outputs, entry.outputs)
    except ModelError as exc:
        raise RefusedModel(f"{entry.file}: {exc}") from exc
    return Model(entry=entry, content=content)


def read_checked(path: Path, sha256: str, size_bytes: int | None = None) -> bytes:
    """The bytes of a file, if they are the promised ones.  Never reads more than `MAX_BYTES`.

    Raises:
        DamagedModel, RefusedModel
    """
    if size_bytes is not None and size_bytes > MAX_BYTES:
        raise RefusedModel(f"{path.name}: {size_bytes} bytes, at most {MAX_BYTES} are loaded")
    try:
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
    except OSError as exc:
        raise DamagedModel(f"{path.name}: cannot be read: {exc.strerror}") from exc
    if len(content) > MAX_BYTES:
        raise RefusedModel(f"{path.name}: more than {MAX_BYTES} bytes")
    if size_bytes is not None and len(content) != size_bytes:
        raise DamagedModel(f"{path.name}: {len(content)} bytes, expected {size_bytes}")
    if hashlib.sha256(content).hexdigest() != sha256:
        raise DamagedModel(f"{path.name}: its SHA-256 is not the manifest's")
    return content


def _check_ports(kind: str, found: tuple[Port, ...], expected: tuple[TensorSpec, ...]) -> None:
    have = [(port.name, port.dtype, port.shape) for port in found]
    want = [(spec.name, spec.dtype, spec.shape) for spec in expected]
    if have != want:
        raise RefusedModel(f"{kind} are {have}, expected {want}")
