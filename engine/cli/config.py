"""``auralink config``: which settings are in force, and where each came from."""

import typer

from auralink.engine.cli.settings import ConfigFile, SecretsFolder, settings
from auralink.engine.cli.terminal import Json, note, out, print_json
from auralink.engine.service.settings.keys import KEYS, shown, value_of
from auralink.engine.service.settings.layers import variable
from auralink.engine.service.settings.load import DEFAULT

app = typer.Typer(help="Show and check the settings of the service.", no_args_is_help=True)


@app.command()
def show(
    config: ConfigFile = None,
    secrets: SecretsFolder = None,
    changed: bool = typer.Option(False, "--changed", help="Only what is not a default."),
    json: Json = False,
) -> None:
    """Every key with its value and where that came from; secrets are masked."""
    found = settings(config, secrets, whole=False)
    rows = [
        (key, shown(key, value_of(found.settings, key)), found.origins[key])
        for key in KEYS
        if not changed or found.origins[key] != DEFAULT
    ]
    if json:
        print_json(
            {
                key: {"value": value, "origin": origin, "variable": variable(key)}
                for key, value, origin in rows
            }
        )
    else:
        widths = [max((len(row[i]) for row in rows), default=0) for i in (0, 1)]
        for key, value, origin in rows:
            out().print(f"{key:<{widths[0]}}  {value:<{widths[1]}}  {origin}", markup=False)
    for warning in found.warnings:
        note(f"warning: {warning}")


@app.command()
def check(config: ConfigFile = None, secrets: SecretsFolder = None, json: Json = False) -> None:
    """Say whether the service would start with these settings.  Exits 3 if not."""
    found = settings(config, secrets)
    if json:
        print_json({"good": True, "warnings": found.warnings})
    else:
        out().print("good")
    for warning in found.warnings:
        note(f"warning: {warning}")
