"""SVT-AV1 under per-frame control: the library inside the PyAV wheel, through ctypes.

No header and no compiler are needed.  One frame in, one packet out, a quantizer per frame, key
frames on request.  From preset 5 on, units of the top layer (every second frame) are never
referenced.

Now and then (about 1 of 100 short streams at preset 12, once seen at 10, never in 12,000 frames of
one stream) the library waits for itself for ever when frames follow without a pause after it was
opened anew in a process.  Frames 2 ms apart never showed it.  Live use paces frames anyway; for
files, run it in a worker process with a deadline.

The library cannot be told which references to use, so a unit depends on the reference unit before
it, and through that on all since the key.
"""

import ctypes as c
import os
from dataclasses import replace
from pathlib import Path
from typing import Final, final

from auralink.codecs.base import svt_abi as abi
from auralink.codecs.base.hierarchy import COARSEST, Hierarchy, Offset, clip_quantizer
from auralink.codecs.base.protocol import BaseUnit, Capabilities, Order
from auralink.codecs.base.scheduling import keep_scheduling
from auralink.codecs.errors import EncoderError, UnsupportedError
from auralink.codecs.frame import Frame

MIN_SIDE: Final = 16  # smaller pictures are padded by the caller

# Preset 12 of release 4.1 is the one that often hangs, as said above: none in 500 at preset 11.
FASTEST_PRESET: Final = 11
# Slower presets predict from top-layer frames as well (measured: one lost, all that follow differ).
_DROPPABLE_FROM: Final = 5

# The low-delay structure (pred-struct 1, three hierarchical levels): a dyadic hierarchy in coding
# order.  The encoder follows the quantizer of the picture header to the letter (use-q-file), so
# the offsets are ours; one quantizer for all layers would cost 36 to 49 % more bits.  Found by
# search from those of the library's constant-quality mode; see docs/base-encoders.md.
CAMERA_HIERARCHY: Final = Hierarchy(
    layers=(0, 3, 2, 3, 1, 3, 2, 3),
    offsets=(
        Offset(at_coarsest=9.0, per_step=0.05),
        Offset(at_coarsest=5.0, per_step=0.03),
        Offset(at_coarsest=2.0),
        Offset(at_coarsest=0.0),
    ),
    key=Offset(at_coarsest=24.0, per_step=0.10),
)
# Rendered pictures are mostly still and mostly intra: a key as fine as above would be most of the
# stream at low rates.
SCREEN_HIERARCHY: Final = replace(CAMERA_HIERARCHY, key=Offset(at_coarsest=18.0, per_step=0.20))


def find_library() -> Path:
    """The libSvtAv1Enc that PyAV brings along.

    Raises:
        UnsupportedError: this PyAV was built without it.
    """
    import av

    package = Path(av.__file__).parent
    beside = package.parent
    folders = (beside / "av.libs", package / ".dylibs", beside / "av.dylibs", package)
    for folder in folders:
        found = sorted(folder.glob("*SvtAv1Enc*"))
        if found:
            return found[0]
    raise UnsupportedError("this PyAV carries no SVT-AV1: install the wheel, `pip install av`")


