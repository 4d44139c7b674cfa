"""A window of identifiers that were seen already."""

from collections import OrderedDict
from typing import Final, final

_IDS: Final = 4096


@final
class ReplayWindow:
    """
    Args:
        span_s: how long an identifier is remembered: as long as its token is good.
        most: identifiers; beyond, the oldest is forgotten, so the memory has a bound.
    """

    def __init__(self, *, span_s: float, most: int = _IDS) -> None:
        self._span_s = span_s
        self._most = most
        self._seen: OrderedDict[str, float] = OrderedDict()

    def __len__(self) -> int:
        return len(self._seen)

    def first(self, identifier: str, now: float) -> bool:
        """Whether this identifier is new; from now on it is not."""
        while self._seen and next(iter(self._seen.values())) < now - self._span_s:
            self._seen.popitem(last=False)
        if identifier in self._seen:
            return False
        self._seen[identifier] = now
        if len(self._seen) > self._most:
            self._seen.popitem(last=False)
        return True
