"""Packets of LiveKit data tracks, version 0.  Pure.

::

    0          1  2..3    4..5      6..7   8..11      12..
    V3 S F X r 0  handle  sequence  frame  timestamp  [extensions]  payload
                                           90 kHz

    extensions (X): u16 L, then (u8 id, u8 length, data)*, zeros; (L + 1) * 4 bytes in all

S marks a frame's first packet, F its last.  The frames here are AIC packets, one to a data-track
packet: AIC has its own units, repair and order, and a frame of several packets would be lost with
any one of them.  Source: livekit/rust-sdks ``livekit-datatrack``; checked against livekit-server
1.13.5.
"""

import struct
from dataclasses import dataclass, field
from typing import Final

from auralink.codecs.errors import BitstreamError

HEADER_BYTES: Final = 12
_HEADER: Final = struct.Struct(">BBHHHI")
_VERSION_SHIFT: Final = 5
_FIRST, _FINAL, _EXTENDED = 1 << 4, 1 << 3, 1 << 2
_USER_TIMESTAMP: Final = 2
_STAMP: Final = struct.Struct(">HBBQH")  # L, id, length, microseconds, padding to 4 bytes
_STAMP_WORDS: Final = 4
MAX_BYTES: Final = 65_535  # the server reads no more, and its channel would be dead after it


@dataclass(frozen=True, slots=True, kw_only=True)
class DataPacket:
    """One packet of a data track.

    Attributes:
        timestamp: 90 kHz, wraps.
        user_us: the sender's own time, microseconds, if it sends one.
    """

    handle: int
    sequence: int
    frame: int
    timestamp: int
    first: bool = True
    final: bool = True
    user_us: int | None = None
    payload: bytes = field(repr=False)


def write_packet(packet: DataPacket) -> bytes:
    flags = _FIRST * packet.first | _FINAL * packet.final
    extension = b""
    if packet.user_us is not None:
        flags |= _EXTENDED
        extension = _STAMP.pack(_STAMP_WORDS - 2, _USER_TIMESTAMP, 8, packet.user_us, 0)[:-2]
    head = _HEADER.pack(
        flags,
        0,
        packet.handle,
        packet.sequence & 0xFFFF,
        packet.frame & 0xFFFF,
        packet.timestamp & 0xFFFF_FFFF,
    )
    return head + extension + packet.payload


def parse_packet(data: bytes) -> DataPacket:
    """
    Raises:
        BitstreamError: too short, another version, or extensions beyond the end.
    """
    if len(data) < HEADER_BYTES:
        raise BitstreamError(f"data-track packet of {len(data)} bytes, {HEADER_BYTES} is the least")
    flags, _, handle, sequence, frame, timestamp = _HEADER.unpack_from(data)
    if flags >> _VERSION_SHIFT:
        raise BitstreamError(f"data-track packet of version {flags >> _VERSION_SHIFT}, 0 is known")
    start, user_us = HEADER_BYTES, None
    if flags & _EXTENDED:
        start, user_us = _extensions(data)
    return DataPacket(
        handle=handle,
        sequence=sequence,
        frame=frame,
        timestamp=timestamp,
        first=bool(flags & _FIRST),
        final=bool(flags & _FINAL),
        user_us=user_us,
        payload=data[start:],
    )


def _extensions(data: bytes) -> tuple[int, int | None]:
    """Where the payload starts, and the user timestamp."""
    if len(data) < HEADER_BYTES + 2:
        raise BitstreamError("data-track packet ends within its extensions")
    end = HEADER_BYTES + (int.from_bytes(data[HEADER_BYTES : HEADER_BYTES + 2]) + 1) * 4
    if end > len(data):
        raise BitstreamError("data-track packet ends within its extensions")
    at, user_us = HEADER_BYTES + 2, None
    while at + 2 <= end and data[at]:
        kind, length = data[at], data[at + 1]
        value = data[at + 2 : min(at + 2 + length, end)]
        if kind == _USER_TIMESTAMP and length == 8 and len(value) == 8:
            user_us = int.from_bytes(value)
        at += 2 + length
    return end, user_us
