"""Which packets get parity, and how much: the sender's half.

Only reference units are protected; losing another one costs a single picture.  Two shapes:

* *group*: XOR over up to eight single-packet units, one packet each.  One lost member can be
  rebuilt.  A group of one is a repetition.
* *block*: Reed-Solomon rows over the packets of one larger unit, mostly a key unit.  As many lost
  packets can be rebuilt as rows arrive.

A protected block is ``length (2 bytes) || packet || zeros``, header of the packet included.
"""

from collections.abc import Sequence
from math import ceil
from typing import Final

import numpy as np

from auralink.codecs.video.parity_field import FIELD, Bytes, parity_row
from auralink.codecs.video.protocol import Kind
from auralink.codecs.video.syntax_packet import (
    MAX_GROUP,
    NUMBERS,
    BlockParity,
    GroupParity,
    write_parity_header,
)

LENGTH_BYTES: Final = 2
MAX_SPAN: Final = 28  # bits in the mask of a group


class ParitySender:
    """Spend ``strength`` packets of parity per packet of reference units, in the long run."""

    def __init__(self) -> None:
        self._credit = 0.0
        self._group: list[bytes] = []  # single packets since the last parity, oldest first

    def protect(
        self, packets: Sequence[bytes], *, reference: bool, strength: float
    ) -> tuple[bytes, ...]:
        """Return the parity to send after ``packets``, all packets of one unit."""
        if not reference or not packets:
            return ()
        if packets[0][0] >> 6 == Kind.KEY:
            self._group.clear()  # nothing after a key unit needs what was before it
        if strength <= 0.0:
            self._credit = 0.0
            self._group.clear()
            return ()
        self._credit += min(1.0, strength) * len(packets)
        if len(packets) > 1:
            return self._protect_block(packets)
        return self._protect_single(packets[0])

    def _protect_single(self, packet: bytes) -> tuple[bytes, ...]:
        number = _number(packet)
        self._group = [
            member
            for member in self._group[1 - MAX_GROUP :]
            if (number - _number(member)) % NUMBERS <= MAX_SPAN
        ]
        self._group.append(packet)
        if self._credit < 1.0:
            return ()
        self._credit -= 1.0
        parity = xor_parity(self._group)
        self._group.clear()
        return (parity,)

    def _protect_block(self, packets: Sequence[bytes]) -> tuple[bytes, ...]:
        # A key unit rounds up, on credit: one lost packet too many would cost all of it.
        is_key = packets[0][0] >> 6 == Kind.KEY
        rows = max(1, ceil(self._credit)) if is_key else round(max(0.0, self._credit))
        rows = min(rows, FIELD - len(packets))
        if rows < 1:
            return ()
        self._credit -= rows
        return block_parity(packets, rows)


def xor_parity(packets: Sequence[bytes]) -> bytes:
    """One parity packet over single packets of different units, oldest first."""
    newest = _number(packets[-1])
    mask = 0
    for packet in packets[:-1]:
        mask |= 1 << (newest - _number(packet)) % NUMBERS - 1
    sums: Bytes = np.bitwise_xor.reduce(blocks(packets), axis=0)
    block = sums.tobytes()
    return write_parity_header(GroupParity(number=newest, mask=mask, block=block)) + block


def block_parity(packets: Sequence[bytes], rows: int) -> tuple[bytes, ...]:
    """The first ``rows`` parity packets over all packets of one unit."""
    number, count, data = _number(packets[0]), len(packets), blocks(packets)
    out = []
    for row in range(rows):
        block = parity_row(row, data).tobytes()
        header = BlockParity(number=number, count=count, row=row, block=block)
        out.append(write_parity_header(header) + block)
    return tuple(out)


def blocks(packets: Sequence[bytes], size: int = 0) -> Bytes:
    """Packets as rows of a matrix: length, bytes, zeros up to ``size`` (or the longest)."""
    size = size or LENGTH_BYTES + max(map(len, packets))
    rows = (len(packet).to_bytes(LENGTH_BYTES, "big") + packet for packet in packets)
    padded = b"".join(row.ljust(size, b"\0") for row in rows)
    return np.frombuffer(padded, np.uint8).reshape(len(packets), size)


def _number(packet: bytes) -> int:
    return packet[1] << 8 | packet[2]
