"""Units to packets."""

from dataclasses import dataclass, field
from typing import Final

from auralink.codecs.errors import EncoderError, InputError
from auralink.codecs.video.protocol import MAX_PACKET_BYTES, Kind
from auralink.codecs.video.syntax import MAX_PTS_US, StreamConfig
from auralink.codecs.video.syntax_packet import MAX_DEPENDENCIES, write_header
from auralink.codecs.video.syntax_time import MAX_DISTANCE, TimeBase

MAX_FRAGMENTS: Final = 256  # the index is one byte
# A parity packet is a header (up to 7 bytes), a length (2) and the longest packet it protects.
MAX_DATA_BYTES: Final = MAX_PACKET_BYTES - 10
# What fits in any case: headers and a configuration take at most this much of each packet.
MAX_UNIT_BYTES: Final = MAX_FRAGMENTS * (MAX_DATA_BYTES - 16)


@dataclass(frozen=True, slots=True, kw_only=True)
class Unit:
    """One coded frame, with all that its packets say about it.

    ``number`` and ``depends`` count on without wrapping.  A skip unit depends on one unit: the
    one whose picture stays.  Name the last coded unit, not the skip before, so that one lost
    skip does not cost the rest of a still scene.
    """

    kind: Kind
    number: int
    reference: bool
    depends: tuple[int, ...] = ()
    pts_us: int
    config: StreamConfig | None = None  # key units, and only they
    payload: bytes = field(default=b"", repr=False)  # of the base codec
    # Of a learned codec instead: each part travels in a packet of its own.
    parts: tuple[bytes, ...] = field(default=(), repr=False)
    lost: int = 0  # parts that did not arrive; for readers


class Packetizer:
    """Write units as packets.  Keeps the times of recent units, nothing else."""

    def __init__(self) -> None:
        self._times = TimeBase()

    def packetize(self, unit: Unit) -> tuple[bytes, ...]:
        """Split a unit into packets of nearly equal size, at most ``MAX_DATA_BYTES`` each.

        A failed call leaves no trace: the unit counts as never written.

        Raises:
            InputError: the unit contradicts itself or what was written before.
            EncoderError: it is too large for 256 packets.
        """
        _check(unit)
        divide = _divide if unit.parts else _split
        if unit.config is not None:
            packets = divide(unit, unit.config.to_bytes(), 0)
            self._times.start(unit.number, unit.config)
            return packets
        after = max(unit.depends)
        correction = self._times.correction(unit.number, after, unit.pts_us)
        packets = divide(unit, b"", correction)
        self._times.advance(unit.number, after, correction)
        return packets


def _header(unit: Unit, index: int, count: int, correction: int) -> bytes:
    return write_header(
        unit.kind,
        unit.number,
        reference=unit.reference,
        distances=tuple(sorted({unit.number - number for number in unit.depends})),
        index=index,
        count=count,
        correction=correction,
    )


def _divide(unit: Unit, config: bytes, correction: int) -> tuple[bytes, ...]:
    """One packet per part; each has the configuration, so that any of a key will do to start."""
    count = len(unit.parts)
    if count > MAX_FRAGMENTS:
        raise EncoderError(f"unit of {count} parts, {MAX_FRAGMENTS} are allowed: code it coarser")
    packets = tuple(
        _header(unit, index, count, correction) + config + part
        for index, part in enumerate(unit.parts)
    )
    if (longest := max(map(len, packets))) > MAX_DATA_BYTES:
        raise EncoderError(f"packet of {longest} bytes, {MAX_DATA_BYTES} are allowed")
    return packets


def _split(unit: Unit, config: bytes, correction: int) -> tuple[bytes, ...]:
    body = config + unit.payload

    def header(index: int, count: int) -> bytes:
        return _header(unit, index, count, correction)

    alone = header(0, 1)
    if len(alone) + len(body) <= MAX_DATA_BYTES:
        return (alone + body,)
    room = MAX_DATA_BYTES - len(header(0, 2))
    count = -(-len(body) // room)
    if count > MAX_FRAGMENTS:
        raise EncoderError(
            f"unit of {len(body)} bytes needs {count} packets, {MAX_FRAGMENTS} are allowed: "
            "code it coarser"
        )
    cuts = [len(body) * i // count for i in range(count + 1)]
    return tuple(header(i, count) + body[cuts[i] : cuts[i + 1]] for i in range(count))


def _check(unit: Unit) -> None:
    name = f"{unit.kind.name.lower()} unit {unit.number}"
    if unit.number < 0 or not 0 <= unit.pts_us <= MAX_PTS_US:
        raise InputError(f"{name} at {unit.pts_us} us: neither may be negative, nor the time huge")
    if unit.kind is Kind.KEY:
        if unit.config is None or unit.depends or unit.config.pts_us != unit.pts_us:
            raise InputError(f"{name} needs a configuration of its time and no dependency")
    elif unit.kind is Kind.PARITY or unit.config is not None or not unit.depends:
        raise InputError(f"{name} needs a dependency and no configuration")
    has_payload = bool(unit.payload or unit.parts)
    if unit.kind is Kind.SKIP and (has_payload or len(unit.depends) > 1):
        raise InputError(f"{name} has one dependency and no payload")
    if unit.kind is not Kind.SKIP and not has_payload:
        raise InputError(f"{name} has no payload")
    if len(set(unit.depends)) > MAX_DEPENDENCIES:
        raise InputError(f"{name} depends on {len(set(unit.depends))} units, not on 1 to 3")
    for number in unit.depends:
        if not 1 <= unit.number - number <= MAX_DISTANCE:
            raise InputError(f"{name} depends on unit {number}: 1 to 255 units back is possible")
