"""Rows on their way to the database: bounded, oldest out first.  Pure."""

from collections import deque
from collections.abc import Sequence
from itertools import islice
from typing import final

from auralink.engine.stores.records import Row


@final
class RowBuffer:
    """Hold at most ``capacity`` rows; when full, the oldest make room and are counted."""

    def __init__(self, capacity: int) -> None:
        if capacity < 1:
            raise ValueError(f"capacity must be at least 1, got {capacity}")
        self.capacity = capacity
        self.dropped = 0
        self._rows: deque[Row] = deque()
        self._in_flight = 0  # the oldest so many are being written
        self._pushed_out = 0  # of those that are being written

    def __len__(self) -> int:
        return len(self._rows)

    def add(self, row: Row) -> None:
        if len(self._rows) == self.capacity:
            self._rows.popleft()
            self.dropped += 1
            if self._in_flight:
                self._in_flight -= 1
                self._pushed_out += 1
        self._rows.append(row)

    def oldest(self, count: int) -> Sequence[Row]:
        """Up to ``count`` rows; they stay here until `written` is called."""
        rows = list(islice(self._rows, count))
        self._in_flight = len(rows)
        self._pushed_out = 0
        return rows

    def written(self) -> None:
        """What `oldest` gave is in the database, also what had to make room meanwhile."""
        for _ in range(self._in_flight):
            self._rows.popleft()
        self.dropped -= self._pushed_out
        self._in_flight = self._pushed_out = 0
