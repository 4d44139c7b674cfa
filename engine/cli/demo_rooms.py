"""``auralink demo --livekit``: the demo's call through real LiveKit rooms."""

import os
import sys
from collections.abc import Sequence
from importlib.util import find_spec

from auralink.codecs.errors import UnsupportedError
from auralink.codecs.frame import Frame, crop
from auralink.codecs.resample import Resampler
from auralink.engine.cli.terminal import kilobits, note
from auralink.engine.demo.rooms import rehearsal
from auralink.engine.demo.rooms_results import RoomResults, RoomSide, conclude
from auralink.engine.demo.settings import DemoSettings
from auralink.engine.rehearsal.pictures import fits
from auralink.engine.rehearsal.server import find_server

_SMALL: tuple[int, int] = (640, 360)


def call(
    settings: DemoSettings, source: Sequence[Frame], fps: float, *, clip: str, quiet: bool
) -> RoomResults:
    """
    Raises:
        UnsupportedError: no server, no official SDK, or no network that it uses.
    """
    if find_spec("livekit.rtc") is None:
        error = UnsupportedError("the official SDK is not installed: it plays publisher and viewer")
        error.add_note("pip install 'auralink-aic[livekit]'")
        raise error
    root = sys.platform == "linux" and os.geteuid() == 0
    if not quiet:
        shaped = "whole networks" if root else "the relay's own packets (not root)"
        note(f"{find_server()}; shaping {shaped}")
    with rehearsal(settings, _usable(source), fps, root=root) as recorded:
        return conclude(settings, clip, recorded)


def facts(results: RoomResults) -> list[tuple[str, str]]:
    link = results.carried
    return [
        ("thin link", f"{_side(results.restored)}; {link.lost} of {link.sent} packets lost"),
        ("original", _side(results.original)),
    ]


def _side(side: RoomSide) -> str:
    smooth = side.smooth
    return (
        f"{kilobits(side.bitrate_bps)}  SSIM-Y {side.quality.mean_ssim:.4f}  latency "
        f"{smooth.latency_ms.p50:.0f} / {smooth.latency_ms.p95:.0f} ms  {smooth.freezes} freezes, "
        f"longest {smooth.longest_ms:.0f} ms"
    )


def _usable(source: Sequence[Frame]) -> list[Frame]:
    """Even sizes that can carry their numbers, at most 360 lines: three codecs run at once here."""
    width, height = source[0].size
    even = [crop(frame, width & ~1, height & ~1) for frame in source]
    if height <= _SMALL[1] or not fits(even[0].size):
        return even
    small = (round(width * _SMALL[1] / height / 2) * 2, _SMALL[1])
    resampler = Resampler("area")
    return [resampler.resize(frame, *small) for frame in even]
