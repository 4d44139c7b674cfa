"""SVT-AV1 through PyAV's own wrapper: the way out when the library's structures are unknown.

The wrapper fixes rate and quantizer at opening, and a re-opening costs a key unit, about five
frame budgets.  So orders with a bit rate run the library's constant-bit-rate control, which needs
no re-opening while the target holds; orders without one run at constant quality.
"""

import os
from typing import Final

from auralink.codecs.base.pyav_codec import Mode, Options, PyavEncoder, Rate, Recipe
from auralink.codecs.base.scheduling import keep_scheduling
from auralink.codecs.base.svt_abi import FASTEST_PRESET

MIN_SIDE: Final = 64  # SVT-AV1 refuses smaller pictures

# Low delay, one thread, key frames on request only (no scene-change or periodic ones).
_PARAMETERS: Final = "pred-struct=1:lp=1:scd=0:keyint=-1"


def svt_recipe(*, preset: int = 8, screen: bool = False, realtime: bool = True) -> Recipe:
    """
    Args:
        preset: 4 (best) to 12 (fastest); 12 is coded as 11.
        screen: tools for rendered content; a third fewer bits on text, three times slower.
        realtime: the library's reduced real-time tool set; it has no effect on presets below 7
            but to make them faster and a few per cent worse.
    """

    preset = min(preset, FASTEST_PRESET)

    def options(mode: Mode) -> Options:
        parameters = f"{_PARAMETERS}:rtc={int(realtime)}:scm={int(screen)}"
        if isinstance(mode, Rate):
            rate = {"b": str(mode.bitrate_bps)}
            return rate | {"preset": str(preset), "svtav1-params": f"{parameters}:rc=2"}
        quality = {"crf": str(round(mode.quantizer))}
        return quality | {"preset": str(preset), "svtav1-params": parameters}

    # The library prints its banner on stderr unless told so before it is first used; as `svt`.
    os.environ.setdefault("SVT_LOG", "0")
    return Recipe(
        codec="av1",
        library="libsvtav1",
        title=f"SVT-AV1 preset {preset}{' screen' if screen else ''}",
        options=options,
        guard=keep_scheduling,
    )


def open_encoder(
    fps: float, *, preset: int = 8, screen: bool = False, quantizer: float | None = None
) -> PyavEncoder:
    """A real-time AV1 encoder; presets below 7 use the full tool set.

    Raises:
        UnsupportedError: this PyAV was built without SVT-AV1.
    """
    recipe = svt_recipe(preset=preset, screen=screen, realtime=preset >= 7)
    return PyavEncoder(recipe, fps, quantizer=quantizer)
