"""The C interface of libaom as far as the encoder needs it, and the search for a copy to load.

Names and layouts follow libaom's public headers ``aom_encoder.h``, ``aom_codec.h``,
``aom_image.h`` and ``aomcx.h`` (BSD-2-Clause, Alliance for Open Media), encoder ABI number 29:
releases 3.6 to 3.14 share it, with equal layouts.  Nothing is trusted blindly: the library itself
compares the ABI number when an encoder is opened, and `load` reads known defaults back through
these declarations before anybody writes through them.
"""

import ctypes
import ctypes.util
import importlib.util
from collections.abc import Iterator
from ctypes import POINTER, Structure, c_char_p, c_int, c_long, c_size_t, c_uint, c_void_p
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from auralink.codecs.errors import UnsupportedError

ABI_NUMBER: Final = 29  # AOM_ENCODER_ABI_VERSION
OK: Final = 0  # AOM_CODEC_OK
USAGE_REALTIME: Final = 1  # AOM_USAGE_REALTIME
RATE_FIXED_QUANTIZER: Final = 3  # AOM_Q
NO_AUTOMATIC_KEYS: Final = 0  # AOM_KF_DISABLED
FLAG_KEY: Final = 1  # AOM_EFLAG_FORCE_KF
PACKET_FRAME: Final = 0  # AOM_CODEC_CX_FRAME_PKT
FORMAT_I420: Final = 0x102  # AOM_IMG_FMT_I420
SET_REFERENCES: Final = 133  # AV1E_SET_SVC_REF_FRAME_CONFIG

SLOTS: Final = 8  # REF_FRAMES: pictures a decoder keeps
# Indices into References.reference and .ref_idx: the three names that realtime mode searches.
NAME_LAST: Final = 0
NAME_GOLDEN: Final = 3
NAME_ALTREF: Final = 6


class Rational(Structure):
    """``struct aom_rational``."""

    num: int
    den: int

    _fields_ = (("num", c_int), ("den", c_int))


class FixedBuffer(Structure):
    """``aom_fixed_buf_t``."""

    _fields_ = (("buf", c_void_p), ("sz", c_size_t))


class Config(Structure):
    """``aom_codec_enc_cfg_t`` up to the last member we touch; the rest stays the library's own."""

    g_usage: int
    g_threads: int
    g_w: int
    g_h: int
    g_timebase: Rational
    g_lag_in_frames: int
    rc_end_usage: int
    rc_min_quantizer: int
    rc_max_quantizer: int
    kf_mode: int
    kf_max_dist: int

    _fields_ = (
        ("g_usage", c_uint),
        ("g_threads", c_uint),
        ("g_profile", c_uint),
        ("g_w", c_uint),
        ("g_h", c_uint),
        ("g_limit", c_uint),
        ("g_forced_max_frame_width", c_uint),
        ("g_forced_max_frame_height", c_uint),
        ("g_bit_depth", c_int),
        ("g_input_bit_depth", c_uint),
        ("g_timebase", Rational),
        ("g_error_resilient", c_uint),
        ("g_pass", c_int),
        ("g_lag_in_frames", c_uint),
        ("rc_dropframe_thresh", c_uint),
        ("rc_resize_mode", c_uint),
        ("rc_resize_denominator", c_uint),
        ("rc_resize_kf_denominator", c_uint),
        ("rc_superres_mode", c_int),
        ("rc_superres_denominator", c_uint),
        ("rc_superres_kf_denominator", c_uint),
        ("rc_superres_qthresh", c_uint),
        ("rc_superres_kf_qthresh", c_uint),
        ("rc_end_usage", c_int),
        ("rc_twopass_stats_in", FixedBuffer),
        ("rc_firstpass_mb_stats_in", FixedBuffer),
        ("rc_target_bitrate", c_uint),
        ("rc_min_quantizer", c_uint),
        ("rc_max_quantizer", c_uint),
        ("rc_undershoot_pct", c_uint),
        ("rc_overshoot_pct", c_uint),
        ("rc_buf_sz", c_uint),
        ("rc_buf_initial_sz", c_uint),
        ("rc_buf_optimal_sz", c_uint),
        ("rc_2pass_vbr_bias_pct", c_uint),
        ("rc_2pass_vbr_minsection_pct", c_uint),
        ("rc_2pass_vbr_maxsection_pct", c_uint),
        ("fwd_kf_enabled", c_int),
        ("kf_mode", c_int),
        ("kf_min_dist", c_uint),
        ("kf_max_dist", c_uint),
        ("rest", ctypes.c_ubyte * 4096),  # 708 bytes on LP64; the surplus is room for a longer one
    )


