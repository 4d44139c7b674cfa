"""AV1 temporal units on a diet: no delimiter, no padding, no size where the end is known.

A temporal unit in the low-overhead format (AV1 specification 5.2) starts with a two-byte temporal
delimiter and carries the size of every OBU, the last included.  A packet format that knows where
a unit ends needs neither; on a 300-byte delta frame that is over one per cent.
"""

import enum
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from auralink.codecs.errors import BitstreamError

MAX_OBUS: Final = 256  # per temporal unit; encoders write two to five
_MAX_SIZE_BYTES: Final = 4  # 256 MiB; the specification allows eight
_EXTENSION, _HAS_SIZE = 0x04, 0x02
_DELIMITER: Final = b"\x12\x00"


class ObuType(enum.IntEnum):
    SEQUENCE_HEADER = 1
    TEMPORAL_DELIMITER = 2
    FRAME_HEADER = 3
    TILE_GROUP = 4
    METADATA = 5
    FRAME = 6
    REDUNDANT_FRAME_HEADER = 7
    TILE_LIST = 8
    PADDING = 15


# A decoder of moving pictures does without these.
_DROPPED: Final = {ObuType.TEMPORAL_DELIMITER, ObuType.TILE_LIST, ObuType.PADDING}


@dataclass(frozen=True, slots=True, kw_only=True)
class Obu:
    """One open bitstream unit.  ``type`` may be a reserved number."""

    type: int
    header: bytes  # one or two bytes, the size flag cleared
    payload: bytes = field(repr=False)

    @property
    def temporal_id(self) -> int:
        return self.header[1] >> 5 if len(self.header) > 1 else 0

    @property
    def spatial_id(self) -> int:
        return self.header[1] >> 3 & 3 if len(self.header) > 1 else 0

    def to_bytes(self, *, sized: bool) -> bytes:
        if not sized:
            return self.header + self.payload
        size = bytearray()
        rest = len(self.payload)
        while rest > 0x7F:
            size.append(rest & 0x7F | 0x80)
            rest >>= 7
        size.append(rest)
        return bytes((self.header[0] | _HAS_SIZE,)) + self.header[1:] + size + self.payload


def split(data: bytes) -> Iterator[Obu]:
    """Yield the OBUs of a temporal unit, whole or stripped.

    Raises:
        BitstreamError: a size or header is wrong; the OBUs before it were given.
    """
    position, count = 0, 0
    while position < len(data):
        count += 1
        if count > MAX_OBUS:
            raise BitstreamError(f"temporal unit of more than {MAX_OBUS} OBUs")
        first = data[position]
        if first & 0x80:
            raise BitstreamError(f"no OBU header at byte {position}")
        start = position + (2 if first & _EXTENSION else 1)
        if start > len(data):
            raise BitstreamError(f"OBU header cut off at byte {position}")
        header = bytes((first & ~_HAS_SIZE,)) + data[position + 1 : start]
        end = len(data)
        if first & _HAS_SIZE:
            size, start = _read_size(data, start)
            end = start + size
            if end > len(data):
                raise BitstreamError(
                    f"OBU at byte {position} ends {end - len(data)} bytes too late"
                )
        yield Obu(type=first >> 3 & 0xF, header=header, payload=data[start:end])
        position = end


def strip(data: bytes) -> bytes:
    """Take from a temporal unit what :func:`restore` can put back.

    Raises:
        BitstreamError: this is no temporal unit, or nothing of it is worth sending.
    """
    kept = [obu for obu in split(data) if obu.type not in _DROPPED]
    if not kept:
        raise BitstreamError(f"temporal unit of {len(data)} bytes without a frame")
    return b"".join(obu.to_bytes(sized=obu is not kept[-1]) for obu in kept)


def restore(data: bytes) -> bytes:
    """Make a temporal unit that any decoder takes: a delimiter, and a size in every OBU.

    Raises:
        BitstreamError: this is no stripped temporal unit.
    """
    obus = [obu for obu in split(data) if obu.type not in _DROPPED]
    if not obus:
        raise BitstreamError("empty temporal unit")
    return _DELIMITER + b"".join(obu.to_bytes(sized=True) for obu in obus)


def _read_size(data: bytes, position: int) -> tuple[int, int]:
    size = 0
    for count, byte in enumerate(data[position : position + _MAX_SIZE_BYTES]):
        size |= (byte & 0x7F) << (7 * count)
        if byte < 0x80:
            return size, position + count + 1
    raise BitstreamError(f"no OBU size at byte {position}")
