"""Settings that may change while the service runs.

On SIGHUP the same sources are read again.  What is bad is reported and changes nothing.  What is
good replaces the settings; keys that were read once at start keep their old effect until a restart,
and are named.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, final

from auralink.engine.service.errors import ConfigError
from auralink.engine.service.settings.keys import KEYS, value_of
from auralink.engine.service.settings.load import Loaded, Sources, load
from auralink.engine.service.settings.tree import Settings

# Sections and keys whose change takes hold at once.  The rest needs a restart: a port is bound, a
# pool is open.
LIVE: Final = ("auth.", "compression.", "limits.", "alerts.", "log.", "http.cors_origins")


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """What a reload did.

    Attributes:
        error: why nothing changed; empty if it was good.
        changed: keys with another value that is in force now.
        waiting: keys with another value that needs a restart.
    """

    error: str = ""
    changed: tuple[str, ...] = ()
    waiting: tuple[str, ...] = ()


@final
class LiveSettings:
    """The settings in force.  Read `now` when you need a value; do not keep it."""

    def __init__(self, loaded: Loaded, sources: Sources) -> None:
        self._loaded = loaded
        self._sources = sources
        self._listeners: list[Callable[[Settings], None]] = []

    @property
    def now(self) -> Settings:
        return self._loaded.settings

    @property
    def loaded(self) -> Loaded:
        return self._loaded

    def on_change(self, listener: Callable[[Settings], None]) -> None:
        """`listener` is told of new settings before they are in force, and may refuse them by a
        `ConfigError`; it must not have changed anything then.
        """
        self._listeners.append(listener)

    def reload(self) -> Change:
        """Read the sources again.  Never raises for what is in them."""
        before = self._loaded
        try:
            after = load(self._sources)
            for listener in self._listeners:
                listener(after.settings)
        except ConfigError as error:
            for listener in self._listeners:
                listener(before.settings)
            return Change(error=str(error))
        differing = [
            key for key in KEYS if value_of(before.settings, key) != value_of(after.settings, key)
        ]
        self._loaded = after
        return Change(
            changed=tuple(key for key in differing if key.startswith(LIVE)),
            waiting=tuple(key for key in differing if not key.startswith(LIVE)),
        )
