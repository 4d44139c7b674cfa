"""One packet: the unit header, the parity header, and their parser.

::

    byte 0     bits 7-6  kind: KEY 0, DELTA 1, SKIP 2, PARITY 3
               bit  5    reference: later units may depend on this one
               bits 4-2  dependencies: 0 none, 1 {n-1}, 2 {n-2}, 3 {n-1, n-2}, 4 {n-4},
                         5-7 a list of 1-3 distances, one byte each, ascending
               bit  1    fragmented: index and count follow
               bit  0    a timing correction follows
    bytes 1-2  number of the unit, big-endian, wraps
    then       [distances] [index, count - 1] [zigzag LEB128 correction] payload
"""

from dataclasses import dataclass, field
from typing import Final, TypeAlias

from auralink.codecs.errors import BitstreamError
from auralink.codecs.video.protocol import MAX_PACKET_BYTES, Kind
from auralink.codecs.video.syntax import read_varint, unzigzag, write_varint, zigzag
from auralink.codecs.video.syntax_time import MAX_CORRECTION

NUMBERS: Final = 1 << 16  # unit numbers count modulo this
MAX_DEPENDENCIES: Final = 3

_REFERENCE, _FRAGMENTED, _TIMED = 0x20, 0x02, 0x01
_COMPACT: Final = ((), (1,), (2,), (1, 2), (4,))  # distances by dependency code
_CODES: Final = {distances: code for code, distances in enumerate(_COMPACT)}

_BLOCK: Final = 0x20  # parity: Reed-Solomon over one unit; else XOR over several
_MAX_MASK: Final = 1 << 28  # four bytes
MAX_GROUP: Final = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Packet:
    """A parsed packet of a key, delta or skip unit.  ``data`` is the whole of it."""

    data: bytes = field(repr=False)
    kind: Kind
    reference: bool
    number: int  # 0..65535
    distances: tuple[int, ...]  # ascending; unit ``number - distance`` must be there before
    index: int = 0
    count: int = 1
    correction: int = 0  # of the capture time, in 100 us
    start: int  # where the payload starts in ``data``

    @property
    def payload(self) -> bytes:
        return self.data[self.start :]

    @property
    def unit_header(self) -> tuple[object, ...]:
        """What all packets of one unit have in common."""
        return self.kind, self.reference, self.distances, self.count, self.correction


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupParity:
    """XOR of one packet each of up to eight single-packet units."""

    number: int  # newest member, 0..65535
    mask: int  # bit i: unit ``number - 1 - i`` is a member too
    block: bytes = field(repr=False)

    @property
    def members(self) -> tuple[int, ...]:
        """Unit numbers 0..65535, newest first."""
        older = (i + 1 for i in range(self.mask.bit_length()) if self.mask >> i & 1)
        return self.number, *((self.number - distance) % NUMBERS for distance in older)


@dataclass(frozen=True, slots=True, kw_only=True)
class BlockParity:
    """One Reed-Solomon row over the ``count`` packets of one unit."""

    number: int  # 0..65535
    count: int  # data packets of the unit, at least 2
    row: int  # count + row < 256
    block: bytes = field(repr=False)


AnyPacket: TypeAlias = Packet | GroupParity | BlockParity


def write_header(
    kind: Kind,
    number: int,
    *,
    reference: bool,
    distances: tuple[int, ...] = (),
    index: int = 0,
    count: int = 1,
    correction: int = 0,
) -> bytes:
    """The bytes before the payload; ``distances`` ascending."""
    code = _CODES.get(distances)
    first = kind << 6 | (4 + len(distances) if code is None else code) << 2
    first |= _REFERENCE * reference | _FRAGMENTED * (count > 1) | _TIMED * (correction != 0)
    out = bytearray((first, number >> 8 & 0xFF, number & 0xFF))
    if code is None:
        out += bytes(distances)
    if count > 1:
        out += bytes((index, count - 1))
    if correction:
        write_varint(out, zigzag(correction))
    return bytes(out)


