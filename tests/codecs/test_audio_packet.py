"""Opus frames in AIC packets: nothing lost, nothing believed."""

import contextlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from auralink.codecs.audio.opus import FRAME_SAMPLES, OpusEncoder
from auralink.codecs.audio.packet import AudioPacket, parse_packet, write_packet
from auralink.codecs.errors import BitstreamError, InputError

PACKETS = st.builds(
    AudioPacket,
    number=st.integers(0, 65_535),
    pts_us=st.integers(0, (1 << 48) - 1),
    frames=st.lists(st.binary(max_size=255), min_size=1, max_size=8).map(tuple),
)


def test_the_layout_is_the_documented_one() -> None:
    packet = AudioPacket(number=258, pts_us=3, frames=(b"ab", b"", b"c"))

    assert write_packet(packet) == bytes.fromhex("13 0102 000000000003 020001") + b"abc"


@given(PACKETS)
def test_packets_come_back_as_they_were(packet: AudioPacket) -> None:
    assert parse_packet(write_packet(packet)) == packet


@given(PACKETS, st.data())
def test_a_packet_that_is_cut_is_refused(packet: AudioPacket, data: st.DataObject) -> None:
    whole = write_packet(packet)
    end = data.draw(st.integers(0, len(whole) - 1))

    with pytest.raises(BitstreamError, match="audio packet"):
        parse_packet(whole[:end])


@given(st.binary(max_size=60))
def test_garbage_is_a_packet_or_a_named_error(data: bytes) -> None:
    with contextlib.suppress(BitstreamError):
        assert write_packet(parse_packet(data)) == data


@pytest.mark.parametrize(
    "packet",
    [
        AudioPacket(number=0, pts_us=0, frames=()),
        AudioPacket(number=0, pts_us=0, frames=(b"",) * 9),
        AudioPacket(number=0, pts_us=0, frames=(bytes(256),)),
        AudioPacket(number=0, pts_us=-1, frames=(b"",)),
    ],
)
def test_what_cannot_be_written_is_refused(packet: AudioPacket) -> None:
    with pytest.raises(InputError):
        write_packet(packet)


@pytest.mark.parametrize("bitrate", [8_000, 16_000, 32_000])
def test_opus_keeps_its_rate_on_noisy_speech_like_sound(bitrate: int) -> None:
    encoder = OpusEncoder(bitrate)
    noise = np.random.default_rng(1).normal(0, 3_000, FRAME_SAMPLES * 100)
    sound = np.clip(np.convolve(noise, np.ones(8) / 8, "same"), -32_000, 32_000).astype(np.int16)

    sizes = [len(encoder.encode(frame)) for frame in sound.reshape(100, FRAME_SAMPLES)]

    assert all(sizes)
    assert 0.5 * bitrate < sum(sizes) * 8 / 2.0 < 1.3 * bitrate


def test_opus_refuses_rates_it_cannot_keep() -> None:
    with pytest.raises(InputError, match="6000 to 64000"):
        OpusEncoder(4_000)
