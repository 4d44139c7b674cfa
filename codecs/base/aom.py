"""libaom in real-time mode under per-frame control: quantizer, key frames and references.

The only engine that predicts from what the receiver surely holds (`Order.predict_from`), so a loss
is repaired with a frame of about half a key's size.  Where every bit arrives, SVT-AV1 needs 3 to
10 % fewer.  No compiler is needed: the library is called through ctypes, which releases the GIL
for the length of each call.  One thread; nothing is held back.
"""

import ctypes
import weakref
from pathlib import Path
from typing import Final, final

from auralink.codecs.base import aom_abi as abi
from auralink.codecs.base.aom_references import DROPPABLE, PATTERN, Plan, ReferenceStructure
from auralink.codecs.base.hierarchy import Hierarchy, Offset, clip_quantizer
from auralink.codecs.base.protocol import BaseUnit, Capabilities, Order
from auralink.codecs.errors import EncoderError, InputError, UnsupportedError
from auralink.codecs.frame import Frame

SPEEDS: Final = range(5, 10)  # cpu-used: 5 best and slowest, 9 fastest

# Best of eleven sets tried on foreman, signerD and news (352x288, 480x360; speed 7, quantizers 30
# to 60, 57 frames): 1.7, 3.5 and 7.3 % fewer bits at equal SSIM than constant offsets of 14/5/0 and
# 19 for a key, which had been the best of three before.
HIERARCHY: Final = Hierarchy(
    layers=PATTERN,
    offsets=(
        Offset(at_coarsest=10, per_step=0.10),
        Offset(at_coarsest=3, per_step=0.05),
        Offset(at_coarsest=0),
    ),
    key=Offset(at_coarsest=22, per_step=0.20),
)

# What libwebrtc, too, switches off, as far as it costs no bits at speeds 5 to 8.  Without order
# hints no reference matters but the named ones, which makes `depends` exact.
_OPTIONS: Final = {
    "aq-mode": "0",  # cyclic refresh needs 0.7 to 1 % more bits at a given quantizer
    "deltaq-mode": "0",
    "enable-order-hint": "0",
    "enable-palette": "0",
    "enable-tpl-model": "0",
}
_SCREEN_OPTIONS: Final = {"enable-palette": "1", "tune-content": "screen"}
_CARRIER_NAME: Final = 5  # ALTREF2: names the slot to be replaced; never searched in this mode


@final
class AomAv1:
    """A `BaseEncoder` on libaom 3.6 to 3.14.

    Args:
        size: width and height; another size may come with a key.
        speed: 5 (best) to 9 (fastest), libaom's ``cpu-used``.
        screen: use the tools for rendered content (palette, intra block copy).
        library: a certain copy of libaom; None searches, see `aom_abi.load`.

    Raises:
        UnsupportedError: no usable library.
        EncoderError: the library refused these settings.
    """

    def __init__(
        self,
        size: tuple[int, int],
        *,
        speed: int = 6,
        screen: bool = False,
        library: Path | None = None,
    ) -> None:
        if speed not in SPEEDS:
            raise InputError(f"libaom speed {speed}: 5 (best) to 9 (fastest) can be used")
        self._library = abi.load(str(library) if library else None)
        self._speed = min(speed, self._library.fastest_speed)
        self._screen = screen
        self._handle: _Handle | None = None
        self._open(size)

    @property
    def name(self) -> str:
        screen = " screen" if self._screen else ""
        return f"libaom {self._library.version} speed {self._speed}{screen}"

    @property
    def codec(self) -> str:
        return "av1"

    @property
    def capabilities(self) -> Capabilities:
        return Capabilities(quantizer=True, references=True, droppable=True, size_at_key=True)

    @property
    def hierarchy(self) -> Hierarchy:
        """Starts again with layer 0 at a repair, as at a key; `BaseUnit.layer` tells."""
        return HIERARCHY

    def encode(self, frame: Frame, order: Order) -> BaseUnit:
        """Code one frame; it becomes a key if no picture that it may use is left.

        What ``order.predict_from`` means for this frame and the next is said at
        `ReferenceStructure`.

        Raises:
            EncoderError: the library refused; this encoder is dead, open another one.
        """
        if self._handle is None:
            raise EncoderError("libaom encoder is closed: open a new one")
        try:
            return self._encode(self._handle, frame, order)
        except EncoderError:
            self.close()
            raise

    def close(self) -> None:
        handle, self._handle = self._handle, None
        if handle is not None:
            handle.close()

    def _encode(self, handle: "_Handle", frame: Frame, order: Order) -> BaseUnit:
        plan = self._structure.plan(key=order.key, predict_from=order.predict_from)
        if frame.size != handle.size:
            if not plan.key:
                raise EncoderError(
                    f"size may change from {handle.size} to {frame.size} at a key only"
                )
            handle = self._open(frame.size)
            plan = self._structure.plan()
        quantizer = _quantizer(order, plan)
        data = handle.encode(frame, plan, quantizer)
        self._structure.commit(order.number, plan)
        return BaseUnit(
            data=data,
            number=order.number,
            key=plan.key,
            reference=plan.layer != DROPPABLE,
            depends=plan.depends,
            layer=plan.layer,
            quantizer=quantizer,
        )

    def _open(self, size: tuple[int, int]) -> "_Handle":
        """A fresh handle for every size: not every release can grow a picture in place."""
        self.close()
        options = _OPTIONS | (_SCREEN_OPTIONS if self._screen else {})
        self._structure = ReferenceStructure()
        self._handle = _Handle(self._library, size, {"cpu-used": str(self._speed), **options})
        return self._handle


