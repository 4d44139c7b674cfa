"""Opus frames in AIC packets.  Pure.

::

    0        1..2      3..8       then `count` times      then the frames
    head     number    pts_us     length u8               one after the other
             u16       u48        0: nothing was sent

    head: version 1 in the upper four bits, count 1..8 in the lower ones

``number`` counts frames of 20 ms and wraps; ``pts_us`` is the capture time of the first.  A frame
of no length was not sent: the receiver's concealment fills it.
"""

from dataclasses import dataclass, field
from typing import Final

from auralink.codecs.errors import BitstreamError, InputError

VERSION: Final = 1
MAX_FRAMES: Final = 8
MAX_FRAME_BYTES: Final = 255
NUMBERS: Final = 1 << 16
MAX_PTS_US: Final = (1 << 48) - 1  # nine years of uptime
HEADER_BYTES: Final = 9


@dataclass(frozen=True, slots=True, kw_only=True)
class AudioPacket:
    number: int  # of the first frame
    pts_us: int
    frames: tuple[bytes, ...] = field(repr=False)


def write_packet(packet: AudioPacket) -> bytes:
    """
    Raises:
        InputError: no frames, too many, one too long, or a time that cannot be.
    """
    if not 1 <= len(packet.frames) <= MAX_FRAMES:
        raise InputError(f"{len(packet.frames)} audio frames in a packet: 1 to {MAX_FRAMES}")
    if any(len(frame) > MAX_FRAME_BYTES for frame in packet.frames):
        raise InputError(f"an audio frame has at most {MAX_FRAME_BYTES} bytes")
    if not 0 <= packet.pts_us <= MAX_PTS_US:
        raise InputError(f"audio captured at {packet.pts_us} us: 0 to 2^48 - 1 can be written")
    head = bytes([VERSION << 4 | len(packet.frames)])
    head += (packet.number % NUMBERS).to_bytes(2) + packet.pts_us.to_bytes(6)
    return head + bytes(map(len, packet.frames)) + b"".join(packet.frames)


def parse_packet(data: bytes) -> AudioPacket:
    """
    Raises:
        BitstreamError: another version, or not as long as it says.
    """
    if len(data) < HEADER_BYTES + 1:
        raise BitstreamError(f"audio packet of {len(data)} bytes, {HEADER_BYTES + 1} are the least")
    if data[0] >> 4 != VERSION:
        raise BitstreamError(f"audio packet of version {data[0] >> 4}, {VERSION} is known")
    count = data[0] & 15
    if not 1 <= count <= MAX_FRAMES:
        raise BitstreamError(f"audio packet of {count} frames")
    at = HEADER_BYTES + count
    lengths = data[HEADER_BYTES:at]
    if len(lengths) < count or at + sum(lengths) != len(data):
        raise BitstreamError("audio packet is not as long as it says")
    frames = []
    for length in lengths:
        frames.append(data[at : at + length])
        at += length
    number, pts_us = int.from_bytes(data[1:3]), int.from_bytes(data[3:HEADER_BYTES])
    return AudioPacket(number=number, pts_us=pts_us, frames=tuple(frames))
