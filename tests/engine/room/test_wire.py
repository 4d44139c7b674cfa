"""Addresses, data-track packets and answers of servers, byte by byte."""

import base64
import contextlib
import gzip
from urllib.parse import parse_qs, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st
from livekit.protocol import rtc

from auralink.codecs.errors import BitstreamError, InputError
from auralink.engine.room import endpoints
from auralink.engine.room.data_packet import DataPacket, parse_packet, write_packet
from auralink.engine.room.errors import AccessRefused, RoomMissing, ServerBusy, ServerTooOld
from auralink.engine.room.signal import classify


def test_golden_packets_seen_on_the_wire() -> None:
    plain = bytes.fromhex("180000380000 0000c0b38049".replace(" ", "")) + b"payload"
    stamped = bytes.fromhex("1c00003801f401f4c0bb423a0002" + "0208000660e353af95e2") + b"payload"

    first, second = parse_packet(plain), parse_packet(stamped)

    assert (first.handle, first.sequence, first.timestamp) == (56, 0, 0xC0B38049)
    assert first.payload == second.payload == b"payload"
    assert second.user_us == 0x000660E353AF95E2
    assert write_packet(first) == plain
    assert write_packet(second) == stamped


@given(
    st.builds(
        DataPacket,
        handle=st.integers(0, 0xFFFF),
        sequence=st.integers(0, 0xFFFF),
        frame=st.integers(0, 0xFFFF),
        timestamp=st.integers(0, 0xFFFF_FFFF),
        first=st.booleans(),
        final=st.booleans(),
        user_us=st.none() | st.integers(0, (1 << 64) - 1),
        payload=st.binary(max_size=40),
    )
)
def test_packets_come_back_as_they_were(packet: DataPacket) -> None:
    assert parse_packet(write_packet(packet)) == packet


@given(st.binary(max_size=60))
def test_garbage_is_a_packet_or_a_named_error(data: bytes) -> None:
    with contextlib.suppress(BitstreamError):
        assert data.endswith(parse_packet(data).payload)


def test_a_join_request_holds_what_the_server_reads() -> None:
    text = endpoints.join_request(version="1.2", resume_sid="PA_x")
    wrapped = rtc.WrappedJoinRequest.FromString(base64.urlsafe_b64decode(text))
    request = rtc.JoinRequest.FromString(gzip.decompress(wrapped.join_request))

    assert request.reconnect
    assert request.participant_sid == "PA_x"
    assert request.client_info.protocol == endpoints.PROTOCOL
    assert not request.connection_settings.auto_subscribe
    assert len(text) % 4 == 0  # servers refuse it without padding


@pytest.mark.parametrize(
    ("server", "signal", "validate"),
    [
        ("ws://h:7880", "ws://h:7880/rtc/v1", "http://h:7880/rtc/v1/validate"),
        ("https://h/", "wss://h/rtc/v1", "https://h/rtc/v1/validate"),
        ("wss://h/lk", "wss://h/lk/rtc/v1", "https://h/lk/rtc/v1/validate"),
    ],
)
def test_addresses(server: str, signal: str, validate: str) -> None:
    for found, wanted in (
        (endpoints.signal_url(server, "a=="), signal),
        (endpoints.validate_url(server, "a=="), validate),
    ):
        parts = urlsplit(found)
        assert f"{parts.scheme}://{parts.netloc}{parts.path}" == wanted
        assert parse_qs(parts.query) == {"join_request": ["a=="]}


@pytest.mark.parametrize("server", ["", "host", "ftp://host", "ws://"])
def test_what_is_no_address_is_refused_with_an_example(server: str) -> None:
    with pytest.raises(InputError, match="wss://HOST"):
        endpoints.check_server(server)


@pytest.mark.parametrize(
    ("status", "body", "error"),
    [
        (401, "invalid token: SECRET", AccessRefused),
        (403, "SECRET", AccessRefused),
        (404, "requested room does not exist", RoomMissing),
        (404, "404 page not found", ServerTooOld),
        (400, "SECRET", AccessRefused),
        (503, "SECRET", ServerBusy),
        (429, "", ServerBusy),
    ],
)
def test_answers_are_told_apart_and_bodies_never_quoted(
    status: int, body: str, error: type[Exception]
) -> None:
    found = classify(status, body)

    assert type(found) is error
    assert "SECRET" not in str(found)