@final
class _Handle:
    """One open ``aom_codec_ctx_t`` at one picture size."""

    def __init__(
        self, library: abi.Library, size: tuple[int, int], options: dict[str, str]
    ) -> None:
        self.size = size
        self._library = library
        self._api = library.api
        self._config = _configure(library, size)
        self._image = abi.Image()
        self._coded = 0
        try:
            self._context = library.open(self._config)
        except UnsupportedError as exc:  # the library is known to work, so it is the size
            raise EncoderError(str(exc)) from exc
        self.close = weakref.finalize(self, self._api.aom_codec_destroy, self._context)
        try:
            for option, value in options.items():
                self._check(
                    self._api.aom_codec_set_option(self._context, option.encode(), value.encode()),
                    f"option {option}={value}",
                )
        except EncoderError:
            self.close()
            raise

    def encode(self, frame: Frame, plan: Plan, quantizer: int) -> bytes:
        self._set_quantizer(quantizer)
        if not plan.key:
            self._set_references(plan)
        self._point_at(frame)
        flags = abi.FLAG_KEY if plan.key else 0
        # One tick per frame: nothing depends on the real time at a fixed quantizer.  The library
        # copies the picture before it returns.
        code = self._api.aom_codec_encode(self._context, self._image, self._coded, 1, flags)
        self._check(code, "the frame")
        self._coded += 1
        return self._take_packet()

    def _set_quantizer(self, quantizer: int) -> None:
        if self._config.rc_min_quantizer == self._config.rc_max_quantizer == quantizer:
            return
        self._config.rc_min_quantizer = self._config.rc_max_quantizer = quantizer
        code = self._api.aom_codec_enc_config_set(self._context, self._config)
        self._check(code, f"quantizer {quantizer}")

    def _set_references(self, plan: Plan) -> None:
        chosen = abi.References()
        # LAST comes first: the entropy contexts are inherited from it, so it must be a reference.
        names = (abi.NAME_LAST, abi.NAME_GOLDEN, abi.NAME_ALTREF)
        chosen.ref_idx[:] = [plan.references[0]] * len(chosen.ref_idx)
        for name, slot in zip(names, plan.references, strict=False):
            chosen.reference[name] = 1
            chosen.ref_idx[name] = slot
        if plan.stored_in is not None:
            chosen.refresh[plan.stored_in] = 1
            chosen.ref_idx[_CARRIER_NAME] = plan.stored_in  # a slot no name points at stays as is
        code = self._api.aom_codec_control(self._context, abi.SET_REFERENCES, ctypes.byref(chosen))
        self._check(code, "the references")

    def _point_at(self, frame: Frame) -> None:
        if self._coded == 0:
            self._api.aom_img_wrap(
                self._image, abi.FORMAT_I420, frame.width, frame.height, 1, frame.y.ctypes.data
            )
        for index, plane in enumerate(frame.planes):
            self._image.planes[index] = plane.ctypes.data
            self._image.stride[index] = plane.strides[0]

    def _take_packet(self) -> bytes:
        data = b""
        iterator = ctypes.c_void_p()
        while packet := self._api.aom_codec_get_cx_data(self._context, ctypes.byref(iterator)):
            if packet.contents.kind == abi.PACKET_FRAME:
                data += ctypes.string_at(packet.contents.buf, packet.contents.sz)
        if not data:
            raise EncoderError("libaom gave no unit for a frame")
        return data

    def _check(self, code: int, what: str) -> None:
        if code != abi.OK:
            detail = self._library.explain(self._context)
            raise EncoderError(f"libaom refused {what} (error {code}: {detail})")


def _configure(library: abi.Library, size: tuple[int, int]) -> abi.Config:
    config = library.default_config()
    config.g_w, config.g_h = size
    config.g_threads = 1
    config.g_lag_in_frames = 0
    config.rc_end_usage = abi.RATE_FIXED_QUANTIZER
    config.kf_mode = abi.NO_AUTOMATIC_KEYS
    return config


def _quantizer(order: Order, plan: Plan) -> int:
    if order.exact:
        return clip_quantizer(order.quantizer)
    return clip_quantizer(HIERARCHY.quantizer(order.quantizer, plan.layer, key=plan.key))
