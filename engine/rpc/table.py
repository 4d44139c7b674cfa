"""Streams that live on between calls, bounded, by who asked last.  Pure."""

from collections import OrderedDict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final, Generic, TypeVar, final

from auralink.engine.rpc.requests import StreamKey
from auralink.engine.service.errors import Limited

V = TypeVar("V")

# No tenant may have all: whoever floods the table with names leaves the others their half.
_TENANT_SHARE: Final = 0.5


@dataclass(slots=True)
class _Entry(Generic[V]):
    value: V
    asked_s: float


@final
class StreamTable(Generic[V]):
    """
    Args:
        busy: whether a value is at work; such a one is never idle.
    """

    def __init__(self, most: int, idle_s: float, busy: Callable[[V], bool]) -> None:
        self._most = most
        self._of_tenant = max(1, int(most * _TENANT_SHARE)) if most > 1 else 1
        self._idle_s = idle_s
        self._busy = busy
        self._entries: OrderedDict[StreamKey, _Entry[V]] = OrderedDict()  # longest idle first

    def __len__(self) -> int:
        return len(self._entries)

    @property
    def sessions(self) -> int:
        return len({(key.tenant, key.session) for key in self._entries})

    def get(self, key: StreamKey, now_s: float) -> V | None:
        entry = self._entries.get(key)
        if entry is None:
            return None
        entry.asked_s = now_s
        self._entries.move_to_end(key)
        return entry.value

    def check_room(self, key: StreamKey) -> None:
        """
        Raises:
            Limited: there is no room for another stream of this tenant.
        """
        mine = sum(other.tenant == key.tenant for other in self._entries)
        if len(self._entries) >= self._most:
            raise Limited(f"{self._most} streams are open", retry_after_s=self._idle_s)
        if mine >= self._of_tenant:
            raise Limited(f"{mine} streams of this tenant are open", retry_after_s=self._idle_s)

    def add(self, key: StreamKey, value: V, now_s: float) -> None:
        self._entries[key] = _Entry(value, now_s)

    def remove(self, key: StreamKey) -> V | None:
        entry = self._entries.pop(key, None)
        return None if entry is None else entry.value

    def take_idle(self, now_s: float) -> list[V]:
        """Remove and return what nobody asked for lately."""
        idle = [
            key
            for key, entry in self._entries.items()
            if now_s - entry.asked_s >= self._idle_s and not self._busy(entry.value)
        ]
        return [self._entries.pop(key).value for key in idle]

    def take_all(self) -> Iterator[V]:
        while self._entries:
            yield self._entries.popitem()[1].value
