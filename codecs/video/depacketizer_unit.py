"""Packets of one unit back to the unit."""

from collections.abc import Sequence

from auralink.codecs.errors import BitstreamError
from auralink.codecs.video.packetizer import Unit
from auralink.codecs.video.protocol import Kind
from auralink.codecs.video.syntax import StreamConfig, parse_config
from auralink.codecs.video.syntax_packet import NUMBERS, Packet, parse_packet
from auralink.codecs.video.syntax_time import TimeBase


class UnitReader:
    """Read released units, in the order of their release.  The decoder's half of `Packetizer`.

    Unit numbers come out unwrapped, counted from the first key unit.
    """

    def __init__(self) -> None:
        self._times = TimeBase()
        self._number: int | None = None  # newest one read, unwrapped
        self._config: StreamConfig | None = None

    @property
    def config(self) -> StreamConfig | None:
        """Of the newest key unit; None before the first."""
        return self._config

    def read(self, packets: Sequence[bytes]) -> Unit:
        """Join all packets of one unit; state stays as it was if they cannot be joined.

        Of a learned codec the unit has parts, not a payload.

        Raises:
            BitstreamError: a packet is malformed or missing, or a dependency was never read.
        """
        head, body = join(packets)
        if self._is_learned(head):
            return self.read_parts(packets)
        number = self._unwrap(head.number)
        if head.kind is Kind.KEY:
            return self._read_key(head, number, body)
        depends = tuple(number - distance for distance in head.distances)
        pts_us = self._times.advance(number, depends[0], head.correction)
        self._number = number
        return Unit(
            kind=head.kind,
            number=number,
            reference=head.reference,
            depends=depends,
            pts_us=pts_us,
            payload=body,
        )

    def read_parts(self, packets: Sequence[bytes]) -> Unit:
        """Read what arrived of a unit of a learned codec: one packet of it at least.

        Units before it may be missing; its capture time is then predicted from the newest one that
        is not, and off by what the corrections of the missing ones said.

        Raises:
            BitstreamError: a packet is malformed or of another unit, or no key unit was read.
        """
        parsed = parse_all(packets)
        head = parsed[0]
        number = self._unwrap(head.number)
        lost = head.count - len({packet.index for packet in parsed})
        if head.kind is Kind.KEY:
            return self._read_key_parts(parsed, number, lost)
        depends = tuple(number - distance for distance in head.distances)
        known = self._times.nearest(depends[0])
        if known is None:
            raise BitstreamError("no key unit yet")
        pts_us = self._times.advance(number, known, head.correction)
        self._number = number
        return Unit(
            kind=head.kind,
            number=number,
            reference=head.reference,
            depends=depends,
            pts_us=pts_us,
            parts=tuple(packet.payload for packet in parsed),
            lost=lost,
        )

    def _is_learned(self, head: Packet) -> bool:
        config = parse_config(head.payload)[0] if head.kind is Kind.KEY else self._config
        return config is not None and config.profile.learned and head.kind is not Kind.SKIP

    def _read_key_parts(self, parsed: Sequence[Packet], number: int, lost: int) -> Unit:
        head = parsed[0]
        config, _ = parse_config(head.payload)
        opening = config.to_bytes()
        if any(not packet.payload.startswith(opening) for packet in parsed):
            raise BitstreamError("packets of one key unit with different configurations")
        self._times.start(number, config)
        self._number, self._config = number, config
        return Unit(
            kind=Kind.KEY,
            number=number,
            reference=head.reference,
            pts_us=config.pts_us,
            config=config,
            parts=tuple(packet.payload[len(opening) :] for packet in parsed),
            lost=lost,
        )

    def _read_key(self, head: Packet, number: int, body: bytes) -> Unit:
        config, start = parse_config(body)
        if start == len(body):
            raise BitstreamError("key unit without payload")
        self._times.start(number, config)
        self._number, self._config = number, config
        return Unit(
            kind=Kind.KEY,
            number=number,
            reference=head.reference,
            pts_us=config.pts_us,
            config=config,
            payload=body[start:],
        )

    def _unwrap(self, number: int) -> int:
        if self._number is None:
            return number
        return self._number + (number - self._number) % NUMBERS


def join(packets: Sequence[bytes]) -> tuple[Packet, bytes]:
    """Check that these are all packets of one unit; return the first and the joined payload."""
    parsed = parse_all(packets)
    head = parsed[0]
    for position, packet in enumerate(parsed):
        if packet.index != position:
            raise BitstreamError(f"packet {packet.index} of unit {head.number} at {position}")
    if len(parsed) != head.count:
        raise BitstreamError(f"{len(parsed)} of {head.count} packets of unit {head.number}")
    return head, b"".join(packet.payload for packet in parsed)


def parse_all(packets: Sequence[bytes]) -> list[Packet]:
    """Check that these are packets of one unit, at least one."""
    if not packets:
        raise BitstreamError("unit without packets")
    parsed: list[Packet] = []
    for data in packets:
        packet = parse_packet(data)
        if not isinstance(packet, Packet):
            raise BitstreamError("parity packet inside a unit")
        head = parsed[0] if parsed else packet
        if packet.number != head.number or packet.unit_header != head.unit_header:
            raise BitstreamError(f"packets of units {head.number} and {packet.number} mixed")
        parsed.append(packet)
    return parsed
