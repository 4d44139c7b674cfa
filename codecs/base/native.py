"""The codecs every LiveKit client knows, through PyAV: VP8, VP9 and H.264.

They serve as the way out when the neural or hybrid codec cannot run, and as anchors for
measurements.  Settings are those of real-time calls: one key frame at the start and on request,
no look-ahead, no reordering, one thread.

Sources:
    libwebrtc ``modules/video_coding/codecs/{vp8,vp9}`` for rate control and speed.
"""

from typing import Final, Literal, TypeAlias

from auralink.codecs.base.pyav_codec import (
    Mode,
    Options,
    PyavDecoder,
    PyavEncoder,
    Rate,
    Recipe,
)
from auralink.codecs.frame import MAX_AREA

NativeCodec: TypeAlias = Literal["vp8", "vp9", "h264"]

VP8_SPEED: Final = -6  # negative: fixed, as on desktop machines in libwebrtc
VP9_SPEED: Final = 8
H264_SCALE: Final = 51 / 63  # engine scale to x264's
# libwebrtc stops VP8 at 56 and VP9 at 52; 63 lets low rates be kept rather than overshot.
_WORST_QUANTIZER: Final = 63


def vp8_recipe(*, speed: int = VP8_SPEED, screen: bool = False) -> Recipe:
    def options(mode: Mode) -> Options:
        tuning = {"static-thresh": "100" if screen else "1", "noise-sensitivity": "0"}
        if screen:
            tuning["screen-content-mode"] = "1"  # libwebrtc takes 2, which may drop frames
        return _vpx(mode, speed, undershoot=100, overshoot=15) | tuning

    return Recipe(codec="vp8", library="libvpx", title=f"VP8 speed {speed}", options=options)


def vp9_recipe(*, speed: int = VP9_SPEED, screen: bool = False) -> Recipe:
    def options(mode: Mode) -> Options:
        # Cyclic refresh belongs to rate control; at constant quality it would only spread quality.
        tuning = {"row-mt": "0", "aq-mode": "3" if isinstance(mode, Rate) else "0"}
        if screen:
            tuning["tune-content"] = "screen"
        return _vpx(mode, speed, undershoot=50, overshoot=50) | tuning

    return Recipe(codec="vp9", library="libvpx-vp9", title=f"VP9 speed {speed}", options=options)


def h264_recipe(*, preset: str = "veryfast", profile: str = "baseline") -> Recipe:
    """x264 zerolatency; baseline without FMO is what every browser must decode (RFC 7742)."""

    def options(mode: Mode) -> Options:
        common = {
            "preset": preset,
            "tune": "zerolatency",
            "profile": profile,
            "forced-idr": "1",
            "x264-params": "scenecut=0:sliced-threads=0:slices=1",
        }
        if isinstance(mode, Rate):
            return common | _constant_rate(mode)
        return common | {"crf": f"{mode.quantizer * H264_SCALE:.2f}"}

    title = f"H.264 {preset} zerolatency {profile}"
    return Recipe(codec="h264", library="libx264", title=title, options=options)


def open_encoder(codec: NativeCodec, fps: float, *, quantizer: float | None = None) -> PyavEncoder:
    """A real-time encoder with the settings above.

    Raises:
        UnsupportedError: this PyAV was built without that codec.
    """
    recipes = {"vp8": vp8_recipe(), "vp9": vp9_recipe(), "h264": h264_recipe()}
    return PyavEncoder(recipes[codec], fps, quantizer=quantizer)


def open_decoder(codec: NativeCodec, *, max_pixels: int = MAX_AREA) -> PyavDecoder:
    """FFmpeg's own decoder of that codec."""
    return PyavDecoder(codec, max_pixels=max_pixels)


def _vpx(mode: Mode, speed: int, *, undershoot: int, overshoot: int) -> Options:
    common = {
        "deadline": "realtime",
        "cpu-used": str(speed),
        "lag-in-frames": "0",
        "error-resilient": "0",
        "auto-alt-ref": "0",
    }
    if isinstance(mode, Rate):
        return common | {
            **_constant_rate(mode),
            "qmin": "2",
            "qmax": str(_WORST_QUANTIZER),
            "undershoot-pct": str(undershoot),
            "overshoot-pct": str(overshoot),
            # Half the buffer, in frames of one tenth: libwebrtc's MaxIntraTarget at 600 ms.
            "max-intra-rate": str(max(300, round(600 * 0.5 * mode.fps / 10))),
        }
    quantizer = str(round(mode.quantizer))
    return common | {"qmin": quantizer, "qmax": quantizer, "b": "100000000"}


def _constant_rate(mode: Rate) -> Options:
    """A buffer of one second, filled to 60 % at the start."""
    rate = str(mode.bitrate_bps)
    return {
        "b": rate,
        "minrate": rate,
        "maxrate": rate,
        "bufsize": rate,
        "rc_init_occupancy": str(round(mode.bitrate_bps * 0.6)),
    }
