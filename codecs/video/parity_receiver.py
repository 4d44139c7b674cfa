"""Rebuild lost packets from parity: the receiver's half."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from auralink.codecs.errors import BitstreamError
from auralink.codecs.video.parity import LENGTH_BYTES, blocks
from auralink.codecs.video.parity_field import Bytes, restore
from auralink.codecs.video.syntax_packet import (
    AnyPacket,
    BlockParity,
    GroupParity,
    Packet,
    parse_packet,
)

HISTORY_UNITS: Final = 64  # two seconds of reference units; parity follows within 28
HISTORY_BYTES: Final = 512_000
MAX_GROUPS: Final = 32


@dataclass(slots=True)
class _Unit:
    """What arrived of one unit."""

    packets: dict[int, Packet] = field(default_factory=dict)  # by index
    rows: dict[int, BlockParity] = field(default_factory=dict)  # by row
    solved: bool = False
    size: int = 0  # bytes held


class ParityReceiver:
    """Keep what arrived lately, in order of arrival, and solve for what did not.

    Unit numbers stay modulo 2^16: the history is far shorter than a turn of the counter.
    """

    def __init__(self) -> None:
        self._units: dict[int, _Unit] = {}  # oldest arrival first
        self._groups: list[GroupParity] = []  # with two or more members missing
        self._bytes = 0

    def receive(self, packet: AnyPacket) -> list[Packet]:
        """Enter one packet; return the packets that can now be rebuilt.

        Rebuilt packets are entered too: they may solve further groups.
        """
        rebuilt: list[Packet] = []
        waiting = [packet]
        while waiting:
            for new in list(self._solve(waiting.pop())):
                if all((new.number, new.index) != (old.number, old.index) for old in rebuilt):
                    rebuilt.append(new)
                    waiting.append(new)
        return rebuilt

    def _solve(self, packet: AnyPacket) -> Iterable[Packet]:
        if isinstance(packet, GroupParity):
            return self._solve_groups([packet])
        unit = self._enter(packet)
        if unit is None:
            return ()
        if isinstance(packet, BlockParity) or packet.count > 1:
            return _solve_block(packet.number, unit)
        concerned = [group for group in self._groups if packet.number in group.members]
        return self._solve_groups(concerned) if concerned else ()

    def _enter(self, packet: Packet | BlockParity) -> _Unit | None:
        """File a packet under its unit; None if it was there or contradicts what was."""
        unit = self._units.setdefault(packet.number, _Unit())
        if isinstance(packet, Packet):
            known = next(iter(unit.packets.values()), packet)
            if packet.index in unit.packets or packet.count != known.count:
                return None
            unit.packets[packet.index] = packet
            size = len(packet.data)
        else:
            row = next(iter(unit.rows.values()), packet)
            same = packet.count == row.count and len(packet.block) == len(row.block)
            if unit.solved or packet.row in unit.rows or not same:
                return None
            unit.rows[packet.row] = packet
            size = len(packet.block)
        unit.size += size
        self._bytes += size
        while len(self._units) > HISTORY_UNITS or self._bytes > HISTORY_BYTES:
            self._bytes -= self._units.pop(next(iter(self._units))).size
        return unit

    def _solve_groups(self, groups: list[GroupParity]) -> Iterable[Packet]:
        for group in groups:
            missing = [number for number in group.members if number not in self._singles(group)]
            if group in self._groups:
                self._groups.remove(group)
            if len(missing) > 1:
                self._groups = [*self._groups[1 - MAX_GROUPS :], group]
            elif missing and (packet := self._rebuild(group, missing[0])):
                yield packet

    def _singles(self, group: GroupParity) -> dict[int, bytes]:
        """Members that are there, each as its one packet."""
        found = {}
        for number in group.members:
            unit = self._units.get(number)
            packet = unit.packets.get(0) if unit else None
            if packet is not None and packet.count == 1:
                found[number] = packet.data
        return found

    def _rebuild(self, group: GroupParity, number: int) -> Packet | None:
        size, present = len(group.block), list(self._singles(group).values())
        if any(LENGTH_BYTES + len(data) > size for data in present):
            return None
        block = np.frombuffer(group.block, np.uint8)
        if present:
            block = block ^ np.bitwise_xor.reduce(blocks(present, size), axis=0)
        return _packet_of(block, number, 0, 1)


def _solve_block(number: int, unit: _Unit) -> list[Packet]:
    """Rebuild all missing packets of a unit if enough rows are there."""
    if unit.solved or not unit.rows:
        return []
    first = next(iter(unit.rows.values()))
    count, size = first.count, len(first.block)
    fits = [
        packet.count == count and LENGTH_BYTES + len(packet.data) <= size
        for packet in unit.packets.values()
    ]
    if not all(fits) or len(unit.packets) + len(unit.rows) < count:
        return []
    unit.solved = True
    if len(unit.packets) == count:
        return []
    data = {j: blocks([packet.data], size)[0] for j, packet in unit.packets.items()}
    rows = {i: np.frombuffer(row.block, np.uint8) for i, row in unit.rows.items()}
    restored = restore(count, data, rows)
    packets = [_packet_of(block, number, index, count) for index, block in restored.items()]
    return [packet for packet in packets if packet is not None]


def _packet_of(block: Bytes, number: int, index: int, count: int) -> Packet | None:
    """Take a rebuilt block apart; None if it is not the packet that was missing."""
    data = block.tobytes()
    end = LENGTH_BYTES + int.from_bytes(data[:LENGTH_BYTES], "big")
    if end > len(data) or any(data[end:]):
        return None
    try:
        packet = parse_packet(data[LENGTH_BYTES:end])
    except BitstreamError:
        return None
    if not isinstance(packet, Packet):
        return None
    wanted = (number, index, count)
    return packet if (packet.number, packet.index, packet.count) == wanted else None
