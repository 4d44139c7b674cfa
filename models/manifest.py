"""The manifest: what each weights file is, kept as JSON beside it.

One entry per file; the same network in two precisions is two entries with one name and one id.
The id is what a stream's configuration carries: precision is the receiver's own choice.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias, TypeVar, get_args

from auralink.models.errors import ManifestError

FORMAT = 1
MANIFEST = "manifest.json"
MAX_MANIFEST_BYTES = 1 << 20
MAX_ID = 255  # one byte in the stream configuration; 0 means no model

Precision: TypeAlias = Literal["fp32", "int8"]
Dtype: TypeAlias = Literal["uint8", "float32"]

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True, kw_only=True)
class TensorSpec:
    """One input or output; a side given by name depends on the picture."""

    name: str
    dtype: Dtype
    shape: tuple[int | str, ...]
    low: float | None = None  # smallest and largest value a sound network gives
    high: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Golden:
    """Inputs and the outputs they must give, see `verify`."""

    file: str
    sha256: str
    tolerance: float  # largest difference of a sample, grey levels


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    folder: Path  # where the manifest was read; not part of the JSON
    name: str
    id: int
    version: str
    precision: Precision
    file: str
    sha256: str
    size_bytes: int
    opset: int
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    licence: str
    training_record: str
    golden: Golden

    @property
    def label(self) -> str:
        """Name and precision, as shown to people."""
        return f"{self.name}-{self.precision}"

    @property
    def path(self) -> Path:
        return self.folder / self.file

    @property
    def golden_path(self) -> Path:
        return self.folder / self.golden.file


def read_manifest(folder: Path) -> tuple[Entry, ...]:
    """The entries of ``folder/manifest.json``, in file order.

    Raises:
        ManifestError: it is missing, too large, no JSON, or a field is missing or wrong.
    """
    document = read_document(folder)
    entries = tuple(_entry(record, folder) for record in document.records("models"))
    _check_unique(entries)
    return entries


def read_document(folder: Path) -> "Record":
    """``folder/manifest.json``, of a format that this build reads.

    Raises:
        ManifestError: see `read_manifest`.
    """
    path = folder / MANIFEST
    try:
        with path.open("rb") as file:
            text = file.read(MAX_MANIFEST_BYTES + 1)
    except OSError as exc:
        raise ManifestError(f"{path.name}: cannot be read: {exc.strerror}") from exc
    if len(text) > MAX_MANIFEST_BYTES:
        raise ManifestError(f"{path.name}: larger than {MAX_MANIFEST_BYTES} bytes")
    try:
        document = Record(json.loads(text), path.name)
    except (ValueError, RecursionError) as exc:
        raise ManifestError(f"{path.name}: not valid JSON: {exc}") from exc
    if (found := document.get("format", int)) != FORMAT:
        raise ManifestError(f"{path.name}: format {found}, this build reads {FORMAT}")
    return document


class Record:
    """A JSON object that says which field of it is wrong."""

    def __init__(self, value: object, where: str) -> None:
        if not isinstance(value, dict):
            raise ManifestError(f"{where}: expected an object")
        self._fields: Mapping[str, object] = value
        self._where = where

    def get(self, key: str, kind: type[_T]) -> _T:
        value = self._fields.get(key)
        if not isinstance(value, kind) or isinstance(value, bool):
            raise ManifestError(f"{self._where}: {key} must be of type {kind.__name__}")
        return value

    def has(self, key: str) -> bool:
        return key in self._fields

    def number(self, key: str) -> float | None:
        value = self._fields.get(key)
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise ManifestError(f"{self._where}: {key} must be a number")
        return float(value)

    def file(self, key: str) -> str:
        """A plain file name: a manifest never points outside of its folder."""
        name = self.get(key, str)
        if not name or name.startswith(".") or not set(name).isdisjoint("/\\:\0"):
            raise ManifestError(f"{self._where}: {key} must be a plain file name, got {name!r}")
        return name

    def sha256(self, key: str) -> str:
        digest = self.get(key, str)
        if len(digest) != 64 or not set(digest) <= set("0123456789abcdef"):
            raise ManifestError(f"{self._where}: {key} must be 64 hexadecimal digits")
        return digest

    def precision(self, key: str) -> Precision:
        value = self.get(key, str)
        if value not in get_args(Precision):
            raise self.refuse(f"{key} must be fp32 or int8, got {value!r}")
        return "int8" if value == "int8" else "fp32"

    def golden(self, key: str) -> Golden:
        record = self.record(key)
        return Golden(
            file=record.file("file"),
            sha256=record.sha256("sha256"),
            tolerance=record.number("tolerance") or 0.0,
        )

    def record(self, key: str) -> "Record":
        return Record(self._fields.get(key), f"{self._where}: {key}")

    def records(self, key: str) -> Sequence["Record"]:
        values = self.get(key, list)
        return [Record(value, f"{self._where}: {key}[{i}]") for i, value in enumerate(values)]

    def refuse(self, why: str) -> ManifestError:
        return ManifestError(f"{self._where}: {why}")


def _entry(record: Record, folder: Path) -> Entry:
    number = record.get("id", int)
    if not 1 <= number <= MAX_ID:
        raise record.refuse(f"id must be from 1 to {MAX_ID}, got {number}")
    return Entry(
        folder=folder,
        name=record.get("name", str),
        id=number,
        version=record.get("version", str),
        precision=record.precision("precision"),
        file=record.file("file"),
        sha256=record.sha256("sha256"),
        size_bytes=record.get("size_bytes", int),
        opset=record.get("opset", int),
        inputs=tuple(_tensor(item) for item in record.records("inputs")),
        outputs=tuple(_tensor(item) for item in record.records("outputs")),
        licence=record.get("licence", str),
        training_record=record.file("training_record"),
        golden=record.golden("golden"),
    )


def _tensor(record: Record) -> TensorSpec:
    dtype = record.get("dtype", str)
    if dtype not in get_args(Dtype):
        raise record.refuse(f"dtype must be uint8 or float32, got {dtype!r}")
    shape = record.get("shape", list)
    if not all(isinstance(side, int | str) and not isinstance(side, bool) for side in shape):
        raise record.refuse("shape must hold whole numbers and names")
    return TensorSpec(
        name=record.get("name", str),
        dtype="uint8" if dtype == "uint8" else "float32",
        shape=tuple(shape),
        low=record.number("low"),
        high=record.number("high"),
    )


def _check_unique(entries: Sequence[Entry]) -> None:
    seen: set[tuple[str | int, Precision]] = set()
    for entry in entries:
        for key in ((entry.name, entry.precision), (entry.id, entry.precision)):
            if key in seen:
                raise ManifestError(f"{MANIFEST}: {entry.label} (id {entry.id}) is there twice")
            seen.add(key)
