"""Send lost reference units once more where that is cheaper than coding a repair.

::

    feedback: stuck ──► which reference units between the newest decoded and the highest one
                        have not arrived?
                            │ all still remembered                │ none, too old, tried too often
                            ▼                                     ▼
                        send them again (the receiver holds   let the encoder repair
                        what came after and catches up)

A resent unit costs its own bytes and loses no quality; a key unit costs four frame budgets, a
repair by acknowledged reference about half a key, and the picture gets worse with both.  All three
take a round trip.

Pure: no clock.  An answer counts as lost when units sent after it have arrived.
"""

from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Final, final

from auralink.codecs.errors import BitstreamError
from auralink.codecs.video.protocol import Coded, Kind, ReceiverReport
from auralink.codecs.video.syntax_packet import Packet, parse_packet

NUMBERS: Final = 1 << 16
HISTORY: Final = 64  # units that feedback speaks of; a receiver holds as many
# With this many units waiting (0.7 s at 30 fps) what was tried does not help: start afresh.
MOST_WAITING: Final = 20
MOST_TRIES: Final = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Feedback:
    """A report, and what arrived lately whether or not it could be decoded."""

    report: ReceiverReport
    arrived: int  # bit i set: all packets of unit `highest - i` are there; 64 bits


@final
class Arrivals:
    """Receiver's side: which units are there."""

    def __init__(self) -> None:
        self._units: OrderedDict[int, set[int]] = OrderedDict()  # packets that miss, by number

    def note(self, datagram: bytes) -> None:
        try:
            head = parse_packet(datagram)
        except BitstreamError:
            return
        if not isinstance(head, Packet):
            return
        waiting = self._units.setdefault(head.number, set(range(head.count)))
        waiting.discard(head.index)
        if len(self._units) > 2 * HISTORY:
            self._units.popitem(last=False)

    def mask(self, highest: int | None) -> int:
        if highest is None:
            return 0
        bits = 0
        for age in range(HISTORY):
            bits |= (self._units.get((highest - age) % NUMBERS) == set()) << age
        return bits


@dataclass(slots=True)
class _Unit:
    packets: tuple[bytes, ...] = field(repr=False)
    tries: int = 0
    resent_after: int = -1  # newest unit sent before the last try


@final
class Resender:
    """Sender's side of one stream."""

    def __init__(self) -> None:
        self._units: OrderedDict[int, _Unit] = OrderedDict()  # references only
        self._newest = -1

    def sent(self, coded: Coded) -> None:
        if not coded.packets:
            return
        self._newest = coded.number
        if coded.kind is Kind.KEY:
            self._units.clear()  # nothing needs what was before
        if coded.reference and not coded.conceals:
            data = tuple(p for p in coded.packets if p[0] >> 6 != Kind.PARITY)
            self._units[coded.number] = _Unit(data)
        while self._units and next(iter(self._units)) <= self._newest - HISTORY:
            self._units.popitem(last=False)

    def answer(self, feedback: Feedback) -> tuple[bytes, ...] | None:
        """Packets to send now, none if an answer is under way; None: the encoder must help."""
        report = feedback.report
        if report.highest is None:
            return None
        highest = self._unwrap(report.highest)
        decoded = -1 if report.newest is None else self._unwrap(report.newest)
        if highest - decoded > MOST_WAITING and decoded >= 0:
            return None
        waiting = [number for number in self._units if decoded < number <= highest]
        missing = [n for n in waiting if not feedback.arrived >> (highest - n) & 1]
        if not missing:
            return None  # all is there and cannot be decoded
        # Of the highest unit more packets may be on their way.
        due = [self._units[n] for n in missing if n < highest]
        due = [unit for unit in due if highest > unit.resent_after]
        if any(unit.tries >= MOST_TRIES for unit in due):
            return None
        packets: list[bytes] = []
        for unit in due:
            unit.tries += 1
            unit.resent_after = self._newest
            # A second loss of the same unit costs a second round trip: two copies from then on.
            packets += unit.packets * min(unit.tries, 2)
        return tuple(packets)

    def _unwrap(self, number: int) -> int:
        return self._newest - (self._newest - number) % NUMBERS
