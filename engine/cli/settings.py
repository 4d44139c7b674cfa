"""Where commands of the service find their settings."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from auralink.engine.service.settings.load import Loaded, Sources, load

ConfigFile = Annotated[Path | None, typer.Option("--config", help="Settings file, TOML or YAML.")]
SecretsFolder = Annotated[
    Path | None, typer.Option("--secrets", help="Folder with a file per secret.")
]


def sources(
    config: Path | None, secrets: Path | None, flags: Mapping[str, Any] | None = None
) -> Sources:
    return Sources(flags=flags or {}, environment=dict(os.environ), file=config, secrets=secrets)


def settings(config: Path | None, secrets: Path | None, *, whole: bool = True) -> Loaded:
    """
    Args:
        whole: see `load`.

    Raises:
        ConfigError: names the key at fault.
    """
    return load(sources(config, secrets), whole=whole)
