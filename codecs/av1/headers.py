"""AV1 frame headers up to the quantizer (AV1 specification 5.9).

Needed without a decoder: ``base_q_idx`` is an input of the restoration network, the references
tell what a frame depends on, and the size must be known before a decoder makes room for it.
"""

from dataclasses import dataclass
from typing import Final

from auralink.codecs.av1.bits import BitReader
from auralink.codecs.av1.obu import Obu, ObuType, split
from auralink.codecs.av1.references import EMPTY, Slot, short_references
from auralink.codecs.av1.sequence import SELECT, SequenceHeader, check_size, parse_sequence_header
from auralink.codecs.av1.tiles import skip_tile_info
from auralink.codecs.errors import BitstreamError

KEY, INTER, INTRA_ONLY, SWITCH = range(4)  # frame_type
ALL_SLOTS: Final = 0xFF


@dataclass(frozen=True, slots=True, kw_only=True)
class FrameHeader:
    frame_type: int  # KEY, INTER, INTRA_ONLY or SWITCH
    show_frame: bool
    show_existing_frame: bool = False
    error_resilient: bool = False
    refresh_frame_flags: int  # bit i: slot i holds this frame afterwards
    ref_frame_idx: tuple[int, ...] = ()  # seven slots for an inter frame
    order_hint: int
    width: int  # of the shown picture, after super-resolution
    height: int
    base_q_idx: int  # 0..255
    allow_screen_content_tools: bool = False
    temporal_id: int = 0


class HeaderReader:
    """Follow a stream, unit by unit.  Holds the sequence header and eight reference slots."""

    def __init__(self) -> None:
        self._sequence: SequenceHeader | None = None
        self._slots: tuple[Slot, ...] = (EMPTY,) * 8

    @property
    def sequence(self) -> SequenceHeader | None:
        return self._sequence

    def read(self, unit: bytes) -> tuple[FrameHeader, ...]:
        """Headers of the frames in a temporal unit, whole or stripped.

        A failed call leaves the state as it was.

        Raises:
            BitstreamError: a header is cut off or wrong, or the picture is too large.
        """
        before = self._sequence, self._slots
        try:
            return tuple(header for obu in split(unit) for header in self._read_obu(obu))
        except BitstreamError:
            self._sequence, self._slots = before
            raise

    def _read_obu(self, obu: Obu) -> list[FrameHeader]:
        if obu.type == ObuType.SEQUENCE_HEADER:
            self._sequence = parse_sequence_header(obu.payload)
            return []
        if obu.type not in (ObuType.FRAME, ObuType.FRAME_HEADER):
            return []
        if self._sequence is None:
            raise BitstreamError("AV1 frame before any sequence header")
        parser = _Parser(self._sequence, self._slots, obu)
        header = parser.parse()
        slot = Slot(
            frame_type=header.frame_type,
            width=header.width,
            height=header.height,
            order_hint=header.order_hint,
            base_q_idx=header.base_q_idx,
        )
        self._slots = tuple(
            slot if header.refresh_frame_flags >> i & 1 else old
            for i, old in enumerate(parser.slots)
        )
        return [header]