@final
class SvtAv1:
    """A ``BaseEncoder`` on SVT-AV1 4.1 or 4.2.

    Args:
        size: even width and height, at least ``MIN_SIDE`` each.
        preset: 1 (best) to 12 (fastest); 12 is coded as 11.
        screen: use the tools for rendered content (palette, intra block copy).
        realtime: the library's reduced real-time tool set: 1.8 times as fast, 4 % more bits.

    Raises:
        UnsupportedError: no usable library.
        EncoderError: the library refused these settings.
    """

    def __init__(
        self,
        size: tuple[int, int],
        fps: float,
        *,
        preset: int,
        screen: bool = False,
        realtime: bool = False,
        library: Path | None = None,
    ) -> None:
        # The library prints its banner on stderr unless told so before it is first used.
        os.environ.setdefault("SVT_LOG", "1")  # 1: errors only
        path = library or find_library()
        try:
            self._lib = abi.load(str(path))
        except (OSError, AttributeError) as exc:
            raise UnsupportedError(f"{path.name} cannot be used as SVT-AV1: {exc}") from exc
        self._version = abi.version(self._lib)
        if self._version[:2] not in abi.SUPPORTED:
            raise UnsupportedError(
                f"SVT-AV1 {'.'.join(map(str, self._version))} is not one of the releases whose "
                f"structures are known ({', '.join(f'{a}.{b}' for a, b in abi.SUPPORTED)})"
            )
        self._fps = fps
        self._preset = min(preset, FASTEST_PRESET)
        self._screen = screen
        self._realtime = realtime
        self._droppable = preset >= _DROPPABLE_FROM
        self._hierarchy = SCREEN_HIERARCHY if screen else CAMERA_HIERARCHY
        self._handle: c.c_void_p | None = None
        self._size = size
        self._position = 0  # frames since the key
        self._sent = 0
        self._last_reference = 0
        self._open(size)

    @property
    def name(self) -> str:
        number = ".".join(map(str, self._version))
        return f"SVT-AV1 {number} preset {self._preset}{' screen' if self._screen else ''}"

    @property
    def codec(self) -> str:
        return "av1"

    @property
    def hierarchy(self) -> Hierarchy:
        return self._hierarchy

    @property
    def capabilities(self) -> Capabilities:
        return Capabilities(
            quantizer=True, references=False, droppable=self._droppable, size_at_key=True
        )

    def encode(self, frame: Frame, order: Order) -> BaseUnit:
        if self._handle is None:
            raise EncoderError("SVT-AV1 encoder is closed: open a new one")
        key = order.key or self._position == 0
        if frame.size != self._size:
            if not key:
                raise EncoderError(f"size may go from {self._size} to {frame.size} at a key only")
            self.close()
            self._open(frame.size)
        if key:
            self._position = 0
        layer = self._hierarchy.layer(self._position)
        quantizer = clip_quantizer(
            order.quantizer
            if order.exact
            else self._hierarchy.quantizer(order.quantizer, layer, key=key)
        )
        try:
            self._send(frame, quantizer, key=key)
            data, layer = self._receive()
        except EncoderError:
            self.close()
            raise
        reference = layer < self._hierarchy.top or not self._droppable
        depends = () if key else (self._last_reference,)
        if reference:
            self._last_reference = order.number
        self._position += 1
        return BaseUnit(
            data=data,
            number=order.number,
            key=key,
            reference=reference,
            depends=depends,
            layer=layer,
            quantizer=quantizer,
        )

    def close(self) -> None:
        handle, self._handle = self._handle, None
        if handle is None:
            return
        last = abi.Buffer(size=c.sizeof(abi.Buffer), flags=abi.END_OF_STREAM)
        last.picture_type = abi.AUTO_PICTURE
        self._lib.svt_av1_enc_send_picture(handle, c.byref(last))
        packet = c.POINTER(abi.Buffer)()
        while self._lib.svt_av1_enc_get_packet(handle, c.byref(packet), 1) == 0:
            flags = packet.contents.flags
            self._lib.svt_av1_enc_release_out_buffer(c.byref(packet))
            if flags & abi.END_OF_STREAM:
                break
        self._lib.svt_av1_enc_deinit(handle)
        self._lib.svt_av1_enc_deinit_handle(handle)

    def _open(self, size: tuple[int, int]) -> None:
        width, height = size
        options = {
            "w": width,
            "h": height,
            "fps-num": max(1, round(self._fps * 1000)),
            "fps-denom": 1000,
            "input-depth": 8,
            "preset": self._preset,
            "pred-struct": 1,  # low delay: one in, one out
            "hierarchical-levels": 3,
            "rtc": int(self._realtime),
            "rc": 0,
            # Nothing is coded with this one, but the library searches less thoroughly the finer it
            # is.  Preset 6 with 63 needs 6 % fewer bits than preset 5 in its own constant-quality
            # mode, in the same time (three people clips).
            "qp": COARSEST,
            "use-q-file": 1,  # obey the quantizer in each picture's header
            "scm": int(self._screen),
            "scd": 0,
            "lp": 1,  # one core: other streams want the rest
            "keyint": -1,  # keys on request only
        }
        configuration = c.create_string_buffer(abi.CONFIGURATION_BYTES)
        handle = c.c_void_p()
        with keep_scheduling():
            _check(self._lib.svt_av1_enc_init_handle(c.byref(handle), configuration), "init_handle")
            if any(configuration.raw[abi.CONFIGURATION_BYTES // 2 :]):
                raise UnsupportedError("SVT-AV1's configuration structure is larger than known")
            try:
                for option, value in options.items():
                    code = self._lib.svt_av1_enc_parse_parameter(
                        configuration, option.encode(), str(value).encode()
                    )
                    _check(code, f"option {option}={value}")
                _check(self._lib.svt_av1_enc_set_parameter(handle, configuration), "set_parameter")
                _check(self._lib.svt_av1_enc_init(handle), "init")
            except EncoderError:
                self._lib.svt_av1_enc_deinit_handle(handle)
                raise
        self._handle = handle
        self._size = size
        self._position = 0
        self._sent = 0

    def _send(self, frame: Frame, quantizer: int, *, key: bool) -> None:
        y, u, v = frame.planes
        picture = abi.Picture(
            luma=_pointer(y),
            cb=_pointer(u),
            cr=_pointer(v),
            y_stride=y.strides[0],
            cr_stride=v.strides[0],
            cb_stride=u.strides[0],
        )
        size = y.nbytes + u.nbytes + v.nbytes
        buffer = abi.Buffer(size=c.sizeof(abi.Buffer), filled_len=size, alloc_len=size)
        buffer.data = c.addressof(picture)
        buffer.pts = self._sent
        buffer.picture_type = abi.KEY_PICTURE if key else abi.AUTO_PICTURE
        buffer.qp = quantizer
        # The library copies the picture before it returns.
        _check(self._lib.svt_av1_enc_send_picture(self._handle, c.byref(buffer)), "send_picture")
        self._sent += 1

    def _receive(self) -> tuple[bytes, int]:
        packet = c.POINTER(abi.Buffer)()
        code = self._lib.svt_av1_enc_get_packet(self._handle, c.byref(packet), 0)
        _check(code, "get_packet")
        try:
            if not packet.contents.filled_len:
                raise EncoderError("SVT-AV1 gave an empty packet")
            data = c.string_at(packet.contents.data, packet.contents.filled_len)
            return data, int(packet.contents.temporal_layer)
        finally:
            self._lib.svt_av1_enc_release_out_buffer(c.byref(packet))


def _pointer(plane: object) -> object:
    return plane.ctypes.data_as(abi.BytesPointer)  # type: ignore[attr-defined]


def _check(code: int, step: str) -> None:
    if code:
        raise EncoderError(f"SVT-AV1 refused {step} (error {code:#x})")
