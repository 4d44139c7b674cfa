"""Finds learned codecs by id or name and hands them out only if they are whole."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from auralink.codecs.errors import InputError
from auralink.codecs.neural.model import Model as Tables
from auralink.models.codec_manifest import GRAPHS, CodecEntry, GraphName, read_codecs
from auralink.models.errors import RefusedModel, UnknownModel
from auralink.models.manifest import Precision
from auralink.models.onnx_file import read_facts
from auralink.models.store import BUNDLED, read_checked


@dataclass(frozen=True, slots=True, kw_only=True)
class CodecModel:
    """Checked files: what the manifest promises."""

    entry: CodecEntry
    tables: Tables = field(repr=False)
    graphs: Mapping[GraphName, bytes] = field(repr=False)


class CodecStore:
    def __init__(self, folder: Path) -> None:
        """
        Raises:
            ManifestError: the folder has no readable manifest.
        """
        self._entries = read_codecs(folder)

    @classmethod
    def bundled(cls) -> Self:
        """The codecs that come with the package."""
        return cls(BUNDLED)

    @property
    def entries(self) -> tuple[CodecEntry, ...]:
        return self._entries

    def find(self, key: int | str, precision: Precision) -> CodecEntry:
        """The codec of that id or name.

        Raises:
            UnknownModel: there is none.
        """
        for entry in self._entries:
            if key in (entry.id, entry.name) and entry.precision == precision:
                return entry
        known = ", ".join(f"{entry.label} (id {entry.id})" for entry in self._entries)
        raise UnknownModel(f"no codec {key!r} in {precision}; there are: {known or 'none'}")


def load_codec(entry: CodecEntry) -> CodecModel:
    """Read all files of an entry and check sizes, hashes, external data and tables.

    Raises:
        DamagedModel: one is missing, truncated, or has other bytes than the manifest's.
        RefusedModel: external data, another operator set, or tables that would not be exact.
    """
    tables = read_checked(entry.path(entry.tables), entry.tables.sha256, entry.tables.size_bytes)
    graphs: dict[GraphName, bytes] = {}
    for name in GRAPHS:
        file = entry.graphs[name]
        graphs[name] = content = read_checked(entry.path(file), file.sha256, file.size_bytes)
        facts = read_facts(content)
        if facts.external:
            raise RefusedModel(f"{file.file}: its tensors lie in other files")
        if facts.opset != entry.opset:
            raise RefusedModel(
                f"{file.file}: operator set {facts.opset}, the manifest says {entry.opset}"
            )
    try:
        return CodecModel(entry=entry, tables=Tables.from_bytes(tables), graphs=graphs)
    except InputError as exc:
        raise RefusedModel(f"{entry.tables.file}: {exc}") from exc