class Context(Structure):
    """``aom_codec_ctx_t`` (56 bytes on LP64), opaque to us."""

    _fields_ = (("opaque", c_void_p * 32),)


class Image(Structure):
    """``aom_image_t``; the library fills it in, we point ``planes`` at a frame."""

    planes: ctypes.Array[c_void_p]
    stride: ctypes.Array[c_int]

    _fields_ = (
        ("fmt", c_int),
        ("cp", c_int),
        ("tc", c_int),
        ("mc", c_int),
        ("monochrome", c_int),
        ("csp", c_int),
        ("range", c_int),
        ("w", c_uint),
        ("h", c_uint),
        ("bit_depth", c_uint),
        ("d_w", c_uint),
        ("d_h", c_uint),
        ("r_w", c_uint),
        ("r_h", c_uint),
        ("x_chroma_shift", c_uint),
        ("y_chroma_shift", c_uint),
        ("planes", c_void_p * 3),
        ("stride", c_int * 3),
        ("rest", ctypes.c_ubyte * 512),
    )


class Packet(Structure):
    """``aom_codec_cx_pkt_t``, the frame variant."""

    kind: int
    buf: int | None
    sz: int

    _fields_ = (("kind", c_int), ("buf", c_void_p), ("sz", c_size_t), ("pts", ctypes.c_int64))


class References(Structure):
    """``aom_svc_ref_frame_config_t``: which slot each reference name reads, which slots change."""

    reference: ctypes.Array[c_int]
    ref_idx: ctypes.Array[c_int]
    refresh: ctypes.Array[c_int]

    _fields_ = (("reference", c_int * 7), ("ref_idx", c_int * 7), ("refresh", c_int * SLOTS))


@dataclass(frozen=True, slots=True, kw_only=True)
class Library:
    """One loaded copy of libaom.

    `api` is a `ctypes.CDLL`: it releases the GIL for the length of every call, so other threads
    run while a frame is coded.
    """

    api: ctypes.CDLL = field(repr=False)
    version: str  # "3.13.1"
    path: str

    @property
    def fastest_speed(self) -> int:
        """7 for releases before 3.12: their speeds 8 and 9 are not to be trusted."""
        numbers = [int(part) for part in self.version.split(".")[:2] if part.isdigit()]
        return 9 if numbers >= [3, 12] else 7

    def default_config(self) -> Config:
        """
        Raises:
            UnsupportedError: no realtime encoder inside, or not the layout declared here.
        """
        config = Config()
        if self.api.aom_codec_enc_config_default(self.interface(), config, USAGE_REALTIME) != OK:
            raise UnsupportedError(f"libaom {self.version} has no realtime AV1 encoder")
        # Defaults of every release of ABI 29: if they are not where we look, neither is the rest.
        seen = [config.g_usage, config.g_w, config.g_h]
        seen += [config.g_timebase.num, config.g_timebase.den]
        seen += [config.rc_min_quantizer, config.rc_max_quantizer, config.kf_max_dist]
        if seen != [USAGE_REALTIME, 320, 240, 1, 30, 0, 63, 9999]:
            raise UnsupportedError(f"libaom {self.version}: unknown configuration layout {seen}")
        return config

    def interface(self) -> c_void_p:
        return c_void_p(self.api.aom_codec_av1_cx())

    def open(self, config: Config) -> Context:
        """
        Raises:
            UnsupportedError: the library refuses the ABI number or the configuration.
        """
        context = Context()
        result = self.api.aom_codec_enc_init_ver(context, self.interface(), config, 0, ABI_NUMBER)
        if result != OK:
            raise UnsupportedError(
                f"libaom {self.version} refused ABI {ABI_NUMBER} or {config.g_w}x{config.g_h}: "
                f"{self.explain(context)}"
            )
        return context

    def explain(self, context: Context) -> str:
        """What the library says about its last error on this handle."""
        parts = (self.api.aom_codec_error(context), self.api.aom_codec_error_detail(context))
        return ", ".join(part.decode(errors="replace") for part in parts if part)


