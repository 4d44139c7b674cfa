"""Names of settings: dotted paths through the tree, and what stands at their ends.  Pure."""

import difflib
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final, TypeAlias

from pydantic import BaseModel, SecretStr

from auralink.engine.service.settings.tree import Settings

Nested: TypeAlias = dict[str, Any]


def leaves(model: type[BaseModel] = Settings, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Every key of the tree with its field, in the order of the tree."""
    for name, field in model.model_fields.items():
        kind = field.annotation
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            yield from leaves(kind, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", field


KEYS: Final = tuple(key for key, _ in leaves())
# Lists of sections hold secrets inside; they are shown by number of entries.
SECRET_KEYS: Final = frozenset(
    key for key, field in leaves() if "SecretStr" in str(field.annotation)
) | {"auth.keys", "auth.api_keys"}


def flat(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Dotted keys of a nested mapping; an empty mapping is a value."""
    for name, value in values.items():
        key = f"{prefix}{name}"
        if isinstance(value, Mapping) and value and key not in KEYS:
            yield from flat(value, f"{key}.")
        else:
            yield key, value


def nested(values: Iterable[tuple[str, Any]]) -> Nested:
    """The inverse of `flat`."""
    found: Nested = {}
    for key, value in values:
        *sections, name = key.split(".")
        into = found
        for section in sections:
            into = into.setdefault(section, {})
        into[name] = value
    return found


def value_of(settings: Settings, key: str) -> Any:
    found: Any = settings
    for name in key.split("."):
        found = getattr(found, name)
    return found


def nearest(key: str, known: Iterable[str] = KEYS) -> str:
    """A note that helps with a typing error; empty if nothing is near."""
    near = difflib.get_close_matches(key, list(known), n=1, cutoff=0.75)
    return f"did you mean {near[0]}?" if near else ""


def shown(key: str, value: Any) -> str:
    """A value as people may see it."""
    if value is None:
        return "-"
    if key in SECRET_KEYS:
        if isinstance(value, tuple):
            return f"{len(value)} of them" if value else "none"
        hidden = value.get_secret_value() if isinstance(value, SecretStr) else str(value)
        return "(set)" if hidden else "(empty)"
    if isinstance(value, tuple):
        return ", ".join(str(one) for one in value) or "none"
    return str(value).lower() if isinstance(value, bool) else str(value)
