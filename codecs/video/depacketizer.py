"""Datagrams in any order to units that can be decoded.

A unit is released when it is complete and all it depends on was released before; released numbers
only rise.  So the decoder that is fed every released unit, in order, never meets a missing
reference.  There is no clock here: a unit that waits is held until

* what it waits for arrives late, by retransmission or through parity, or
* a unit that can do without is complete (a key unit, or one that predicts from an older released
  unit), which makes everything before it obsolete, or
* the bounds are reached, where the oldest arrival makes room, or 64 others were released since.

A stream of a learned codec is released sooner: any packet of it can be read, and the decoder makes
do without what is missing.  There a unit that is not complete, or lacks a reference, waits only
until a later unit begins, and is then released as it is.

The price of having no clock: a late unit that nothing depends on is dropped once its successor
is released, where a jitter buffer might have waited a little.
"""

from dataclasses import dataclass, field
from typing import Final

from auralink.codecs.errors import BitstreamError
from auralink.codecs.video.depacketizer_loss import LossMeter
from auralink.codecs.video.parity_receiver import ParityReceiver
from auralink.codecs.video.protocol import Kind
from auralink.codecs.video.syntax import parse_config
from auralink.codecs.video.syntax_packet import NUMBERS, AnyPacket, Packet, parse_packet
from auralink.codecs.video.syntax_time import MAX_DISTANCE

MAX_HELD_UNITS: Final = 64
MAX_HELD_BYTES: Final = 512_000
# Numbers up to this far behind the newest released unit are old; all others are ahead of it, so
# that a key unit is understood after any outage and any restart of the sender.
OLD_WINDOW: Final = 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Statistics:
    """Totals since the start, except ``held``."""

    received: int  # datagrams, all of them
    duplicates: int  # data packets that came twice
    malformed: int  # datagrams that are no packet
    recovered: int  # data packets rebuilt from parity and used
    lost: int  # data packets that should have come and did not (estimate, before repair)
    released: int  # units
    late: int  # data packets that came too late, or whose unit was given up
    held: int  # units waiting now


@dataclass(slots=True)
class _Held:
    number: int  # unwrapped
    head: Packet
    born: int  # units released before it
    packets: dict[int, bytes] = field(default_factory=dict)  # by index
    size: int = 0

    @property
    def complete(self) -> bool:
        return len(self.packets) == self.head.count

    @property
    def depends(self) -> tuple[int, ...]:
        return tuple(self.number - distance for distance in self.head.distances)


