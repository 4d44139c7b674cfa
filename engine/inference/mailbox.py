"""What waits of one stream: a few frames at most, and the newest wins."""

from collections import deque
from dataclasses import dataclass
from typing import Generic, TypeVar, final

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class MailboxStatistics:
    waiting: int
    capacity: int
    peak: int
    offered: int
    evicted: int


@final
class Mailbox(Generic[T]):
    """Hold at most ``capacity`` items; when it is full, the oldest makes room.

    For pictures the capacity is one: who is late wants the newest.  Sound takes two, as every block
    of it is heard.  `offer` never waits, so a slow consumer cannot slow its producer.
    """

    def __init__(self, capacity: int) -> None:
        if capacity < 1:
            raise ValueError(f"a mailbox of {capacity} holds nothing")
        self._capacity = capacity
        self._items: deque[T] = deque()
        self._peak = self._offered = self._evicted = 0

    def __len__(self) -> int:
        return len(self._items)

    @property
    def first(self) -> T | None:
        """What `take` would give."""
        return self._items[0] if self._items else None

    def offer(self, item: T) -> T | None:
        """Put an item in; returns what had to make room."""
        evicted = self._items.popleft() if len(self._items) == self._capacity else None
        self._items.append(item)
        self._offered += 1
        self._evicted += evicted is not None
        self._peak = max(self._peak, len(self._items))
        return evicted

    def take(self) -> T | None:
        """The item that waits longest."""
        return self._items.popleft() if self._items else None

    def remove(self, item: T) -> bool:
        """Take one out of its turn; False if it is not here."""
        try:
            self._items.remove(item)
        except ValueError:
            return False
        return True

    def statistics(self) -> MailboxStatistics:
        return MailboxStatistics(
            waiting=len(self._items),
            capacity=self._capacity,
            peak=self._peak,
            offered=self._offered,
            evicted=self._evicted,
        )
