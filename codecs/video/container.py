"""``.aic`` files: the packets of one stream, each after its length.

There is nothing else: no magic, no index, no trailer.  A file is as large as what would have been
sent, plus one or two bytes per packet.  It is recognised by its first packet, which must be the
first of a key unit.  Parity packets may be among the others.
"""

from collections.abc import Iterator
from typing import BinaryIO, Final

from auralink.codecs.errors import BitstreamError, InputError
from auralink.codecs.video.protocol import MAX_PACKET_BYTES, Kind
from auralink.codecs.video.syntax import parse_config, read_varint, write_varint
from auralink.codecs.video.syntax_packet import Packet, parse_packet

READ_BYTES: Final = 4 << 20  # per read; what is held never exceeds this and one packet
_MAX_LENGTH_BYTES: Final = 2  # 1000 fits


def write_packet(fp: BinaryIO, packet: bytes) -> int:
    """Append one packet; return the bytes written."""
    if not 1 <= len(packet) <= MAX_PACKET_BYTES:
        raise InputError(f"packet of {len(packet)} bytes: 1 to {MAX_PACKET_BYTES} are allowed")
    out = bytearray()
    write_varint(out, len(packet))
    out += packet
    fp.write(out)
    return len(out)


def read_packets(fp: BinaryIO) -> Iterator[tuple[int, bytes]]:
    """Yield ``(offset of the packet's length, packet)``, then raise if the file is damaged.

    Only framing and the first packet are checked: what is inside the others is their reader's
    affair.

    Raises:
        BitstreamError: not an AIC file, or cut off; all whole packets were given before.
    """
    buffer, position, offset = b"", 0, 0  # offset: of buffer[position] in the file
    while True:
        if len(buffer) - position < _MAX_LENGTH_BYTES + MAX_PACKET_BYTES:
            buffer, position = buffer[position:] + (fp.read(READ_BYTES) or b""), 0
            if not buffer:
                if offset == 0:
                    raise BitstreamError("empty file: an AIC file starts with a key unit")
                return
        packet, end = _cut(buffer, position, offset)
        if offset == 0:
            _check_first(packet)
        yield offset, packet
        offset += end - position
        position = end


def _cut(buffer: bytes, position: int, offset: int) -> tuple[bytes, int]:
    """The packet at ``buffer[position]`` and the position after it."""
    try:
        length, size = read_varint(buffer[position : position + _MAX_LENGTH_BYTES], 0)
    except BitstreamError:
        length, size = 0, 0
        if len(buffer) - position < _MAX_LENGTH_BYTES:
            raise _cut_off(offset, len(buffer) - position) from None
    if not 1 <= length <= MAX_PACKET_BYTES:
        what = "not an AIC file" if offset == 0 else "damaged file"
        raise BitstreamError(
            f"{what}: no packet length of 1 to {MAX_PACKET_BYTES} at byte {offset}; "
            "keep what is before it, or write the file again"
        )
    start = position + size
    if len(buffer) < start + length:
        raise _cut_off(offset, len(buffer) - position)
    return buffer[start : start + length], start + length


def _cut_off(offset: int, rest: int) -> BitstreamError:
    if offset == 0:
        return BitstreamError(f"not an AIC file, or cut off inside its first packet ({rest} bytes)")
    return BitstreamError(
        f"file cut off inside the packet at byte {offset} ({rest} bytes of it are there): "
        f"what is before it plays; truncate to {offset} bytes, or copy the file again"
    )


def _check_first(data: bytes) -> None:
    try:
        packet = parse_packet(data)
        if not isinstance(packet, Packet) or packet.kind is not Kind.KEY or packet.index:
            raise BitstreamError("its first packet does not start a key unit")
        parse_config(packet.data, packet.start)
    except BitstreamError as error:
        raise BitstreamError(f"not an AIC file: {error}") from None