def write_parity_header(parity: GroupParity | BlockParity) -> bytes:
    out = bytearray((Kind.PARITY << 6, parity.number >> 8, parity.number & 0xFF))
    if isinstance(parity, GroupParity):
        write_varint(out, parity.mask)
    else:
        out[0] |= _BLOCK
        out += bytes((parity.count - 1, parity.row))
    return bytes(out)


def parse_packet(data: bytes) -> AnyPacket:
    """
    Raises:
        BitstreamError: these bytes are no packet.
    """
    if not 3 <= len(data) <= MAX_PACKET_BYTES:
        raise BitstreamError(f"packet of {len(data)} bytes: 3 to {MAX_PACKET_BYTES} are allowed")
    if data[0] >> 6 == Kind.PARITY:
        return _parse_parity(data)
    return _parse_unit_packet(data)


def _parse_unit_packet(data: bytes) -> Packet:
    first = data[0]
    kind = Kind(first >> 6)
    distances, position = _parse_distances(data, first >> 2 & 7)
    index, count, correction = 0, 1, 0
    if first & _FRAGMENTED:
        if len(data) < position + 2:
            raise BitstreamError("packet ends inside its header")
        index, count = data[position], data[position + 1] + 1
        position += 2
        if index >= count or count == 1:
            raise BitstreamError(f"packet {index} of {count}")
    if first & _TIMED:
        value, position = read_varint(data, position)
        correction = unzigzag(value)
        if correction == 0 or abs(correction) > MAX_CORRECTION:
            raise BitstreamError(f"timing correction of {correction}")
    packet = Packet(
        data=data,
        kind=kind,
        reference=bool(first & _REFERENCE),
        number=data[1] << 8 | data[2],
        distances=distances,
        index=index,
        count=count,
        correction=correction,
        start=position,
    )
    _check(packet)
    return packet


def _parse_distances(data: bytes, code: int) -> tuple[tuple[int, ...], int]:
    if code < len(_COMPACT):
        return _COMPACT[code], 3
    distances = tuple(data[3 : code - 1])
    if len(distances) != code - 4:
        raise BitstreamError("packet ends inside its header")
    if any(b <= a for a, b in zip((0, *distances), distances, strict=False)):
        raise BitstreamError(f"dependency distances {distances} do not ascend from 1")
    return distances, code - 1


def _check(packet: Packet) -> None:
    """What a header may say depends on its kind."""
    has_payload = len(packet.data) > packet.start
    match packet.kind:
        case Kind.KEY:
            if packet.distances or packet.correction:
                raise BitstreamError("a key unit depends on nothing and carries its time itself")
        case Kind.DELTA:
            if not packet.distances:
                raise BitstreamError("a delta unit must say what it depends on")
        case _:
            if len(packet.distances) != 1 or packet.count > 1 or has_payload:
                raise BitstreamError("a skip unit has one dependency, one packet and no payload")
            return
    if not has_payload:
        raise BitstreamError(f"{packet.kind.name.lower()} packet without payload")


def _parse_parity(data: bytes) -> GroupParity | BlockParity:
    if data[0] & 0x1F:
        raise BitstreamError(f"parity of an unknown kind ({data[0] & 0x1F:#x})")
    number = data[1] << 8 | data[2]
    if not data[0] & _BLOCK:
        mask, start = read_varint(data, 3)
        if mask >= _MAX_MASK or mask.bit_count() >= MAX_GROUP:
            raise BitstreamError(f"parity over an invalid group ({mask:#x})")
        parity: GroupParity | BlockParity = GroupParity(
            number=number, mask=mask, block=data[start:]
        )
    else:
        if len(data) < 5:
            raise BitstreamError("packet ends inside its header")
        count, row = data[3] + 1, data[4]
        if count < 2 or count + row > 255:
            raise BitstreamError(f"parity row {row} over {count} packets")
        parity = BlockParity(number=number, count=count, row=row, block=data[5:])
    if len(parity.block) < 5:  # two bytes of length, three of the shortest packet
        raise BitstreamError(f"parity block of {len(parity.block)} bytes")
    return parity
