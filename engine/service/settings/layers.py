"""Where values come from: flags, environment, secret files, one file.

Each layer is a source of pydantic-settings that gives a part of the tree and can say, for each key,
under which name it was found.  Values are never part of a message: even a parser's own words quote
the line that it stumbled over.
"""

import json
import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, final

import yaml
from pydantic.fields import FieldInfo
from pydantic_settings import PydanticBaseSettingsSource

from auralink.engine.service.errors import ConfigError
from auralink.engine.service.settings.contract import ENVIRONMENT, meaning
from auralink.engine.service.settings.keys import KEYS, Nested, flat, nearest, nested
from auralink.engine.service.settings.tree import Environment, Settings

PREFIX: Final = "AURALINK_"
MAX_FILE_BYTES: Final = 1 << 20
_MAX_SECRET_BYTES: Final = 64 << 10
# Of commands that ask a service, not of the service.
_OF_CLIENTS: Final = frozenset({"AURALINK_URL", "AURALINK_TOKEN"})
_STRUCTURED: Final = frozenset({"auth.keys", "auth.api_keys"})  # JSON where only text is possible
# Kubernetes puts the addresses of every service into every pod: AURALINK_AIC_PORT_8000_TCP.
_SERVICE_LINK: Final = re.compile(
    r"[A-Z0-9_]+_(SERVICE_HOST|SERVICE_PORT(_\w+)?|PORT(_\d+_(TCP|UDP)(_(PROTO|PORT|ADDR))?)?)"
)


@dataclass(frozen=True, slots=True)
class Given:
    """One value, and the name under which it was given: "environment HTTP_PORT"."""

    key: str
    value: Any = field(repr=False)
    origin: str


@final
class Layer(PydanticBaseSettingsSource):
    """Values from one place."""

    def __init__(self, given: Iterable[Given]) -> None:
        super().__init__(Settings)
        found: dict[str, Given] = {}
        for one in given:
            before = found.setdefault(one.key, one)
            if before is not one and before.value != one.value:
                raise _error(f"{before.origin} and {one.origin} both set {one.key}, differently")
        self.origins = {key: one.origin for key, one in found.items()}
        self._values = nested((key, one.value) for key, one in found.items())

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        return self._values.get(field_name), field_name, False

    def __call__(self) -> Nested:
        return self._values


def flags(values: Mapping[str, Any]) -> Layer:
    """
    Args:
        values: by key; None is "not given".
    """
    return Layer(
        Given(key, value, "command line") for key, value in values.items() if value is not None
    )


def environment(variables: Mapping[str, str]) -> Layer:
    """``AURALINK_SECTION__NAME``, and the names that the contract gave.

    Raises:
        ConfigError: a variable with our prefix, or ``AIC_``, that means nothing.
    """
    return Layer(_from_environment(variables))


def _from_environment(variables: Mapping[str, str]) -> Iterable[Given]:
    for name, value in variables.items():
        if name in _OF_CLIENTS:
            continue
        key = _key_of_variable(name)
        if key is not None:
            yield Given(key, _read(key, value, f"environment {name}"), f"environment {name}")
        elif name.startswith((PREFIX, "AIC_")) and not _SERVICE_LINK.fullmatch(name):
            known = [*ENVIRONMENT, *(variable(key) for key in KEYS)]
            raise _error(f"environment {name} is no setting", nearest(name, known))


def variable(key: str) -> str:
    """The environment variable of a key."""
    return PREFIX + key.replace(".", "__").upper()


def _key_of_variable(name: str) -> str | None:
    if name in ENVIRONMENT:
        return ENVIRONMENT[name]
    if name.startswith(PREFIX):
        key = name.removeprefix(PREFIX).lower().replace("__", ".")
        return key if key in KEYS else None
    return None


def secrets(folder: Path | None) -> Layer:
    """One file per secret, as Docker and Kubernetes mount them; named as a variable is.

    Raises:
        ConfigError: no such folder, a file that means nothing, or one that cannot be read.
    """
    if folder is None:
        return Layer(())
    return Layer(_from_folder(folder))


def _from_folder(folder: Path) -> Iterable[Given]:
    try:
        paths = sorted(path for path in folder.iterdir() if not path.name.startswith("."))
    except OSError as error:
        raise _error(f"secrets folder {folder}: {error.strerror}") from None
    for path in paths:
        name = path.name.upper().replace(".", "__").replace("-", "_")
        key = _key_of_variable(name) or _key_of_variable(PREFIX + name)
        if key is None:
            raise _error(f"secret file {path} is no setting")
        origin = f"secret file {path}"
        yield Given(key, _read(key, _text(path, _MAX_SECRET_BYTES).strip("\r\n"), origin), origin)