class _Parser:
    """One uncompressed_header(); methods are in the order of the bits."""

    def __init__(self, sequence: SequenceHeader, slots: tuple[Slot, ...], obu: Obu) -> None:
        self._sequence, self.slots, self._obu = sequence, slots, obu
        self._bits = BitReader(obu.payload)
        self._coded_width = 0  # before super-resolution

    def parse(self) -> FrameHeader:
        bits, sequence = self._bits, self._sequence
        frame_type, show_frame, fresh, resilient = KEY, True, True, True
        if not sequence.reduced:
            if bits.flag():
                return self._existing()
            frame_type, show_frame = bits.bits(2), bits.flag()
            if show_frame:
                self._skip_presentation_time()
            else:
                bits.bits(1)  # showable_frame
            fresh = frame_type == SWITCH or (frame_type == KEY and show_frame)
            resilient = fresh or bits.flag()
        intra = frame_type in (KEY, INTRA_ONLY)
        no_cdf_update = bits.flag()
        screen, integer_mv = self._screen_tools()
        bits.bits(sequence.frame_id_bits)
        override = frame_type == SWITCH or (not sequence.reduced and bits.flag())
        order_hint = bits.bits(sequence.order_hint_bits)
        if not (intra or resilient):
            bits.bits(3)  # primary_ref_frame
        self._skip_removal_times()
        refresh = ALL_SLOTS if fresh else bits.bits(8)
        if resilient and not (intra and refresh == ALL_SLOTS):
            self._read_order_hints()
        references: tuple[int, ...] = ()
        if intra:
            width, height = self._size(override)
            if screen and width == self._coded_width:
                bits.bits(1)  # allow_intrabc
        else:
            references = self._references(order_hint)
            with_refs = override and not resilient
            width, height = self._size_by(references) if with_refs else self._size(override)
            self._skip_motion(integer_mv, resilient)
        check_size(width, height)
        if not (sequence.reduced or no_cdf_update):
            bits.bits(1)  # disable_frame_end_update_cdf
        skip_tile_info(bits, self._coded_width, height, superblock_128=sequence.superblock_128)
        return FrameHeader(
            frame_type=frame_type,
            show_frame=show_frame,
            error_resilient=resilient,
            refresh_frame_flags=refresh,
            ref_frame_idx=references,
            order_hint=order_hint,
            width=width,
            height=height,
            base_q_idx=bits.bits(8),
            allow_screen_content_tools=screen,
            temporal_id=self._obu.temporal_id,
        )

    def _existing(self) -> FrameHeader:
        slot = self.slots[self._bits.bits(3)]
        if not slot.width:
            raise BitstreamError("AV1 header shows an empty reference slot")
        return FrameHeader(
            frame_type=slot.frame_type,
            show_frame=True,
            show_existing_frame=True,
            refresh_frame_flags=ALL_SLOTS if slot.frame_type == KEY else 0,
            order_hint=slot.order_hint,
            width=slot.width,
            height=slot.height,
            base_q_idx=slot.base_q_idx,
            temporal_id=self._obu.temporal_id,
        )

    def _skip_presentation_time(self) -> None:
        if self._sequence.removal_time_bits and not self._sequence.equal_picture_interval:
            self._bits.bits(self._sequence.presentation_time_bits)

    def _screen_tools(self) -> tuple[bool, bool]:
        """``allow_screen_content_tools`` and ``force_integer_mv``."""
        sequence, bits = self._sequence, self._bits
        tools = sequence.screen_content_tools
        allowed = bits.flag() if tools == SELECT else bool(tools)
        if not allowed:
            return False, False
        integer_mv = sequence.integer_mv
        return True, bits.flag() if integer_mv == SELECT else bool(integer_mv)

    def _skip_removal_times(self) -> None:
        sequence, bits, obu = self._sequence, self._bits, self._obu
        if not sequence.removal_time_bits or not bits.flag():
            return
        for point in sequence.operating_points:
            in_layer = point.idc >> obu.temporal_id & point.idc >> (obu.spatial_id + 8) & 1
            if point.has_decoder_model and (point.idc == 0 or in_layer):
                bits.bits(sequence.removal_time_bits)

    def _read_order_hints(self) -> None:
        """Error resilience repeats the hints of all slots, for who lost some."""
        count = self._sequence.order_hint_bits
        if not count:
            return
        hints = [self._bits.bits(count) for _ in self.slots]
        self.slots = tuple(
            slot if slot.order_hint == hint else Slot(order_hint=hint)
            for slot, hint in zip(self.slots, hints, strict=True)
        )

    def _references(self, order_hint: int) -> tuple[int, ...]:
        bits, sequence = self._bits, self._sequence
        short: tuple[int, ...] = ()
        if sequence.order_hint_bits and bits.flag():
            last, golden = bits.bits(3), bits.bits(3)
            hints = [slot.order_hint for slot in self.slots]
            short = short_references(hints, order_hint, sequence.order_hint_bits, last, golden)
        references = []
        for i in range(7):
            references.append(short[i] if short else bits.bits(3))
            bits.bits(sequence.delta_frame_id_bits)
        return tuple(references)

    def _size(self, override: bool) -> tuple[int, int]:
        """frame_size() and render_size()."""
        bits, sequence = self._bits, self._sequence
        width, height = sequence.max_width, sequence.max_height
        if override:
            width, height = bits.bits(sequence.width_bits) + 1, bits.bits(sequence.height_bits) + 1
        self._superres(width)
        if bits.flag():
            bits.bits(32)  # render_width, render_height
        return width, height

    def _size_by(self, references: tuple[int, ...]) -> tuple[int, int]:
        """frame_size_with_refs(): as one of the references, or written out."""
        for reference in references:
            if self._bits.flag():
                slot = self.slots[reference]
                if not slot.width:
                    raise BitstreamError("AV1 frame takes its size from an empty reference slot")
                self._superres(slot.width)
                return slot.width, slot.height
        return self._size(True)

    def _superres(self, width: int) -> None:
        denominator = 8
        if self._sequence.superres and self._bits.flag():
            denominator = self._bits.bits(3) + 9
        self._coded_width = (width * 8 + denominator // 2) // denominator

    def _skip_motion(self, integer_mv: bool, resilient: bool) -> None:
        bits = self._bits
        if not integer_mv:
            bits.bits(1)  # allow_high_precision_mv
        if not bits.flag():  # is_filter_switchable
            bits.bits(2)
        bits.bits(1)  # is_motion_mode_switchable
        if self._sequence.ref_frame_mvs and not resilient:
            bits.bits(1)
