"""A sliding window in the memory of one process.  Pure.

The count of the window before is weighted by the part of it that still lies within the last
``per_s`` seconds, as the shared limiter does: two numbers a key, however many requests.
"""

from collections import OrderedDict
from dataclasses import dataclass
from math import floor
from typing import final

from auralink.engine.stores.protocols import Decision, Limit


@dataclass(slots=True)
class _Window:
    began: float
    before: int = 0
    hits: int = 0


@final
class LocalWindows:
    """
    Args:
        capacity: keys remembered; the one not seen for longest is forgotten first.
    """

    def __init__(self, capacity: int = 10_000) -> None:
        self._capacity = capacity
        self._windows: OrderedDict[tuple[str, Limit], _Window] = OrderedDict()

    def __len__(self) -> int:
        return len(self._windows)

    def hit(self, key: str, limit: Limit, now: float, *, shared: bool) -> Decision:
        """
        Args:
            now: seconds, monotonic.
            shared: goes into the decision.
        """
        window = self._windows.get((key, limit))
        if window is None:
            window = self._windows[key, limit] = _Window(now)
            if len(self._windows) > self._capacity:
                self._windows.popitem(last=False)
        self._windows.move_to_end((key, limit))
        _advance(window, limit.per_s, now)
        used = _used(window, limit.per_s, now)
        allowed = used < limit.amount
        if allowed:
            window.hits += 1
            used += 1
        return Decision(
            allowed=allowed,
            limit=limit.amount,
            remaining=max(0, limit.amount - used),
            retry_after_s=0.0 if allowed else _wait_s(window, limit, now),
            shared=shared,
        )


def _advance(window: _Window, per_s: int, now: float) -> None:
    passed = floor((now - window.began) / per_s)
    if passed >= 1:
        window.before = window.hits if passed == 1 else 0
        window.hits = 0
        window.began += passed * per_s


def _used(window: _Window, per_s: int, now: float) -> int:
    left = 1 - (now - window.began) / per_s
    return floor(window.before * left) + window.hits


def _wait_s(window: _Window, limit: Limit, now: float) -> float:
    """Until one more hit fits, if none comes before."""
    room = limit.amount - window.hits
    elapsed = now - window.began
    if room > 0:  # the window before holds it up: its weight must fall below `room`
        return max(0.0, limit.per_s * (1 - room / window.before) - elapsed)
    # This window is full: it must end, and then weigh less than `amount`.
    return limit.per_s * (2 - limit.amount / window.hits) - elapsed
