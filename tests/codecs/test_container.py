from io import BytesIO

import pytest
from hypothesis import given
from hypothesis import strategies as st

from auralink.codecs.errors import BitstreamError, InputError
from auralink.codecs.video.container import read_packets, write_packet
from auralink.codecs.video.packetizer import Packetizer
from auralink.codecs.video.protocol import MAX_PACKET_BYTES

from .streams import key

OPENING = Packetizer().packetize(key(0))[0]


def written(packets: list[bytes]) -> bytes:
    out = BytesIO()
    sizes = [write_packet(out, packet) for packet in packets]
    assert sum(sizes) == len(out.getvalue())
    return out.getvalue()


@given(st.lists(st.binary(min_size=1, max_size=MAX_PACKET_BYTES), max_size=20))
def test_packets_round_trip_with_their_offsets(more: list[bytes]) -> None:
    packets = [OPENING, *more]
    data = written(packets)

    read = list(read_packets(BytesIO(data)))

    assert [packet for _, packet in read] == packets
    for offset, packet in read:
        assert data[offset:].lstrip(b"\0")[:1]
        assert any(data.startswith(packet, offset + length) for length in (1, 2))


def test_reads_files_larger_than_one_read() -> None:
    packets = [OPENING] + [bytes((i % 256,)) * 999 for i in range(9000)]

    read = [packet for _, packet in read_packets(BytesIO(written(packets)))]

    assert read == packets


@pytest.mark.parametrize("cut", [1, 2, 500, 1001])
def test_a_file_cut_off_gives_what_is_whole_and_says_where(cut: int) -> None:
    whole, last = written([OPENING, b"second"]), written([b"x" * 1000])
    data = BytesIO((whole + last)[:-cut] if cut < len(last) else whole + last[:1])
    read = []

    with pytest.raises(BitstreamError, match=f"byte {len(whole)} .*truncate to {len(whole)} bytes"):
        read += list(_collect(read, data))

    assert read == [OPENING, b"second"]


def _collect(into: list[bytes], data: BytesIO) -> list[bytes]:
    for _, packet in read_packets(data):
        into.append(packet)
    return []


def test_a_damaged_length_is_named_with_its_place() -> None:
    whole = written([OPENING])
    for bad in (b"\x00", b"\xff\xff\x01", b"\x80\x00", b"\xff\x7f"):
        read = read_packets(BytesIO(whole + bad))
        next(read)
        with pytest.raises(BitstreamError, match=f"damaged file.* at byte {len(whole)}"):
            next(read)


@pytest.mark.parametrize(
    "data",
    [
        b"RIFF\x00\x00\x00\x00AVI LIST",
        b"\x00\x00\x00\x20ftypisom",
        b"\xff" * 100,
        written([b"\x44\x00\x01delta"]),
        written([b"\x00\x00\x01key without configuration"]),
    ],
)
def test_other_files_are_told_apart(data: bytes) -> None:
    with pytest.raises(BitstreamError, match="not an AIC file"):
        list(read_packets(BytesIO(data)))


def test_an_empty_file_is_no_stream() -> None:
    with pytest.raises(BitstreamError, match="empty file"):
        list(read_packets(BytesIO(b"")))


@pytest.mark.parametrize("size", [0, MAX_PACKET_BYTES + 1])
def test_refuses_to_write_what_is_no_packet(size: int) -> None:
    with pytest.raises(InputError):
        write_packet(BytesIO(), bytes(size))
