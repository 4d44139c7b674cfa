"""From flags, environment, secrets and a file to checked settings.

::

    flag  >  environment  >  secret file  >  settings file  >  default
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, get_args

from pydantic import ValidationError

from auralink.engine.service.errors import ConfigError
from auralink.engine.service.settings import layers
from auralink.engine.service.settings.keys import KEYS
from auralink.engine.service.settings.rules import check, notes
from auralink.engine.service.settings.tree import Environment, Settings

DEFAULT: Final = "default"


@dataclass(frozen=True, slots=True, kw_only=True)
class Sources:
    """
    Attributes:
        flags: by key; None is "not given".
    """

    flags: Mapping[str, Any]
    environment: Mapping[str, str]
    file: Path | None = None
    secrets: Path | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaded:
    """
    Attributes:
        origins: of every key, in words.
        warnings: about keys that have no effect, or another one.
    """

    settings: Settings
    origins: Mapping[str, str]
    warnings: tuple[str, ...] = ()


def load(sources: Sources, *, whole: bool = True) -> Loaded:
    """
    Args:
        whole: refuse also what is good by itself and makes no sense together, or is missing.

    Raises:
        ConfigError: a key is unknown, a value is not possible, or the whole makes no sense.  All
            faults of values are named at once; no value is.
    """
    flags = layers.flags(sources.flags)
    environment = layers.environment(sources.environment)
    secrets = layers.secrets(sources.secrets)
    active = _active(flags, environment, sources.file)
    file = layers.file(sources.file, active)
    order = (flags, environment, secrets, file.layer)
    origins = {
        key: next((layer.origins[key] for layer in order if key in layer.origins), DEFAULT)
        for key in KEYS
    }
    init: dict[str, Any] = {"layers": order}
    try:
        settings = Settings(**init)
    except ValidationError as error:
        raise _in_words(error, origins) from None
    if whole:
        check(settings, origins)
    warnings = (*file.warnings, *notes(settings))
    return Loaded(settings=settings, origins=origins, warnings=warnings)


def _active(flags: layers.Layer, environment: layers.Layer, file: Path | None) -> Environment:
    """Which environment it is must be known before the file's sections for it are."""
    named = flags().get("environment") or environment().get("environment")
    found = named or layers.environment_in_file(file) or "development"
    known: tuple[Environment, ...] = get_args(Environment)
    for one in known:
        if one == found:
            return one
    raise ConfigError(f"environment must be one of {', '.join(known)}")


def _in_words(error: ValidationError, origins: Mapping[str, str]) -> ConfigError:
    faults = []
    for fault in error.errors(include_url=False, include_context=False, include_input=False):
        places = [str(place) for place in fault["loc"]]
        key = next(
            (
                ".".join(places[:n])
                for n in range(len(places), 0, -1)
                if ".".join(places[:n]) in KEYS
            ),
            ".".join(places),
        )
        inside = ".".join(places[len(key.split(".")) :])
        origin = origins.get(key, "")
        where = f" ({origin})" if origin else ""
        faults.append(f"{key}{'.' + inside if inside else ''}{where}: {fault['msg']}")
    return ConfigError("; ".join(faults))
