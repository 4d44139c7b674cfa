"""The sender's queue before a thin link: what is sent when, and what is dropped first.

::

    unit ──► packets ──► ░░▓▓▓▓▓▓ ──► `rate_bps`, in bursts of at most `burst_s` of it ──► link
                          │ waits longer than the bound
                          ▼
                        packets of units that no other unit depends on, oldest first

When a link shrinks, coded frames wait here until the rate control has followed.  Every second unit
is not referenced (about a fifth of the bits): without it the others decode as before, so such units
go before anything else does.  Reference units are never dropped here: the rate control drops frames
before they are coded, which breaks nothing.

An ordinary frame leaves as one burst, in no time; a key, worth many frames, is spread, because the
router before the thin link drops what its queue does not hold: half of a key whose tail is dropped
helps nobody, and its packets sent again are dropped as well.  What is sent again goes first: all
that was coded later waits for it at the other end.

The burst is a generic cell rate algorithm (ITU-T I.371, virtual scheduling).

Sans-IO: times are arguments, microseconds that do not go back.
"""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final, final

# Half of the delay at which rate control drops whole frames (RateOptions.delay_s, 250 ms), and
# three frames at 30 fps: a key unit of four frame budgets alone does not trip it for long.
MOST_WAIT_MS: Final = 120.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """One packet that is not sent yet."""

    unit: int
    droppable: bool  # no other unit depends on its unit
    packet: bytes = field(repr=False)


def choose_drops(queue: Sequence[Waiting], *, excess_bits: float) -> frozenset[int]:
    """Units to drop, oldest droppable first, until ``excess_bits`` are gone or none is left.

    A unit goes whole: part of it helps nobody.
    """
    dropped: set[int] = set()
    gone = 0.0
    for waiting in queue:
        if not waiting.droppable:
            continue
        if waiting.unit not in dropped and gone >= excess_bits:
            break
        dropped.add(waiting.unit)
        gone += 8 * len(waiting.packet)
    return frozenset(dropped)


@final
class Pacer:
    """
    Args:
        rate_bps: None sends everything at once.
        burst_s: so much of the rate may leave at once after a pause.
    """

    def __init__(self, rate_bps: float | None = None, *, burst_s: float = 0.0) -> None:
        self._rate_bps = rate_bps
        self._burst_us = burst_s * 1e6
        self._queue: deque[Waiting] = deque()
        self._bits = 0.0  # in the queue
        self._free_us = 0.0  # all that has left is paid for then

    @property
    def idle(self) -> bool:
        return not self._queue

    def wait_ms(self, now_us: int) -> float:
        """How long a packet entered now would wait."""
        if self._rate_bps is None:
            return 0.0
        free_us = self._free_us + self._bits / self._rate_bps * 1e6
        return max(0.0, free_us - self._burst_us - now_us) / 1e3

    def set_rate(self, rate_bps: float | None) -> None:
        """Another rate from the next packet on."""
        self._rate_bps = rate_bps

    def enter(
        self,
        now_us: int,
        unit: int,
        packets: Sequence[bytes],
        *,
        droppable: bool,
        urgent: bool = False,
    ) -> frozenset[int]:
        """Queue a unit; return the units that are dropped for it, perhaps itself.

        Args:
            urgent: before all that waits.
        """
        if not self._queue:
            self._free_us = max(self._free_us, now_us)
        waiting = [Waiting(unit=unit, droppable=droppable, packet=packet) for packet in packets]
        if urgent:
            self._queue.extendleft(reversed(waiting))
        else:
            self._queue.extend(waiting)
        self._bits += 8 * sum(map(len, packets))
        return self._relieve(now_us)

    def take(self, now_us: int) -> list[bytes]:
        """What leaves up to ``now_us``."""
        left = []
        while self._queue and (self._rate_bps is None or self._free_us <= now_us + self._burst_us):
            waiting = self._queue.popleft()
            bits = 8 * len(waiting.packet)
            self._bits -= bits
            left.append(waiting.packet)
            if self._rate_bps is not None:
                self._free_us += bits / self._rate_bps * 1e6
        return left

    def _relieve(self, now_us: int) -> frozenset[int]:
        excess_ms = self.wait_ms(now_us) - MOST_WAIT_MS
        if self._rate_bps is None or excess_ms <= 0:
            return frozenset()
        queue = list(self._queue)
        dropped = choose_drops(queue, excess_bits=excess_ms * self._rate_bps / 1e3)
        if dropped:
            self._queue = deque(waiting for waiting in queue if waiting.unit not in dropped)
            self._bits = 8.0 * sum(len(waiting.packet) for waiting in self._queue)
        return dropped
