"""``auralink openapi``: the description of the HTTP API."""

from pathlib import Path
from typing import Annotated

import typer

from auralink.engine.cli.terminal import note, print_json


def openapi(
    to: Annotated[Path | None, typer.Option("--out", help="A file; default: print it.")] = None,
) -> None:
    """Print the HTTP API in OpenAPI 3.1, with who may do what.  Needs no running engine."""
    import json

    from auralink.engine.service.http.description import description

    found = description()
    if to is None:
        print_json(found)
        return
    to.write_text(json.dumps(found, indent=2) + "\n", "utf-8")
    note(f"wrote {to}")
