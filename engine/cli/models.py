"""``auralink models``: which networks there are, and whether they are whole."""

from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

from auralink.engine.cli.terminal import Json, counted_bytes, note, out, print_json
from auralink.engine.cli.values import known_name
from auralink.models.manifest import Entry
from auralink.models.store import Store
from auralink.models.verify import verify as verify_entry

app = typer.Typer(help="List and verify the networks.", no_args_is_help=True)

Names = Annotated[list[str] | None, typer.Argument(help="Default: every network.")]


@app.command("list")
def list_models(json: Json = False) -> None:
    """List the networks that come with this package."""
    entries = Store.bundled().entries
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
    results = [(entry, verify_entry(entry)) for entry in _chosen(names or [])]
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


def _chosen(names: list[str]) -> list[Entry]:
    entries = Store.bundled().entries
    for name in names:
        known_name("model", name, [entry.label for entry in entries])
    return [entry for entry in entries if not names or entry.label in names]


def _as_json(entry: Entry) -> dict[str, object]:
    return {
        "name": entry.name,
        "precision": entry.precision,
        "id": entry.id,
        "version": entry.version,
        "file": entry.file,
        "sha256": entry.sha256,
        "size_bytes": entry.size_bytes,
        "licence": entry.licence,
        "training_record": entry.training_record,
    }
