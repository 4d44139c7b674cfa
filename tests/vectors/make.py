"""Write the vectors of bitstream version 1 anew, from ``moving_128x96.ivf``.

Run ``python tests/vectors/make.py`` after a deliberate change of the bitstream, never to make a
test pass.  The IVF file holds twelve frames by SVT-AV1 4.1 (preset 8, crf 35, ``pred-struct=1:
rtc=1``): a disc that crosses a still, textured background.  Odd frames are not referred to.
"""

import json
import struct
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

from auralink.codecs.av1.obu import strip
from auralink.codecs.video.container import write_packet
from auralink.codecs.video.depacketizer_unit import UnitReader
from auralink.codecs.video.packetizer import Packetizer, Unit
from auralink.codecs.video.parity import block_parity, xor_parity
from auralink.codecs.video.protocol import Kind
from auralink.codecs.video.syntax import Profile, StreamConfig
from auralink.codecs.video.syntax_packet import GroupParity, Packet, parse_packet

HERE = Path(__file__).parent
FIRST = 65530  # the file runs over the wrap
START_US = 1_000_000


def temporal_units() -> list[bytes]:
    data = (HERE / "moving_128x96.ivf").read_bytes()
    units, position = [], struct.unpack_from("<H", data, 6)[0]
    while position < len(data):
        size = struct.unpack_from("<I", data, position)[0]
        units.append(data[position + 12 : position + 12 + size])
        position += 12 + size
    return units


def config(**changes: int) -> StreamConfig:
    values = {"width": 128, "height": 96, "base_width": 128, "base_height": 96, "model_id": 0}
    values |= {"pts_us": START_US, "interval_ns": 33_333_333} | changes
    return StreamConfig(profile=Profile.NATIVE_AV1, **values)


def stream() -> Iterator[tuple[bytes, ...]]:
    """Twelve coded frames, then two skips, all at 30 frames a second."""
    packetizer, units = Packetizer(), temporal_units()
    for i in range(len(units) + 2):
        kind = Kind.SKIP if i >= len(units) else Kind.DELTA if i else Kind.KEY
        back = i - len(units) + 2 if kind is Kind.SKIP else 1 if i % 2 else 2
        yield packetizer.packetize(
            Unit(
                kind=kind,
                number=FIRST + i,
                reference=i % 2 == 0 and kind is not Kind.SKIP,
                depends=() if kind is Kind.KEY else (FIRST + i - back,),
                pts_us=START_US + round(i * 1e6 / 30),
                config=config() if kind is Kind.KEY else None,
                payload=b"" if kind is Kind.SKIP else strip(units[i]),
            )
        )


def singles() -> Iterator[tuple[str, bytes]]:
    """One packet of every kind and shape; payloads are short and meaningless."""
    packetizer = Packetizer()

    def write(
        kind: Kind, number: int, *depends: int, late_us: int = 0, **more: object
    ) -> list[bytes]:
        pts_us = START_US + round((number - 1000) * 1e6 / 30) + late_us
        values = {"kind": kind, "number": number, "depends": depends, "pts_us": pts_us}
        values |= {"reference": True, "payload": b"" if kind is Kind.SKIP else b"\xa5\x5a\x00"}
        return list(packetizer.packetize(Unit(**(values | more))))

    opening = write(Kind.KEY, 1000, config=config(width=1280, height=720, model_id=7))
    yield "key", opening[0]
    yield "delta-previous", write(Kind.DELTA, 1001, 1000, reference=False)[0]
    yield "delta-second-previous", write(Kind.DELTA, 1002, 1000)[0]
    yield "delta-two", write(Kind.DELTA, 1003, 1002, 1001)[0]
    yield "delta-fourth-previous", write(Kind.DELTA, 1004, 1000)[0]
    yield "delta-list-of-one", write(Kind.DELTA, 1005, 1002)[0]
    yield "delta-list-of-two", write(Kind.DELTA, 1006, 1004, 1002)[0]
    yield "delta-list-of-three", write(Kind.DELTA, 1007, 1006, 1004, 1000)[0]
    yield "delta-late", write(Kind.DELTA, 1008, 1006, late_us=12_345)[0]
    yield "delta-early", write(Kind.DELTA, 1009, 1007, late_us=-1_000, reference=False)[0]
    skips = write(Kind.SKIP, 1010, 1008, late_us=12_345, reference=False)
    yield "skip", skips[0]
    yield "skip-far", write(Kind.SKIP, 1014, 1008, late_us=12_345, reference=False)[0]
    large = write(Kind.DELTA, 1015, 1008, late_us=12_345, payload=bytes(range(250)) * 6)
    yield from ((f"delta-fragment-{i}", packet) for i, packet in enumerate(large))
    yield "parity-block-row-0", block_parity(large, 2)[0]
    yield "parity-block-row-1", block_parity(large, 2)[1]
    first, second = write(Kind.DELTA, 1016, 1015), write(Kind.DELTA, 1018, 1016, payload=b"longer")
    yield "group-member-1016", first[0]
    yield "group-member-1018", second[0]
    yield "parity-group-of-one", xor_parity(second)
    yield "parity-group-of-two", xor_parity([*first, *second])


def fields(data: bytes) -> dict[str, object]:
    """What a parser must find."""
    packet = parse_packet(data)
    if isinstance(packet, Packet):
        return {
            "kind": packet.kind.name,
            "reference": packet.reference,
            "number": packet.number,
            "distances": list(packet.distances),
            "index": packet.index,
            "count": packet.count,
            "correction": packet.correction,
            "header_bytes": packet.start,
        }
    if isinstance(packet, GroupParity):
        return {"kind": "PARITY", "shape": "group", "members": list(packet.members)}
    return {
        "kind": "PARITY",
        "shape": "block",
        "number": packet.number,
        "count": packet.count,
        "row": packet.row,
    }


def files() -> dict[str, bytes]:
    """Contents by name."""
    vectors = [
        {"name": name, "hex": data.hex(), "fields": fields(data)} for name, data in singles()
    ]
    reader, fragments = UnitReader(), []
    for vector in vectors:  # capture times need the units before: the list is in order
        if "index" not in vector["fields"]:
            continue
        fragments.append(bytes.fromhex(vector["hex"]))
        if len(fragments) == vector["fields"]["count"]:
            vector["fields"]["pts_us"] = reader.read(fragments).pts_us
            fragments = []
    out = BytesIO()
    for packets in stream():
        for packet in packets:
            write_packet(out, packet)
    return {
        "packets.json": (json.dumps(vectors, indent=1) + "\n").encode(),
        "moving_128x96.aic": out.getvalue(),
    }


if __name__ == "__main__":
    for name, data in files().items():
        (HERE / name).write_bytes(data)
