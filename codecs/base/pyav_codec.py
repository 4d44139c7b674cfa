"""What all codecs reached through PyAV share: opening, re-opening, errors, one in and one out.

An open encoder ignores a new bit rate (measured for libvpx, libx264 and libsvtav1), so this one is
re-opened when its orders move too far; the unit after that is a key unit.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import dataclass
from fractions import Fraction
from typing import Final, Literal, TypeAlias, final

import av
from av.packet import Packet
from av.video.codeccontext import VideoCodecContext
from av.video.frame import PictureType
from av.video.reformatter import VideoReformatter
from av.video.stream import VideoStream

from auralink.codecs.base.hierarchy import FLAT, Hierarchy
from auralink.codecs.base.protocol import BaseUnit, Capabilities, Order
from auralink.codecs.base.pyav_frames import I420, to_av, to_i420
from auralink.codecs.errors import DecoderError, EncoderError, InputError, UnsupportedError
from auralink.codecs.frame import MAX_AREA, Frame

Options: TypeAlias = dict[str, str]
CodecName: TypeAlias = Literal["av1", "vp8", "vp9", "h264"]

CLOCK_HZ: Final = 90_000  # time base of RTP video
RATE_STEP: Final = 0.1  # re-open when the bit rate moves by more than this share
QUANTIZER_STEP: Final = 3  # or, at constant quality, when the quantizer moves by more than this
# More than any length of call: key units come on request, never on a schedule.
KEY_INTERVAL: Final = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Rate:
    """Constant bit rate: the library's own rate control."""

    bitrate_bps: int
    fps: float

    def far_from(self, other: "Mode") -> bool:
        if not isinstance(other, Rate):
            return True
        return abs(other.bitrate_bps - self.bitrate_bps) > RATE_STEP * self.bitrate_bps


@dataclass(frozen=True, slots=True, kw_only=True)
class Quality:
    """Constant quality on the engine scale, 1 (finest) to 63."""

    quantizer: float

    def far_from(self, other: "Mode") -> bool:
        return not isinstance(other, Quality) or (
            abs(other.quantizer - self.quantizer) > QUANTIZER_STEP
        )


Mode: TypeAlias = Rate | Quality


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """A library and how it is set.

    ``options`` turns a mode into the library's options; ``guard`` surrounds the opening.
    """

    codec: CodecName
    library: str
    title: str
    options: Callable[[Mode], Options]
    guard: Callable[[], AbstractContextManager[None]] = nullcontext


