import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from auralink.codecs.errors import BitstreamError, InputError
from auralink.codecs.video.protocol import MAX_PACKET_BYTES, Kind
from auralink.codecs.video.syntax import (
    MAX_PTS_US,
    Profile,
    StreamConfig,
    parse_config,
    read_varint,
    unzigzag,
    write_varint,
    zigzag,
)
from auralink.codecs.video.syntax_packet import (
    BlockParity,
    GroupParity,
    Packet,
    parse_packet,
    write_header,
    write_parity_header,
)

from .streams import config


@given(st.integers(0, (1 << 63) - 1), st.binary(max_size=3))
def test_varints_round_trip(value: int, before: bytes) -> None:
    out = bytearray(before)
    write_varint(out, value)

    assert read_varint(bytes(out) + b"\x07", len(before)) == (value, len(out))


@pytest.mark.parametrize("data", [b"", b"\x80", b"\x80\x00", b"\xff" * 9, b"\xff" * 12])
def test_refuses_a_varint_that_is_cut_off_overlong_or_huge(data: bytes) -> None:
    with pytest.raises(BitstreamError):
        read_varint(data, 0)


@given(st.integers(-(1 << 40), 1 << 40))
def test_zigzag_round_trips(value: int) -> None:
    assert unzigzag(zigzag(value)) == value
    assert 0 <= zigzag(value) <= 2 * abs(value)


@given(
    profile=st.sampled_from(Profile),
    width=st.integers(1, 4096),
    height=st.integers(1, 2304),
    model_id=st.integers(0, (1 << 32) - 1),
    pts_us=st.integers(0, MAX_PTS_US),
    interval_ns=st.integers(1_000_000, 10_000_000_000),
    data=st.data(),
)
def test_configurations_round_trip(
    profile: Profile,
    width: int,
    height: int,
    model_id: int,
    pts_us: int,
    interval_ns: int,
    data: st.DataObject,
) -> None:
    written = StreamConfig(
        profile=profile,
        width=width,
        height=height,
        base_width=data.draw(st.integers(1, width)),
        base_height=data.draw(st.integers(1, height)),
        model_id=model_id,
        pts_us=pts_us,
        interval_ns=interval_ns,
    )

    assert parse_config(b"ab" + written.to_bytes() + b"rest", 2) == (
        written,
        2 + len(written.to_bytes()),
    )


@pytest.mark.parametrize(
    "changes",
    [
        {"width": 0},
        {"width": 5000},
        {"width": 4096, "height": 4096},
        {"base_width": 641},
        {"base_height": 0},
        {"model_id": 1 << 32},
        {"pts_us": -1},
        {"interval_ns": 0},
    ],
)
def test_a_configuration_has_bounds(changes: dict[str, int]) -> None:
    with pytest.raises(InputError):
        config(**changes)


def test_a_configuration_of_later_versions_names_the_upgrade() -> None:
    good = config().to_bytes()

    for place, value in ((0, 2), (1, 99), (2, 0x80)):
        with pytest.raises(BitstreamError, match=r"upgrade to a release that reads version 2"):
            parse_config(good[:place] + bytes((value,)) + good[place + 1 :])


def test_a_configuration_out_of_bounds_is_the_sender_s_fault() -> None:
    good = config().to_bytes()

    with pytest.raises(BitstreamError, match="picture of 0x"):
        parse_config(good[:3] + b"\x00" + good[5:])
    for size in range(len(good)):
        with pytest.raises(BitstreamError):
            parse_config(good[:size])


def test_profiles_have_labels_and_base_codecs() -> None:
    table = {profile.label: profile.base_codec for profile in Profile}

    assert table == {
        "hybrid": "av1",
        "native-av1": "av1",
        "native-vp8": "vp8",
        "native-vp9": "vp9",
        "native-h264": "h264",
        "neural-s": None,
        "neural-m": None,
    }
    assert [Profile.from_label(label) for label in table] == list(Profile)
    with pytest.raises(InputError, match="one of hybrid, native-av1"):
        Profile.from_label("hybird")