def load(path: str | None = None) -> Library:
    """Load libaom from `path`, else the first usable copy: imagecodecs', then the system's.

    Raises:
        UnsupportedError: none is installed or none is usable.
    """
    reasons = []
    for candidate in [path] if path else _candidates():
        try:
            return _load(candidate)
        except (OSError, AttributeError, UnsupportedError) as exc:
            reasons.append(f"{candidate}: {exc}")
    raise UnsupportedError(
        "no usable libaom (3.6 to 3.14): install the system package (libaom3 on Debian, aom in "
        "Homebrew) or `pip install imagecodecs`, whose wheel carries one"
        + "".join(f"; {reason}" for reason in reasons)
    )


def _candidates() -> Iterator[str]:
    """The wheel's copy first: the system's may be release 3.6, whose speeds 8 and 9 make units
    that dav1d refuses (measured; 6 and 7 are good, and 3.13 at any speed)."""
    spec = importlib.util.find_spec("imagecodecs")  # looked up, not imported: import costs 50 ms
    if spec is not None and spec.origin:
        package = Path(spec.origin).parent
        # auditwheel (Linux, Windows) puts libraries beside the package, delocate (macOS) inside.
        for folder in (package.parent / "imagecodecs.libs", package / ".dylibs"):
            yield from (str(found) for found in sorted(folder.glob("*aom*")))
    system = ctypes.util.find_library("aom")
    if system:
        yield system


def _load(path: str) -> Library:
    api = ctypes.CDLL(path)
    _declare(api)
    version = api.aom_codec_version_str().decode(errors="replace").lstrip("v")
    library = Library(api=api, version=version, path=path)
    api.aom_codec_destroy(library.open(library.default_config()))  # the ABI check happens in open
    return library


def _declare(api: ctypes.CDLL) -> None:
    """Types of every function used.

    `aom_codec_control` is variadic: naming only its fixed arguments makes ctypes pass the rest by
    the variadic convention, which differs on Apple's arm64.
    """
    context, config, image = POINTER(Context), POINTER(Config), POINTER(Image)
    for name, result, arguments in (
        ("aom_codec_version_str", c_char_p, []),
        ("aom_codec_av1_cx", c_void_p, []),
        ("aom_codec_enc_config_default", c_int, [c_void_p, config, c_uint]),
        ("aom_codec_enc_init_ver", c_int, [context, c_void_p, config, c_long, c_int]),
        ("aom_codec_enc_config_set", c_int, [context, config]),
        ("aom_codec_set_option", c_int, [context, c_char_p, c_char_p]),
        ("aom_codec_control", c_int, [context, c_int]),
        ("aom_img_wrap", c_void_p, [image, c_int, c_uint, c_uint, c_uint, c_void_p]),
        ("aom_codec_encode", c_int, [context, image, ctypes.c_int64, ctypes.c_ulong, c_long]),
        ("aom_codec_get_cx_data", POINTER(Packet), [context, POINTER(c_void_p)]),
        ("aom_codec_error", c_char_p, [context]),
        ("aom_codec_error_detail", c_char_p, [context]),
        ("aom_codec_destroy", c_int, [context]),
    ):
        function = getattr(api, name)
        function.restype, function.argtypes = result, arguments
