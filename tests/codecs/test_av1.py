import runpy
from pathlib import Path

import av
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from auralink.codecs.av1.bits import BitReader
from auralink.codecs.av1.headers import INTER, KEY, HeaderReader
from auralink.codecs.av1.obu import MAX_OBUS, Obu, ObuType, restore, split, strip
from auralink.codecs.av1.references import short_references
from auralink.codecs.av1.sequence import check_size, parse_sequence_header
from auralink.codecs.av1.tiles import skip_tile_info
from auralink.codecs.errors import BitstreamError

VECTORS = Path(__file__).parents[1] / "vectors"
UNITS = runpy.run_path(str(VECTORS / "make.py"))["temporal_units"]()
# As FFmpeg's trace_headers reads them from the same file.
BASE_Q_IDX = [45, 140, 131, 140, 120, 140, 131, 140]
REFRESHED = [0xFF, 0, 0x08, 0, 0x10, 0, 0x20, 0, 0x01, 0, 0x08, 0]


def pictures(units: list[bytes]) -> list[np.ndarray]:
    decoder = av.CodecContext.create("libdav1d", "r")
    frames = [frame for unit in units for frame in decoder.decode(av.Packet(unit))]
    return [frame.to_ndarray() for frame in (*frames, *decoder.decode(None))]


def obu(kind: int, payload: bytes = b"", extension: bytes = b"") -> Obu:
    header = bytes((kind << 3 | (4 if extension else 0),)) + extension
    return Obu(type=kind, header=header, payload=payload)


def test_a_stripped_unit_is_restored_exactly_and_decodes_the_same() -> None:
    stripped = [strip(unit) for unit in UNITS]

    restored = [restore(unit) for unit in stripped]

    assert restored == UNITS
    assert [strip(unit) for unit in stripped] == stripped
    assert sum(map(len, UNITS)) - sum(map(len, stripped)) >= 3 * len(UNITS)
    for a, b in zip(pictures(UNITS), pictures(restored), strict=True):
        assert np.array_equal(a, b)


@given(
    st.lists(
        st.tuples(
            st.sampled_from([1, 3, 4, 5, 6, 9]),
            st.binary(max_size=300),
            st.sampled_from([b"", b"\x28"]),
        ),
        min_size=1,
        max_size=6,
    )
)
def test_any_obus_survive_the_diet(parts: list[tuple[int, bytes, bytes]]) -> None:
    obus = [obu(*part) for part in parts]
    waste = obu(ObuType.PADDING, b"\0" * 9).to_bytes(sized=True)
    unit = b"\x12\x00" + waste + b"".join(one.to_bytes(sized=True) for one in obus) + waste

    assert list(split(strip(unit))) == obus
    assert restore(strip(unit)) == unit.replace(waste, b"", 1)[: -len(waste)]


def test_layers_are_in_the_extension() -> None:
    assert (obu(6, extension=b"\x28").temporal_id, obu(6, extension=b"\x28").spatial_id) == (1, 1)
    assert (obu(6).temporal_id, obu(6).spatial_id) == (0, 0)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x12\x00",
        b"\x80",
        b"\x34",
        b"\x32",
        b"\x32\x05abc",
        b"\x32\xff\xff\xff\xff\x01",
        b"\x0a\x00" * (MAX_OBUS + 1),
    ],
)
def test_refuses_what_is_no_temporal_unit(data: bytes) -> None:
    for function in (strip, restore):
        with pytest.raises(BitstreamError):
            function(data)


@pytest.mark.parametrize("prepare", [bytes, strip])
def test_reads_the_headers_of_svt_av1(prepare) -> None:  # type: ignore[no-untyped-def]
    reader = HeaderReader()

    headers = [header for unit in UNITS for header in reader.read(prepare(unit))]

    assert [header.base_q_idx for header in headers][:8] == BASE_Q_IDX
    assert [header.refresh_frame_flags for header in headers] == REFRESHED
    assert [header.order_hint for header in headers] == list(range(12))
    assert [header.frame_type for header in headers] == [KEY] + [INTER] * 11
    assert all(header.show_frame and not header.show_existing_frame for header in headers)
    assert {(header.width, header.height) for header in headers} == {(128, 96)}
    assert headers[0].ref_frame_idx == ()
    assert all(len(header.ref_frame_idx) == 7 for header in headers[1:])
    assert reader.sequence is not None
    assert (reader.sequence.bit_depth, reader.sequence.subsampling) == (8, (1, 1))


def test_a_damaged_unit_leaves_the_state_as_it_was() -> None:
    reader = HeaderReader()
    reader.read(UNITS[0])

    with pytest.raises(BitstreamError):
        reader.read(UNITS[1][:6])

    assert reader.read(UNITS[1])[0].base_q_idx == BASE_Q_IDX[1]


