"""One open instance of SVT-AV1: options in, pictures in, packets out, closed at the end.

Everything that may block runs on an attendant: an instance that gives no answer is left behind.
"""

import ctypes as c
import weakref
from collections.abc import Mapping
from typing import Final, final

from auralink.codecs.base import svt_abi as abi
from auralink.codecs.base.attendant import Attendant, NoAnswerError
from auralink.codecs.base.protocol import Sharpening
from auralink.codecs.base.scheduling import keep_scheduling
from auralink.codecs.base.svt_regions import Regions, switch_on
from auralink.codecs.errors import EncoderError, UnsupportedError
from auralink.codecs.frame import Frame

# The library hands out a packet before its threads are done with the picture.  When the next one
# comes just then, it may wait for a reference buffer that nobody frees any more: 10 hangs in 620
# runs of 34 frames (slides, preset 9), none in 1,720 with half of this pause or more.
_SETTLE_S: Final = 0.001
# A key of the largest picture at the slowest preset takes a few seconds on a busy machine.
_PATIENCE_S: Final = 30.0


@final
class SvtInstance:
    """One frame in, one packet out (the low-delay structure is set by the caller).

    Args:
        options: names and values of the library's own options.
        regions: allow `code` to sharpen.

    Raises:
        UnsupportedError: its structures are not those we know.
        EncoderError: the library refused an option.
    """

    def __init__(
        self,
        lib: c.CDLL,
        options: Mapping[str, object],
        *,
        regions: bool = False,
        patience_s: float = _PATIENCE_S,
    ) -> None:
        self._lib = lib
        self._patience_s = patience_s
        self._sent = 0
        handle, allowed = _open(lib, options, regions=regions)
        self._regions = Regions() if allowed else None
        attendant = self._attendant = Attendant("svt-av1", rest_s=_SETTLE_S)
        self._handle = handle
        # Threads and memory of an instance live until it is closed, garbage or not.
        self.close: Final = weakref.finalize(self, _close, lib, handle, attendant, patience_s)
        self.close.atexit = False  # the process ends anyway, and must not wait for this

    @property
    def closed(self) -> bool:
        return not self.close.alive

    @property
    def sharpens(self) -> bool:
        """`code` may be told of a sharpening."""
        return self._regions is not None

    def code(
        self, frame: Frame, quantizer: int, *, key: bool, sharpen: Sharpening | None = None
    ) -> tuple[bytes, int]:
        """The packet of a frame and its temporal layer.

        Args:
            quantizer: of all that is not sharpened.

        Raises:
            EncoderError: it failed; the instance is closed.
        """
        lib, handle, pts = self._lib, self._handle, self._sent
        told, used = None, quantizer
        if self._regions:
            told, used = self._regions.picture(sharpen, rest=quantizer)

        def work() -> tuple[bytes, int]:
            _send(lib, handle, frame, used, pts=pts, key=key, private=told)
            return _receive(lib, handle)

        try:
            coded = self._attendant.call(work, patience_s=self._patience_s)
        except NoAnswerError:
            self.close.detach()
            raise EncoderError(
                f"SVT-AV1 gave no answer in {self._patience_s:g} s and was left behind: "
                "open a new one"
            ) from None
        except EncoderError:
            self.close()
            raise
        self._sent += 1
        return coded


def _open(lib: c.CDLL, options: Mapping[str, object], *, regions: bool) -> tuple[c.c_void_p, bool]:
    """The handle, and whether it takes regions."""
    configuration = c.create_string_buffer(abi.CONFIGURATION_BYTES)
    handle = c.c_void_p()
    with keep_scheduling():
        _check(lib.svt_av1_enc_init_handle(c.byref(handle), configuration), "init_handle")
        try:
            if any(configuration.raw[abi.CONFIGURATION_BYTES // 2 :]):
                raise UnsupportedError("SVT-AV1's configuration structure is larger than known")
            allowed = regions and switch_on(configuration)
            for option, value in options.items():
                code = lib.svt_av1_enc_parse_parameter(
                    configuration, option.encode(), str(value).encode()
                )
                _check(code, f"option {option}={value}")
            _check(lib.svt_av1_enc_set_parameter(handle, configuration), "set_parameter")
            _check(lib.svt_av1_enc_init(handle), "init")
        except (EncoderError, UnsupportedError):
            lib.svt_av1_enc_deinit_handle(handle)
            raise
    return handle, allowed


def _send(
    lib: c.CDLL,
    handle: c.c_void_p,
    frame: Frame,
    quantizer: int,
    *,
    pts: int,
    key: bool,
    private: int | None,
) -> None:
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
    buffer.pts = pts
    buffer.picture_type = abi.KEY_PICTURE if key else abi.AUTO_PICTURE
    buffer.qp = quantizer
    buffer.private = private
    # The library copies the picture before it returns.
    _check(lib.svt_av1_enc_send_picture(handle, c.byref(buffer)), "send_picture")


def _receive(lib: c.CDLL, handle: c.c_void_p) -> tuple[bytes, int]:
    packet = c.POINTER(abi.Buffer)()
    _check(lib.svt_av1_enc_get_packet(handle, c.byref(packet), 0), "get_packet")
    try:
        if not packet.contents.filled_len:
            raise EncoderError("SVT-AV1 gave an empty packet")
        data = c.string_at(packet.contents.data, packet.contents.filled_len)
        return data, int(packet.contents.temporal_layer)
    finally:
        lib.svt_av1_enc_release_out_buffer(c.byref(packet))


def _close(lib: c.CDLL, handle: c.c_void_p, attendant: Attendant, patience_s: float) -> None:
    try:
        attendant.call(lambda: _drain(lib, handle), patience_s=patience_s)
    except NoAnswerError:
        return  # left behind
    attendant.end()


def _drain(lib: c.CDLL, handle: c.c_void_p) -> None:
    last = abi.Buffer(size=c.sizeof(abi.Buffer), flags=abi.END_OF_STREAM)
    last.picture_type = abi.AUTO_PICTURE
    lib.svt_av1_enc_send_picture(handle, c.byref(last))
    packet = c.POINTER(abi.Buffer)()
    while lib.svt_av1_enc_get_packet(handle, c.byref(packet), 1) == 0:
        flags = packet.contents.flags
        lib.svt_av1_enc_release_out_buffer(c.byref(packet))
        if flags & abi.END_OF_STREAM:
            break
    lib.svt_av1_enc_deinit(handle)
    lib.svt_av1_enc_deinit_handle(handle)


def _pointer(plane: object) -> object:
    return plane.ctypes.data_as(abi.BytesPointer)  # type: ignore[attr-defined]


def _check(code: int, step: str) -> None:
    if code:
        raise EncoderError(f"SVT-AV1 refused {step} (error {code:#x})")
