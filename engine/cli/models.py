"""``auralink models``: which networks there are, and whether they are whole."""

from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

from auralink.engine.cli.terminal import Json, counted_bytes, note, out, print_json
from auralink.engine.cli.values import known_name
from auralink.models.codec_manifest import CodecEntry
from auralink.models.codec_store import CodecStore
from auralink.models.codec_verify import verify_codec
from auralink.models.manifest import Entry
from auralink.models.store import Store
from auralink.models.verify import Verification
from auralink.models.verify import verify as verify_entry

app = typer.Typer(help="List and verify the networks.", no_args_is_help=True)

Names = Annotated[list[str] | None, typer.Argument(help="Default: every network.")]


@app.command("list")
def list_models(json: Json = False) -> None:
    """List the networks that come with this package."""
    entries = _entries()
    if json:
        print_json([_as_json(entry) for entry in entries])
        return
    table = Table(box=None, header_style="dim", padding=(0, 3, 0, 0))
    for column in ("name", "id", "version", "size", "licence"):
        table.add_column(column, justify="right" if column in ("id", "size") else "left")
    for entry in entries:
        size = counted_bytes(entry.size_bytes)
        table.add_row(entry.label, str(entry.id), entry.version, size, entry.licence)
    out().print(table)


@app.command()
def verify(names: Names = None, json: Json = False) -> int:
    """Check hashes, and that the networks compute here what they did where they were made.

    Exits 0 if every network is good, 1 if any is not.
    """
    results = [(entry, _verify(entry)) for entry in _chosen(names or [])]
    if json:
        print_json(
            [
                {"name": entry.label, "ok": found.ok, "detail": found.detail, "ms": found.ms}
                for entry, found in results
            ]
        )
    else:
        for entry, found in results:
            mark = "[green]ok[/]" if found.ok else "[red]bad[/]"
            spent = f", {found.ms:.1f} ms a frame" if found.ok else ""
            out().print(f"{mark}  {entry.label}  {escape(found.detail)}{spent}")
    good = all(found.ok for _, found in results)
    if not good:
        note("hint: install the package again; decoding goes on with plain scaling meanwhile")
    return 0 if good else 1


def _entries() -> tuple[Entry | CodecEntry, ...]:
    return *Store.bundled().entries, *CodecStore.bundled().entries


def _verify(entry: Entry | CodecEntry) -> Verification:
    return verify_codec(entry) if isinstance(entry, CodecEntry) else verify_entry(entry)


def _chosen(names: list[str]) -> list[Entry | CodecEntry]:
    entries = _entries()
    for name in names:
        known_name("model", name, [entry.label for entry in entries])
    return [entry for entry in entries if not names or entry.label in names]


def _as_json(entry: Entry | CodecEntry) -> dict[str, object]:
    files = (entry,) if isinstance(entry, Entry) else (entry.tables, *entry.graphs.values())
    return {
        "name": entry.name,
        "precision": entry.precision,
        "id": entry.id,
        "version": entry.version,
        "files": {file.file: file.sha256 for file in files},
        "size_bytes": entry.size_bytes,
        "licence": entry.licence,
        "training_record": entry.training_record,
    }
