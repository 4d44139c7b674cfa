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
take a round trip.  Of a unit that arrived in part only the missing packets go again: on a thin link
a whole key would take half a second.

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
MOST_GAPS: Final = 32  # packets that one feedback names
_REORDERED: Final = 2  # a packet that so many later ones of its unit have passed is lost


@dataclass(frozen=True, slots=True)
class Gap:
    """A packet that misses, of a unit of which others arrived."""

    number: int  # of the unit, 0..65535
    index: int  # of the packet in it


@dataclass(frozen=True, slots=True, kw_only=True)
class Feedback:
    """A report, and what arrived lately whether or not it could be decoded.

    Attributes:
        arrived: bit i set: all packets of unit `highest - i` are there; 64 bits.
        gaps: of units that arrived in part, all or none of a unit's; the newest unit has some only
            if later packets of it arrived.
    """

    report: ReceiverReport
    arrived: int
    gaps: tuple[Gap, ...] = ()


@dataclass(slots=True)
class _Seen:
    missing: set[int]
    last: int = 0  # the highest index that arrived


@final
class Arrivals:
    """Receiver's side: which units are there."""

    def __init__(self) -> None:
        self._units: OrderedDict[int, _Seen] = OrderedDict()

    def note(self, datagram: bytes) -> None:
        try:
            head = parse_packet(datagram)
        except BitstreamError:
            return
        if not isinstance(head, Packet):
            return
        seen = self._units.setdefault(head.number, _Seen(set(range(head.count))))
        seen.missing.discard(head.index)
        seen.last = max(seen.last, head.index)
        if len(self._units) > 2 * HISTORY:
            self._units.popitem(last=False)

    def mask(self, highest: int | None) -> int:
        """`Feedback.arrived`."""
        if highest is None:
            return 0
        bits = 0
        for age in range(HISTORY):
            seen = self._units.get((highest - age) % NUMBERS)
            bits |= (seen is not None and not seen.missing) << age
        return bits

    def gaps(self, newest: int | None, highest: int | None) -> tuple[Gap, ...]:
        """`Feedback.gaps` of the units after ``newest``, the newest decoded one; oldest first."""
        if highest is None:
            return ()
        ages = HISTORY if newest is None else min(HISTORY, (highest - newest) % NUMBERS)
        gaps: list[Gap] = []
        for age in reversed(range(ages)):
            number = (highest - age) % NUMBERS
            seen = self._units.get(number)
            if seen is None:
                continue
            last = seen.last - _REORDERED if age == 0 else NUMBERS
            absent = [Gap(number, index) for index in sorted(seen.missing) if index <= last]
            if len(gaps) + len(absent) > MOST_GAPS:
                break
            gaps += absent
        return tuple(gaps)


@dataclass(slots=True)
class _Sent:
    data: bytes = field(repr=False)
    tries: int = 0  # at sending it again
    resent_after: int = -1  # newest unit sent before the last try


@final
class Resender:
    """Sender's side of one stream."""

    def __init__(self) -> None:
        self._units: OrderedDict[int, tuple[_Sent, ...]] = OrderedDict()  # references only
        self._newest = -1

    def sent(self, coded: Coded) -> None:
        if not coded.packets:
            return
        self._newest = coded.number
        if coded.kind is Kind.KEY:
            self._units.clear()  # nothing needs what was before
        if coded.reference and not coded.conceals:
            self._units[coded.number] = tuple(
                _Sent(packet) for packet in coded.packets if packet[0] >> 6 != Kind.PARITY
            )
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
        due = [
            packet
            for number in missing
            for packet in self._missing(number, feedback)
            if highest > packet.resent_after
        ]
        if any(packet.tries >= MOST_TRIES for packet in due):
            return None
        packets: list[bytes] = []
        for packet in due:
            packet.tries += 1
            packet.resent_after = self._newest
            # A second loss of the same packet costs a second round trip: two copies from then on.
            packets += [packet.data] * min(packet.tries, 2)
        return tuple(packets)

    def _missing(self, number: int, feedback: Feedback) -> list[_Sent]:
        """Packets of a unit that have not arrived."""
        sent = self._units[number]
        named = [gap.index for gap in feedback.gaps if gap.number == number % NUMBERS]
        if named:
            return [sent[index] for index in named if index < len(sent)]
        # Of the highest unit more packets may be on their way.
        return [] if number % NUMBERS == feedback.report.highest else list(sent)

    def _unwrap(self, number: int) -> int:
        return self._newest - (self._newest - number) % NUMBERS