def _read(key: str, value: str, origin: str) -> Any:
    """Text as it is; structures as JSON."""
    if key not in _STRUCTURED:
        return value
    try:
        return json.loads(value)
    except ValueError:
        raise _error(f"{key} ({origin}) must be a JSON list") from None


@dataclass(frozen=True, slots=True)
class FileLayer:
    """A file's layer, and what a person should know about keys without a meaning."""

    layer: Layer
    warnings: tuple[str, ...] = ()


def file(path: Path | None, active: Environment) -> FileLayer:
    """A file in TOML or YAML, with our keys or those of ``aic-config.yaml``.

    Args:
        active: which entry of ``environments`` goes over the rest of the file.

    Raises:
        ConfigError: it cannot be read, or a key is unknown or refused.
    """
    if path is None:
        return FileLayer(Layer(()))
    values = _parsed(path)
    overlays = values.pop("environments", {}) or {}
    if not isinstance(overlays, dict) or not all(isinstance(v, dict) for v in overlays.values()):
        raise _error(f"environments (file {path}) must hold one section per environment")
    warnings: list[str] = []
    given = {one.key: one for one in _unique(_from_file(values, path, "", warnings))}
    for name, overlay in overlays.items():
        prefix = f"environments.{name}."
        found = list(_unique(_from_file(overlay, path, prefix, warnings)))
        if name == active:
            given |= {one.key: one for one in found}
    return FileLayer(Layer(given.values()), tuple(dict.fromkeys(warnings)))


def environment_in_file(path: Path | None) -> Any:
    """The ``environment`` that a file names for itself, before the rest of it is read."""
    return None if path is None else _parsed(path).get("environment")


def _unique(given: Iterable[Given]) -> Iterable[Given]:
    found = list(given)
    Layer(found)  # refuses two names of one key that disagree
    return found


def _from_file(values: Nested, path: Path, prefix: str, warnings: list[str]) -> Iterable[Given]:
    for key, value in flat(values):
        origin = f"file {path}: {prefix}{key}"
        if key in KEYS:
            yield Given(key, value, origin)
            continue
        if not value and any(known.startswith(f"{key}.") for known in KEYS):
            continue  # a section with nothing in it
        found = meaning(key)
        if found is None:
            raise _error(f"{origin} is no setting", nearest(key))
        if found.refused is not None and found.refused == value:
            raise _error(f"{origin} is refused: {found.why}")
        if found.key:
            yield Given(found.key, found.convert(value), origin)
        elif found.refused is None:
            warnings.append(f"{prefix}{key} has no effect: {found.why}")


def _parsed(path: Path) -> Nested:
    text = _text(path, MAX_FILE_BYTES)
    try:
        if path.suffix == ".toml":
            return tomllib.loads(text)
        if path.suffix not in (".yaml", ".yml"):
            raise _error(f"settings file {path}: its name must end in .toml, .yaml or .yml")
        values = yaml.safe_load(text)
    except tomllib.TOMLDecodeError as error:
        where = re.search(r"line \d+, column \d+|end of document", str(error))
        place = where[0] if where else "an unknown place"
        raise _error(f"settings file {path}: no valid TOML at {place}") from None
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        where_yaml = "" if mark is None else f" at line {mark.line + 1}, column {mark.column + 1}"
        raise _error(f"settings file {path}: no valid YAML{where_yaml}") from None
    except (yaml.YAMLError, RecursionError):
        raise _error(f"settings file {path}: no valid YAML") from None
    if values is None:
        return {}
    if not isinstance(values, dict) or not all(isinstance(key, str) for key in values):
        raise _error(f"settings file {path}: there must be names and values at the top")
    return values


def _text(path: Path, most: int) -> str:
    try:
        with path.open("rb") as source:
            data = source.read(most + 1)
    except OSError as error:
        raise _error(f"{path}: {error.strerror}") from None
    if len(data) > most:
        raise _error(f"{path} has more than {most} bytes")
    try:
        return data.decode()
    except UnicodeDecodeError:
        raise _error(f"{path} is no text in UTF-8") from None


def _error(message: str, hint: str = "") -> ConfigError:
    error = ConfigError(message)
    if hint:
        error.add_note(hint)
    return error
