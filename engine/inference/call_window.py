"""How the last calls went: at most so many, none older than so long."""

from collections import deque
from dataclasses import dataclass
from typing import final


@dataclass(frozen=True, slots=True, kw_only=True)
class WindowCounts:
    calls: int
    failed: int
    slow: int


@final
class CallWindow:
    """A sliding window over calls, by count and by time at once.

    By count alone a quiet stream would be judged by what happened minutes ago; by time alone a busy
    one would need thousands of entries to say the same.
    """

    def __init__(self, *, calls: int, span_us: int) -> None:
        self._most = calls
        self._span_us = span_us
        self._entries: deque[tuple[int, bool, bool]] = deque()
        self._failed = 0
        self._slow = 0

    def enter(self, at_us: int, *, failed: bool, slow: bool) -> None:
        """
        Args:
            at_us: never before that of an earlier entry.
        """
        if len(self._entries) == self._most:
            self._forget()
        self._entries.append((at_us, failed, slow))
        self._failed += failed
        self._slow += slow

    def counts(self, at_us: int) -> WindowCounts:
        entries, oldest = self._entries, at_us - self._span_us
        while entries and entries[0][0] < oldest:
            self._forget()
        return WindowCounts(calls=len(entries), failed=self._failed, slow=self._slow)

    def clear(self) -> None:
        self._entries.clear()
        self._failed = self._slow = 0

    def _forget(self) -> None:
        _, failed, slow = self._entries.popleft()
        self._failed -= failed
        self._slow -= slow
