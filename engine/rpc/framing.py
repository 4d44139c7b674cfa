"""Several packets as one byte string, each after its length: the form of ``.aic`` files."""

from collections.abc import Iterable
from typing import Final

from auralink.codecs.errors import BitstreamError
from auralink.codecs.video.protocol import MAX_PACKET_BYTES
from auralink.codecs.video.syntax import read_varint, write_varint

# An audio packet of eight frames has 2,057 bytes.
MAX_AUDIO_PACKET_BYTES: Final = 2_057
MAX_PACKETS: Final = 2_048  # of one message: eight of the largest units


def join(packets: Iterable[bytes]) -> bytes:
    out = bytearray()
    for packet in packets:
        write_varint(out, len(packet))
        out += packet
    return bytes(out)


def split(data: bytes, *, longest: int = MAX_PACKET_BYTES) -> list[bytes]:
    """
    Raises:
        BitstreamError: lengths and bytes do not agree.
    """
    packets: list[bytes] = []
    at = 0
    while at < len(data):
        if len(packets) == MAX_PACKETS:
            raise BitstreamError(f"more than {MAX_PACKETS} packets at once")
        length, start = read_varint(data, at)
        if not 1 <= length <= longest:
            raise BitstreamError(f"packet of {length} bytes at byte {at}: 1 to {longest}")
        if start + length > len(data):
            raise BitstreamError(f"packet at byte {at} is cut off after {len(data) - start} bytes")
        packets.append(data[start : start + length])
        at = start + length
    return packets
