"""The public structures of libSvtAv1Enc that cross the boundary, for ctypes.

Only the small ones are declared, after EbSvtAv1.h and EbSvtAv1Enc.h of releases 4.1.0 and 4.2.0,
where they are equal.  The large configuration structure is an over-allocated zeroed buffer: the
library fills it, and it is changed by option name through ``svt_av1_enc_parse_parameter``.
"""

import ctypes as c
from typing import Final

SUPPORTED: Final = ((4, 1), (4, 2))  # releases whose structures were compared and tried

# Preset 12 waits for itself for ever most often where nothing paces the pictures, as behind PyAV
# (see `svt_instance`): 1 of 100 short streams, none in 500 at preset 11.
FASTEST_PRESET: Final = 11

KEY_PICTURE: Final = 3  # EB_AV1_KEY_PICTURE
AUTO_PICTURE: Final = 0xFF  # EB_AV1_INVALID_PICTURE: the encoder decides
END_OF_STREAM: Final = 1  # EB_BUFFERFLAG_EOS

# The configuration structure has 1 to 2 kB in these releases; the library writes no further than
# its own size, and opening fails if more than half of this is ever used.
CONFIGURATION_BYTES: Final = 1 << 16

BytesPointer = c.POINTER(c.c_uint8)


class Picture(c.Structure):
    """EbSvtIOFormat: three planes and their strides."""

    _fields_ = (
        ("luma", BytesPointer),
        ("cb", BytesPointer),
        ("cr", BytesPointer),
        ("y_stride", c.c_uint32),
        ("cr_stride", c.c_uint32),
        ("cb_stride", c.c_uint32),
    )


class Buffer(c.Structure):
    """EbBufferHeaderType: a picture going in, or a packet coming out."""

    _fields_ = (
        ("size", c.c_uint32),
        ("data", c.c_void_p),
        ("filled_len", c.c_uint32),
        ("alloc_len", c.c_uint32),
        ("private", c.c_void_p),
        ("wrapper", c.c_void_p),
        ("tick_count", c.c_uint32),
        ("dts", c.c_int64),
        ("pts", c.c_int64),
        ("temporal_layer", c.c_uint8),
        ("qp", c.c_uint32),
        ("average_qp", c.c_uint32),
        ("picture_type", c.c_uint32),
        ("sse", c.c_uint64 * 3),
        ("flags", c.c_uint32),
        ("ssim", c.c_double * 3),
        ("metadata", c.c_void_p),
    )


_FUNCTIONS: Final = (
    "svt_av1_enc_init_handle",
    "svt_av1_enc_set_parameter",
    "svt_av1_enc_parse_parameter",
    "svt_av1_enc_init",
    "svt_av1_enc_send_picture",
    "svt_av1_enc_get_packet",
    "svt_av1_enc_deinit",
    "svt_av1_enc_deinit_handle",
)


def load(path: str) -> c.CDLL:
    """Load the library and declare what is called.  Calls release the GIL.

    Raises:
        OSError: not a loadable library.
        AttributeError: it lacks one of the functions.
    """
    library = c.CDLL(path)
    for name in _FUNCTIONS:
        getattr(library, name).restype = c.c_uint32
    library.svt_av1_get_version.restype = c.c_char_p
    return library


def version(library: c.CDLL) -> tuple[int, ...]:
    """``v4.1.0-2-gabc`` as ``(4, 1, 0)``."""
    text = library.svt_av1_get_version().decode("ascii", "replace").lstrip("v").split("-")[0]
    return tuple(int(part) for part in text.split(".") if part.isdigit())
