"""The AV1 sequence header (AV1 specification 5.5)."""

from dataclasses import dataclass
from typing import Final

from auralink.codecs.av1.bits import BitReader
from auralink.codecs.errors import BitstreamError
from auralink.codecs.frame import MAX_AREA, MAX_HEIGHT, MAX_WIDTH

SELECT: Final = 2  # SELECT_SCREEN_CONTENT_TOOLS, SELECT_INTEGER_MV: each frame says for itself
_PADDING: Final = MAX_WIDTH + MAX_HEIGHT  # an odd base picture is coded one sample larger
_BT709, _SRGB, _IDENTITY = 1, 13, 0


@dataclass(frozen=True, slots=True, kw_only=True)
class OperatingPoint:
    idc: int  # layers it decodes: bits 0-7 temporal, 8-11 spatial
    has_decoder_model: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class SequenceHeader:
    """As much as frame headers need, and what tells a decodable stream from another."""

    profile: int
    reduced: bool  # reduced_still_picture_header
    equal_picture_interval: bool
    removal_time_bits: int  # 0: no decoder model
    presentation_time_bits: int
    operating_points: tuple[OperatingPoint, ...]
    width_bits: int
    height_bits: int
    max_width: int
    max_height: int
    delta_frame_id_bits: int  # 0: no frame ids
    frame_id_bits: int
    superblock_128: bool
    ref_frame_mvs: bool
    screen_content_tools: int  # 0, 1 or SELECT
    integer_mv: int
    order_hint_bits: int  # 0: no order hints
    superres: bool
    bit_depth: int
    monochrome: bool
    subsampling: tuple[int, int]


@dataclass(frozen=True, slots=True)
class _Timing:
    equal_interval: bool = False
    delay_bits: int = 0
    removal_bits: int = 0
    presentation_bits: int = 0


@dataclass(frozen=True, slots=True)
class _Tools:
    ref_frame_mvs: bool = False
    screen_content_tools: int = SELECT
    integer_mv: int = SELECT
    order_hint_bits: int = 0


def check_size(width: int, height: int) -> None:
    """Refuse a picture that no AIC stream may hold, before a decoder makes room for it."""
    if width > MAX_WIDTH or height > MAX_HEIGHT or width * height > MAX_AREA + _PADDING:
        raise BitstreamError(f"AV1 picture of {width}x{height}: 4096x2304 is the limit")


def parse_sequence_header(payload: bytes) -> SequenceHeader:
    """
    Raises:
        BitstreamError: it is cut off, or announces too large a picture.
    """
    bits = BitReader(payload)
    profile = bits.bits(3)
    if profile > 2:
        raise BitstreamError(f"AV1 profile {profile} does not exist")
    bits.bits(1)  # still_picture
    reduced = bits.flag()
    timing = _Timing()
    if reduced:
        bits.bits(5)  # seq_level_idx
        points: tuple[OperatingPoint, ...] = (OperatingPoint(idc=0, has_decoder_model=False),)
    else:
        timing = _timing(bits)
        points = _operating_points(bits, timing)
    width_bits, height_bits = bits.bits(4) + 1, bits.bits(4) + 1
    max_width, max_height = bits.bits(width_bits) + 1, bits.bits(height_bits) + 1
    check_size(max_width, max_height)
    delta_id_bits, id_bits = 0, 0
    if not reduced and bits.flag():
        delta_id_bits = bits.bits(4) + 2
        id_bits = delta_id_bits + bits.bits(3) + 1
    superblock_128 = bits.flag()
    bits.bits(2)  # filter_intra, intra_edge_filter
    tools = _Tools() if reduced else _tools(bits)
    superres = bits.flag()
    bits.bits(2)  # cdef, restoration
    bit_depth, monochrome, subsampling = _colour(bits, profile)
    return SequenceHeader(
        profile=profile,
        reduced=reduced,
        equal_picture_interval=timing.equal_interval,
        removal_time_bits=timing.removal_bits,
        presentation_time_bits=timing.presentation_bits,
        operating_points=points,
        width_bits=width_bits,
        height_bits=height_bits,
        max_width=max_width,
        max_height=max_height,
        delta_frame_id_bits=delta_id_bits,
        frame_id_bits=id_bits,
        superblock_128=superblock_128,
        ref_frame_mvs=tools.ref_frame_mvs,
        screen_content_tools=tools.screen_content_tools,
        integer_mv=tools.integer_mv,
        order_hint_bits=tools.order_hint_bits,
        superres=superres,
        bit_depth=bit_depth,
        monochrome=monochrome,
        subsampling=subsampling,
    )


def _timing(bits: BitReader) -> _Timing:
    if not bits.flag():
        return _Timing()
    bits.bits(64)  # num_units_in_display_tick, time_scale
    equal_interval = bits.flag()
    if equal_interval:
        bits.uvlc()
    if not bits.flag():
        return _Timing(equal_interval)
    delay_bits = bits.bits(5) + 1
    bits.bits(32)  # num_units_in_decoding_tick
    return _Timing(equal_interval, delay_bits, bits.bits(5) + 1, bits.bits(5) + 1)


def _operating_points(bits: BitReader, timing: _Timing) -> tuple[OperatingPoint, ...]:
    display_delay = bits.flag()
    points = []
    for _ in range(bits.bits(5) + 1):
        idc = bits.bits(12)
        if bits.bits(5) > 7:
            bits.bits(1)  # seq_tier
        has_model = timing.removal_bits > 0 and bits.flag()
        if has_model:
            bits.bits(2 * timing.delay_bits + 1)
        if display_delay and bits.flag():
            bits.bits(4)
        points.append(OperatingPoint(idc=idc, has_decoder_model=has_model))
    return tuple(points)


def _tools(bits: BitReader) -> _Tools:
    bits.bits(4)  # interintra_compound, masked_compound, warped_motion, dual_filter
    order_hint, ref_frame_mvs = bits.flag(), False
    if order_hint:
        bits.bits(1)  # jnt_comp
        ref_frame_mvs = bits.flag()
    screen_content_tools = SELECT if bits.flag() else bits.bits(1)
    integer_mv = SELECT
    if screen_content_tools:
        integer_mv = SELECT if bits.flag() else bits.bits(1)
    hint_bits = bits.bits(3) + 1 if order_hint else 0
    return _Tools(ref_frame_mvs, screen_content_tools, integer_mv, hint_bits)


def _colour(bits: BitReader, profile: int) -> tuple[int, bool, tuple[int, int]]:
    """Bit depth, monochrome, chroma subsampling."""
    bit_depth = 10 if bits.flag() else 8
    if profile == 2 and bit_depth == 10 and bits.flag():
        bit_depth = 12
    monochrome = profile != 1 and bits.flag()
    description = (2, 2, 2)
    if bits.flag():
        description = (bits.bits(8), bits.bits(8), bits.bits(8))
    if monochrome:
        return bit_depth, True, (1, 1)
    if profile == 1 or description == (_BT709, _SRGB, _IDENTITY):
        return bit_depth, False, (0, 0)
    bits.bits(1)  # color_range
    if profile == 0:
        return bit_depth, False, (1, 1)
    if bit_depth < 12:
        return bit_depth, False, (1, 0)
    across = bits.bits(1)
    return bit_depth, False, (across, bits.bits(1) if across else 0)