@final
class PyavEncoder:
    """A ``BaseEncoder`` on one of PyAV's encoders, one thread, nothing held back.

    Orders with a bit rate are coded at constant bit rate, orders without at constant quality.

    Args:
        fps: nominal frame rate; what the library's rate control reckons with.
        quantizer: code everything at this constant quality, whatever the orders say (for
            measurements).
    """

    def __init__(self, recipe: Recipe, fps: float, *, quantizer: float | None = None) -> None:
        self._recipe = recipe
        self._fps = fps
        self._fixed = None if quantizer is None else Quality(quantizer=quantizer)
        self._context: VideoCodecContext | None = None
        self._mode: Mode = Quality(quantizer=0)
        self._alive = True
        self._ticks = -1
        self._previous = -1

    @property
    def name(self) -> str:
        return f"{self._recipe.title} ({self._recipe.library}, PyAV {av.__version__})"

    @property
    def codec(self) -> str:
        return self._recipe.codec

    @property
    def hierarchy(self) -> Hierarchy:
        return FLAT

    @property
    def capabilities(self) -> Capabilities:
        # The quantizer is obeyed within QUANTIZER_STEP only and at the price of a key unit, so no.
        return Capabilities(quantizer=False, references=False, droppable=False, size_at_key=True)

    def encode(self, frame: Frame, order: Order) -> BaseUnit:
        if not self._alive:
            raise EncoderError(f"{self._recipe.library} is closed")
        if frame.width % 2 or frame.height % 2:
            raise InputError(f"{self._recipe.codec} needs an even size, got {frame.size}")
        try:
            context = self._context_for(frame, order)
            packet = self._one_packet(context, frame, key=order.key)
        except (av.FFmpegError, ValueError, MemoryError) as refused:
            self.close()
            raise EncoderError(f"{self._recipe.library} refused: {refused}") from refused
        key = packet.is_keyframe
        unit = BaseUnit(
            data=bytes(packet),
            number=order.number,
            key=key,
            reference=True,
            depends=() if key else (self._previous,),
            layer=0,
            quantizer=round(self._mode.quantizer) if isinstance(self._mode, Quality) else 0,
        )
        self._previous = order.number
        return unit

    def close(self) -> None:
        self._alive = False
        self._free()

    def _free(self) -> None:
        context, self._context = self._context, None
        if context is not None and context.is_open:
            with suppress(av.FFmpegError):  # it may be dead already
                context.encode(None)  # SVT-AV1 wants to hear the end before it is freed
        # PyAV frees the handle with its last reference: here.

    def _context_for(self, frame: Frame, order: Order) -> VideoCodecContext:
        wanted = self._wanted(order)
        context = self._context
        fits = context is not None and (context.width, context.height) == frame.size
        if context is None or not fits or self._mode.far_from(wanted):
            self._context = context = self._open(frame, wanted)
            self._mode = wanted
        return context

    def _wanted(self, order: Order) -> Mode:
        if self._fixed is not None:
            return self._fixed
        if order.bitrate_bps > 0:
            return Rate(bitrate_bps=order.bitrate_bps, fps=self._fps)
        return Quality(quantizer=order.quantizer)

    def _open(self, frame: Frame, mode: Mode) -> VideoCodecContext:
        self._free()
        context = video_context(self._recipe.library, "w")
        context.width, context.height, context.pix_fmt = frame.width, frame.height, I420
        context.time_base = Fraction(1, CLOCK_HZ)
        context.framerate = Fraction(self._fps).limit_denominator(1001)
        context.gop_size = KEY_INTERVAL
        context.thread_count = 1
        context.options = self._recipe.options(mode)
        with self._recipe.guard():
            context.open()
        self._ticks = -1
        return context

    def _one_packet(
        self, context: VideoCodecContext, frame: Frame, *, key: bool
    ) -> "Packet[VideoStream]":
        picture = to_av(frame)
        self._ticks = max(self._ticks + 1, frame.pts_us * CLOCK_HZ // 1_000_000)
        picture.pts = self._ticks
        picture.time_base = context.time_base
        picture.duration = round(CLOCK_HZ / self._fps)
        if key:
            picture.pict_type = PictureType.I
        packets = context.encode(picture)
        if len(packets) != 1 or not packets[0].size:
            raise ValueError(f"{len(packets)} packets for one frame")
        return packets[0]


class PyavDecoder:
    """A ``BaseDecoder`` on one of PyAV's decoders, one thread, no delay.

    A refused unit leaves it usable: whatever still has its references decodes.

    Args:
        max_pixels: larger pictures are refused before memory is taken for them.
    """

    def __init__(
        self, library: str, options: Options | None = None, *, max_pixels: int = MAX_AREA
    ) -> None:
        self._library = library
        self._scaler = VideoReformatter()  # for streams that are not 8-bit 4:2:0
        context = video_context(library, "r")
        context.thread_count = 1
        context.options = {"max_pixels": str(max_pixels), **(options or {})}
        self._context: VideoCodecContext | None = context

    def decode(self, data: bytes, pts_us: int) -> Frame:
        if self._context is None:
            raise DecoderError(f"{self._library} is closed")
        if not data:  # would start a flush
            raise DecoderError("an empty unit")
        try:
            pictures = self._context.decode(Packet(data))
        except (av.FFmpegError, ValueError, MemoryError) as refused:
            raise DecoderError(f"{self._library} refused {len(data)} bytes: {refused}") from refused
        if not pictures:
            raise DecoderError(f"{self._library} made no picture of {len(data)} bytes")
        try:
            return to_i420(pictures[-1], pts_us, self._scaler)
        except InputError as refused:
            raise DecoderError(str(refused)) from refused

    def close(self) -> None:
        self._context = None


def video_context(library: str, mode: Literal["r", "w"]) -> VideoCodecContext:
    """An unopened context.

    Raises:
        UnsupportedError: this PyAV was built without that library.
    """
    try:
        context = av.CodecContext.create(library, mode)
    except ValueError as missing:
        raise UnsupportedError(f"PyAV {av.__version__} has no {library}") from missing
    if not isinstance(context, VideoCodecContext):
        raise UnsupportedError(f"{library} does not code video")
    return context
