"""Entries of the manifest for learned codecs: several graphs and the tables that belong to them.

They stand under ``codecs`` in the same ``manifest.json`` as the networks of a single file.  The
tables decide whether a packet can be read at all, so every precision of a codec has the same ones.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, Literal, TypeAlias, get_args

from auralink.models.errors import ManifestError
from auralink.models.manifest import (
    FORMAT,
    MANIFEST,
    MAX_ID,
    Golden,
    Precision,
    Record,
    read_document,
)

GraphName: TypeAlias = Literal[
    "key_analysis", "key_synthesis", "delta_context", "delta_analysis", "delta_synthesis"
]
GRAPHS: Final[tuple[GraphName, ...]] = get_args(GraphName)


@dataclass(frozen=True, slots=True, kw_only=True)
class File:
    """A file beside the manifest."""

    file: str
    sha256: str
    size_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class CodecEntry:
    folder: Path  # where the manifest was read; not part of the JSON
    name: str
    id: int
    version: str
    precision: Precision
    opset: int
    tables: File
    weights: File  # to train on from, never to run
    graphs: Mapping[GraphName, File]
    licence: str
    training_record: str
    golden: Golden

    @property
    def label(self) -> str:
        """Name and precision, as shown to people."""
        return f"{self.name}-{self.precision}"

    @property
    def size_bytes(self) -> int:
        """Of all that running it reads."""
        return self.tables.size_bytes + sum(file.size_bytes for file in self.graphs.values())

    def path(self, file: File) -> Path:
        return self.folder / file.file

    @property
    def golden_path(self) -> Path:
        return self.folder / self.golden.file


def read_codecs(folder: Path) -> tuple[CodecEntry, ...]:
    """The codecs of ``folder/manifest.json``, in file order; none if it names none.

    Raises:
        ManifestError: see `read_manifest`.
    """
    document = read_document(folder)
    if not document.has("codecs"):
        return ()
    entries = tuple(_entry(record, folder) for record in document.records("codecs"))
    seen = set()
    for entry in entries:
        for key in ((entry.name, entry.precision), (entry.id, entry.precision)):
            if key in seen:
                raise ManifestError(f"{MANIFEST}: {entry.label} (id {entry.id}) is there twice")
            seen.add(key)
    return entries


def write_codecs(folder: Path, entries: tuple[CodecEntry, ...]) -> None:
    """Put the entries into the manifest in place of those with their names."""
    path = folder / MANIFEST
    document: dict[str, Any] = {"format": FORMAT, "models": []}
    if path.exists():
        document = json.loads(path.read_text())
    names = {entry.name for entry in entries}
    kept = [record for record in document.get("codecs", []) if record["name"] not in names]
    document["codecs"] = kept + [_as_json(entry) for entry in entries]
    path.write_text(json.dumps(document, indent=1) + "\n")


def _entry(record: Record, folder: Path) -> CodecEntry:
    number = record.get("id", int)
    if not 1 <= number <= MAX_ID:
        raise record.refuse(f"id must be from 1 to {MAX_ID}, got {number}")
    graphs = record.record("graphs")
    return CodecEntry(
        folder=folder,
        name=record.get("name", str),
        id=number,
        version=record.get("version", str),
        precision=record.precision("precision"),
        opset=record.get("opset", int),
        tables=_file(record.record("tables")),
        weights=_file(record.record("weights")),
        graphs=MappingProxyType({name: _file(graphs.record(name)) for name in GRAPHS}),
        licence=record.get("licence", str),
        training_record=record.file("training_record"),
        golden=record.golden("golden"),
    )


def _file(record: Record) -> File:
    return File(
        file=record.file("file"),
        sha256=record.sha256("sha256"),
        size_bytes=record.get("size_bytes", int),
    )


def _as_json(entry: CodecEntry) -> dict[str, object]:
    def file(of: File) -> dict[str, object]:
        return {"file": of.file, "sha256": of.sha256, "size_bytes": of.size_bytes}

    return {
        "name": entry.name,
        "id": entry.id,
        "version": entry.version,
        "precision": entry.precision,
        "opset": entry.opset,
        "tables": file(entry.tables),
        "weights": file(entry.weights),
        "graphs": {name: file(of) for name, of in entry.graphs.items()},
        "licence": entry.licence,
        "training_record": entry.training_record,
        "golden": {
            "file": entry.golden.file,
            "sha256": entry.golden.sha256,
            "tolerance": entry.golden.tolerance,
        },
    }