def test_a_frame_needs_a_sequence_header() -> None:
    with pytest.raises(BitstreamError, match="before any sequence header"):
        HeaderReader().read(UNITS[1])


def sequence_header(width: int, height: int) -> bytes:
    """A reduced still picture header: profile 0, 8 bits, no tools."""
    bits = "000" + "1" + "1" + "01000" + "1111" + "1111"
    bits += f"{width - 1:016b}{height - 1:016b}" + "0" * 3 + "0" * 3 + "0" * 3 + "0" * 3 + "0" * 8
    return int(bits.ljust(-(-len(bits) // 8) * 8, "0"), 2).to_bytes(-(-len(bits) // 8), "big")


def test_a_size_bomb_is_refused_before_any_decoder_sees_it() -> None:
    assert parse_sequence_header(sequence_header(4096, 2304)).max_width == 4096

    for width, height in ((65536, 65536), (4097, 16), (4096, 4096)):
        with pytest.raises(BitstreamError, match="4096x2304 is the limit"):
            parse_sequence_header(sequence_header(width, height))
    check_size(3072, 3074)


def test_reads_a_still_picture_with_a_reduced_header() -> None:
    sequence = obu(1, sequence_header(64, 64)).to_bytes(sized=True)
    # disable_cdf_update 0, allow_screen_content_tools 0, render_and_frame_size_different 0,
    # uniform_tile_spacing 1, base_q_idx 100
    frame = obu(6, int("0001" + f"{100:08b}" + "0000", 2).to_bytes(2, "big")).to_bytes(sized=True)

    (header,) = HeaderReader().read(sequence + frame)

    assert (header.width, header.height, header.base_q_idx) == (64, 64, 100)


@given(st.lists(st.tuples(st.integers(1, 70), st.data()), max_size=20))
def test_numbers_below_a_limit_read_back(drawn: list[tuple[int, st.DataObject]]) -> None:
    numbers = [(limit, data.draw(st.integers(0, limit - 1))) for limit, data in drawn]
    text = ""
    for limit, value in numbers:
        width = limit.bit_length()
        short = (1 << width) - limit
        if value < short:
            text += f"{value:0{width - 1}b}" if width > 1 else ""
        else:
            text += f"{value + short:0{width}b}"
    text = text.ljust(-(-max(1, len(text)) // 8) * 8, "0")
    reader = BitReader(int(text, 2).to_bytes(len(text) // 8, "big"))

    assert [reader.below(limit) for limit, _ in numbers] == [value for _, value in numbers]


def test_numbers_with_a_counted_prefix() -> None:
    reader = BitReader(bytes((0b1_010_011_0, 0b0100_0000)))

    assert [reader.uvlc() for _ in range(4)] == [0, 1, 2, 3]
    assert BitReader(bytes(8)).uvlc() == (1 << 32) - 1


def test_tile_layouts_are_stepped_over() -> None:
    # Uniform, one increment of columns and none of rows: then 1 + 0 bits of id and 2 of size.
    uniform = BitReader(int("1" + "10" + "0" + "1" + "11" + "0" * 9, 2).to_bytes(2, "big"))
    skip_tile_info(uniform, 1280, 720, superblock_128=False)
    assert uniform.bits(9) == 0
    # Written out, 20 x 12 superblocks: columns of 16 and 4, one row of 12.
    widths = "0" + "11011" + "11" + "1111"
    explicit = BitReader(int((widths + "0" + "11").ljust(24, "0"), 2).to_bytes(3, "big"))
    skip_tile_info(explicit, 1280, 720, superblock_128=False)
    assert explicit.bits(9) == 0


def test_references_left_out_of_the_header_follow_from_the_order_hints() -> None:
    # Slots hold frames 8, 9, 10, 11 (past) and 20, 16, 24, 12 (coming); frame 14 is coded.
    hints = [8, 9, 10, 11, 20, 16, 24, 12]

    chosen = short_references(hints, 14, 7, last=7, golden=0)

    last, last2, last3, golden, backward, alternate2, alternate = chosen
    assert (hints[last], hints[golden]) == (12, 8)
    assert (hints[last2], hints[last3]) == (11, 10)
    assert (hints[backward], hints[alternate2], hints[alternate]) == (16, 20, 24)


def test_without_later_frames_the_rest_goes_to_the_oldest() -> None:
    chosen = short_references([5] * 6 + [6, 7], 8, 7, last=7, golden=0)

    assert chosen == (7, 6, 5, 0, 4, 3, 2)
    assert short_references([1] + [5] * 7, 6, 7, last=1, golden=1)[1:3] == (7, 6)
