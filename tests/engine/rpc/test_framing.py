"""Packets in one byte string, as in an .aic file."""

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from auralink.codecs.errors import BitstreamError
from auralink.codecs.video import container
from auralink.engine.rpc.framing import MAX_PACKETS, join, split

PACKETS = st.lists(st.binary(min_size=1, max_size=1000), max_size=20)


@given(PACKETS)
def test_what_is_joined_comes_apart_again(packets: list[bytes]) -> None:
    assert split(join(packets)) == packets


@given(PACKETS)
def test_the_form_is_that_of_files(packets: list[bytes]) -> None:
    file = io.BytesIO()
    for packet in packets:
        container.write_packet(file, packet)

    assert join(packets) == file.getvalue()


@given(st.binary(max_size=200))
def test_any_bytes_are_packets_or_a_fault(data: bytes) -> None:
    try:
        packets = split(data)
    except BitstreamError:
        return
    assert join(packets) == data


def test_a_packet_that_is_cut_off_is_refused() -> None:
    with pytest.raises(BitstreamError, match="cut off"):
        split(join([bytes(50)])[:-1])


def test_many_packets_are_refused_before_they_are_kept() -> None:
    with pytest.raises(BitstreamError, match="more than"):
        split(join([b"x"] * (MAX_PACKETS + 1)))