class Depacketizer:
    """One per stream and receiver."""

    def __init__(self) -> None:
        self._parity = ParityReceiver()
        self._loss = LossMeter()
        self._held: dict[int, _Held] = {}  # by unwrapped number, oldest arrival first
        self._held_bytes = 0
        self._released: set[int] = set()  # since the last key unit, as far as can be depended on
        self._newest: int | None = None  # newest released number
        self._origin: int | None = None  # first number seen; anchors unwrapping until a release
        self._learned = False  # the stream conceals what is lost
        self._totals = dict.fromkeys(("received", "duplicates", "malformed"), 0)
        self._totals |= dict.fromkeys(("recovered", "released", "late"), 0)

    def push(self, datagram: bytes) -> list[tuple[bytes, ...]]:
        """Enter one datagram; return the units it releases, each as its packets in order.

        Units of learned codecs may lack packets.
        """
        self._totals["received"] += 1
        try:
            packet = parse_packet(datagram)
            _check_config(packet)
        except BitstreamError:
            self._totals["malformed"] += 1
            return []
        if isinstance(packet, Packet):
            number = self._unwrap(packet.number)
            if not self._loss.count(number, packet.index, packet.count):
                self._totals["duplicates"] += 1
                return []
            if not self._hold(number, packet) and number not in self._released:
                self._totals["late"] += 1
        for rebuilt in self._parity.receive(packet):
            self._totals["recovered"] += self._hold(self._unwrap(rebuilt.number), rebuilt)
        return self._release()

    def statistics(self) -> Statistics:
        lost = max(0, self._loss.expected - self._loss.received)
        return Statistics(**self._totals, lost=lost, held=len(self._held))

    def loss(self) -> float:
        """Share of data packets lost since the last call, before repair; for the report."""
        return self._loss.share()

    def missing(self) -> int | None:
        """Number (0..65535) of the oldest unit that held units wait for; None if none waits.

        A waiting skip unit does not count: without it the picture is the same.
        """
        absent = [
            number
            for held in self._held.values()
            if held.head.kind is not Kind.SKIP
            for number in held.depends
            if not self._has(number)
        ]
        return min(absent) % NUMBERS if absent else None

    @property
    def stuck(self) -> bool:
        """Units wait for one that is missing.  True for a moment at any reordering as well."""
        return self.missing() is not None

    def _has(self, number: int) -> bool:
        held = self._held.get(number)
        return number in self._released or (held is not None and held.complete)

    def _unwrap(self, number: int) -> int:
        if self._origin is None:
            self._origin = number + NUMBERS  # there may be older ones under way
        anchor = self._origin if self._newest is None else self._newest
        oldest = anchor - OLD_WINDOW
        return oldest + (number - oldest) % NUMBERS

    def _hold(self, number: int, packet: Packet) -> bool:
        """Keep a packet until its unit can be released; False if it is of no use."""
        if self._newest is not None and number <= self._newest:
            return False
        born = self._totals["released"]
        held = self._held.setdefault(number, _Held(number, packet, born))
        if packet.index in held.packets or packet.unit_header != held.head.unit_header:
            return False
        held.packets[packet.index] = packet.data
        held.size += len(packet.data)
        self._held_bytes += len(packet.data)
        while len(self._held) > MAX_HELD_UNITS or self._held_bytes > MAX_HELD_BYTES:
            self._give_up(next(iter(self._held)))
        return True

    def _release(self) -> list[tuple[bytes, ...]]:
        units = []
        while (held := self._next()) is not None:
            units.append(tuple(held.packets[index] for index in sorted(held.packets)))
            self._enter(held)
        return units

    def _next(self) -> _Held | None:
        held = self._held.values()
        ready = [unit for unit in held if self._ready(unit)]
        if not ready and self._learned and len(held) > 1:
            begun = max(self._held)
            ready = [unit for unit in held if unit.number < begun]
        return min(ready, key=lambda unit: unit.number, default=None)

    def _ready(self, held: _Held) -> bool:
        return held.complete and all(number in self._released for number in held.depends)

    def _enter(self, held: _Held) -> None:
        """Note a release and give up what it makes obsolete."""
        self._held_bytes -= self._held.pop(held.number).size
        self._totals["released"] += 1
        self._newest = held.number
        if held.head.kind is Kind.KEY:
            self._released.clear()
            self._learned = _learned(held.packets[min(held.packets)])
        self._released = {n for n in self._released if held.number - n < MAX_DISTANCE}
        self._released.add(held.number)
        oldest = self._totals["released"] - MAX_HELD_UNITS
        for other in list(self._held.values()):
            ahead = other.number - held.number
            if not 0 < ahead <= OLD_WINDOW or other.born < oldest:  # stray numbers go, too
                self._give_up(other.number)

    def _give_up(self, number: int) -> None:
        held = self._held.pop(number)
        self._held_bytes -= held.size
        self._totals["late"] += len(held.packets)


def _learned(data: bytes) -> bool:
    """Whether a key unit's packet says that networks code the stream."""
    try:
        packet = parse_packet(data)
        return isinstance(packet, Packet) and parse_config(packet.payload)[0].profile.learned
    except BitstreamError:
        return False


def _check_config(packet: AnyPacket) -> None:
    """A key unit obsoletes all before it: be sure that it is one."""
    if not isinstance(packet, Packet):
        return
    if packet.kind is Kind.KEY and packet.index == 0:
        parse_config(packet.data, packet.start)
