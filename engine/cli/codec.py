"""Opening encoders and decoders the way the commands name them."""

import time
from pathlib import Path

from auralink.codecs.errors import InputError
from auralink.codecs.video.options import EncoderOptions
from auralink.codecs.video.profiles import PROFILES, open_encoder
from auralink.codecs.video.protocol import VideoEncoder
from auralink.engine.cli.networks import open_neural
from auralink.engine.cli.values import known_name
from auralink.engine.inference.base import open_remote_base


def encoder_for(
    profile: str, *, fps: float, options: EncoderOptions, adaptive: bool = True
) -> VideoEncoder:
    """An encoder whose speed control goes by this machine's clock.

    Args:
        adaptive: False keeps the preset it starts with, so that what else runs here does not show
            in the result.

    Raises:
        UnsupportedError: there is no such profile (suggests a near one), or no networks for it.
        EncoderError: no base encoder could be opened.
    """
    known_name("profile", profile, PROFILES)
    clock = time.perf_counter if adaptive else None
    # In a process of its own: a native library that crashes or waits for ever costs one key.
    return open_encoder(
        profile,
        fps=fps,
        options=options,
        base=open_remote_base,
        clock=clock,
        neural=open_neural,
    )


def not_onto_itself(source: str, target: Path) -> None:
    """
    Raises:
        InputError: the output would replace the input.
    """
    if target.exists() and Path(source).exists() and target.samefile(source):
        error = InputError(f"{target}: input and output are the same file")
        error.add_note("give the output another name")
        raise error
