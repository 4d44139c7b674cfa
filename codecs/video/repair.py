"""Answer a receiver that is stuck: once, with the cheapest unit that it can decode.

::

    report: stuck ──► repair with the next frame ──► in flight ──► report: decoded it ──► done
                           ▲                            │
                           └── report: later units arrived, this one did not ──┘

With an engine that chooses references the repair predicts from what the receiver has
acknowledged, and so does everything until it is acknowledged itself.  Otherwise it is a key.
"""

from dataclasses import dataclass
from typing import Final

from auralink.codecs.video.protocol import ReceiverReport

NUMBERS: Final = 1 << 16
_REMEMBERED: Final = 128  # acknowledged units worth remembering: no slot lives longer


@dataclass(frozen=True, slots=True, kw_only=True)
class Repair:
    """How the next frame must be coded."""

    needed: bool = False  # this very frame is the repair
    predict_from: frozenset[int] | None = None  # unwrapped numbers; None: anything


class RepairPolicy:
    """Sender's side.  Tell it of every unit sent and every report; ask it before each frame."""

    def __init__(self) -> None:
        self._next = 0  # number of the next unit
        self._acknowledged: frozenset[int] = frozenset()
        self._wanted = False
        self._sent: int | None = None  # number of the repair in flight
        self._since: set[int] = set()  # units sent from the repair on

    def report(self, report: ReceiverReport) -> None:
        decoded = self._decoded(report)
        if decoded:
            newest = max(decoded)
            merged = self._acknowledged | decoded
            self._acknowledged = frozenset(n for n in merged if newest - n < _REMEMBERED)
            if self._sent is not None and newest >= self._sent:
                self._sent = None
                self._since.clear()
        if not report.stuck:
            return
        if self._sent is None:
            self._wanted = True
        elif report.highest is not None and self._unwrap(report.highest) > self._sent + 1:
            # Later units arrived and the repair did not help, so it is lost as well.
            self._wanted = True

    def next(self) -> Repair:
        if self._wanted:
            return Repair(needed=True, predict_from=self._acknowledged)
        if self._sent is not None:
            return Repair(predict_from=self._acknowledged | self._since)
        return Repair()

    def sent(self, number: int, *, key: bool, repair: bool) -> None:
        """Unit ``number`` goes out; ``repair``: it is the answer that `next` asked for."""
        self._next = number + 1
        if repair or key:
            self._wanted = False
            self._sent = number
            self._since.clear()
        if self._sent is not None:
            self._since.add(number)

    def _decoded(self, report: ReceiverReport) -> frozenset[int]:
        if report.newest is None:
            return frozenset()
        newest = self._unwrap(report.newest)
        held = (newest - i for i in range(64) if report.decoded >> i & 1)
        return frozenset(number for number in held if 0 <= number < self._next)

    def _unwrap(self, number: int) -> int:
        """The newest sent unit that goes by ``number`` on the wire."""
        last = self._next - 1
        return last - (last - number) % NUMBERS