@given(
    number=st.integers(0, 65535),
    reference=st.booleans(),
    distances=st.sets(st.integers(1, 255), min_size=1, max_size=3).map(sorted).map(tuple),
    count=st.integers(1, 256),
    index=st.integers(0, 255),
    correction=st.integers(-(1 << 34) + 1, (1 << 34) - 1),
)
def test_unit_headers_round_trip(
    number: int,
    reference: bool,
    distances: tuple[int, ...],
    count: int,
    index: int,
    correction: int,
) -> None:
    header = write_header(
        Kind.DELTA,
        number,
        reference=reference,
        distances=distances,
        index=index % count,
        count=count,
        correction=correction,
    )

    parsed = parse_packet(header + b"payload")

    assert parsed == Packet(
        data=header + b"payload",
        kind=Kind.DELTA,
        reference=reference,
        number=number,
        distances=distances,
        index=index % count,
        count=count,
        correction=correction,
        start=len(header),
    )


@given(
    number=st.integers(0, 65535),
    older=st.sets(st.integers(0, 27), max_size=7),
    block=st.binary(min_size=5),
)
def test_group_parity_headers_round_trip(number: int, older: set[int], block: bytes) -> None:
    parity = GroupParity(number=number, mask=sum(1 << i for i in older), block=block)

    assert parse_packet(write_parity_header(parity) + block) == parity
    assert parity.members == (number, *((number - i - 1) % 65536 for i in sorted(older)))


@given(
    number=st.integers(0, 65535),
    count=st.integers(2, 255),
    data=st.data(),
    block=st.binary(min_size=5),
)
def test_block_parity_headers_round_trip(
    number: int, count: int, data: st.DataObject, block: bytes
) -> None:
    row = data.draw(st.integers(0, 255 - count))
    parity = BlockParity(number=number, count=count, row=row, block=block)

    assert parse_packet(write_parity_header(parity) + block) == parity


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "0 bytes"),
        (b"\x44\x00", "2 bytes"),
        (b"\x44" + bytes(MAX_PACKET_BYTES), "1001 bytes"),
        (b"\x04\x00\x01x", "key unit depends on nothing"),
        (b"\x01\x00\x01\x02x", "key unit depends on nothing"),
        (b"\x40\x00\x01x", "must say what it depends on"),
        (b"\x44\x00\x01", "without payload"),
        (b"\x00\x00\x01", "without payload"),
        (b"\x84\x00\x01x", "skip unit"),
        (b"\x80\x00\x01", "skip unit"),
        (b"\x8c\x00\x01", "skip unit"),
        (b"\x54\x00\x01", "inside its header"),
        (b"\x54\x00\x01\x00x", "do not ascend"),
        (b"\x58\x00\x01\x05\x05x", "do not ascend"),
        (b"\x46\x00\x01\x00", "inside its header"),
        (b"\x46\x00\x01\x02\x01x", "packet 2 of 2"),
        (b"\x46\x00\x01\x00\x00x", "packet 0 of 1"),
        (b"\x45\x00\x01\x00x", "timing correction of 0"),
        (b"\xc1\x00\x01\x00abcdef", "unknown kind"),
        (b"\xc0\x00\x01\xff\xff\xff\xff\x01abcdef", "invalid group"),
        (b"\xc0\x00\x01\xff\x01abcdef", "invalid group"),
        (b"\xc0\x00\x01\x00abcd", "block of 4 bytes"),
        (b"\xe0\x00\x01\x05", "inside its header"),
        (b"\xe0\x00\x01\x00\x00abcdef", "row 0 over 1"),
        (b"\xe0\x00\x01\xfe\x01abcdef", "row 1 over 255"),
    ],
)
def test_refuses_what_is_no_packet(data: bytes, why: str) -> None:
    with pytest.raises(BitstreamError, match=why):
        parse_packet(data)


def test_values_cannot_be_changed() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        config().width = 1  # type: ignore[misc]
