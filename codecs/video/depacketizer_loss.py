"""Share of data packets lost on the link, before repair."""

from collections import deque
from typing import Final

HISTORY_UNITS: Final = 512
MAX_LEAP: Final = 256  # more is no loss, but a new start, or a stray packet


class LossMeter:
    """Count expected and received data packets by unit number, as RTCP does by sequence number.

    A unit of which nothing arrived counts as one packet.  Of the newest unit only what is below
    its highest index so far is expected: the rest may be on its way.  What comes late lowers the
    share of the next interval.
    """

    def __init__(self) -> None:
        self._seen: dict[int, int] = {}  # unwrapped number: bit set of packet indices
        self._order: deque[int] = deque()
        self._newest: int | None = None
        self._newest_count = 0
        self._newest_top = 0  # highest index of the newest unit, plus one
        self._leap: int | None = None  # a number far ahead that waits for a second one
        self._closed = 0  # packets expected of all older units
        self._received = 0
        self._told = (0, 0)

    @property
    def expected(self) -> int:
        return self._closed + self._newest_top

    @property
    def received(self) -> int:
        return self._received

    def count(self, number: int, index: int, count: int) -> bool:
        """Enter a packet as the link gave it; False if it came before."""
        seen = self._seen.get(number)
        if seen is not None and seen >> index & 1:
            return False
        if seen is None:
            if self._strays(number):
                return True
            self._meet(number, count)
        self._seen[number] = (seen or 0) | 1 << index
        if number == self._newest:
            self._newest_top = max(self._newest_top, index + 1)
        self._received += 1
        return True

    def share(self) -> float:
        """Packets lost since the last call, of those expected: 0..1."""
        expected = self.expected - self._told[0]
        received = self._received - self._told[1]
        if expected <= 0:
            return 0.0  # the balance stays for the next call
        self._told = (self.expected, self._received)
        return min(1.0, max(0.0, (expected - received) / expected))

    def _strays(self, number: int) -> bool:
        """Believe in a leap only when a second packet confirms it (as RFC 3550, A.1)."""
        if self._newest is None or number - self._newest <= MAX_LEAP:
            return False
        confirmed = self._leap is not None and abs(number - self._leap) <= MAX_LEAP
        self._leap = None if confirmed else number
        return not confirmed

    def _meet(self, number: int, count: int) -> None:
        """The first packet of a unit."""
        self._order.append(number)
        if len(self._order) > HISTORY_UNITS:
            del self._seen[self._order.popleft()]
        if self._newest is None or number > self._newest:
            if self._newest is not None:
                gap = number - self._newest - 1
                self._closed += self._newest_count + (gap if gap < MAX_LEAP else 0)
            self._newest, self._newest_count, self._newest_top = number, count, 0
        else:
            self._closed += count - 1  # it had been taken for one packet
