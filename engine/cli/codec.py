"""Opening encoders and decoders the way the commands name them."""

from pathlib import Path

from auralink.codecs.errors import InputError
from auralink.codecs.video.profiles import (
    PROFILES,
    EncoderOptions,
    open_encoder,
)
from auralink.codecs.video.protocol import VideoEncoder
from auralink.engine.cli.values import known_name

DEFAULT_PROFILE = "hybrid"


def encoder_for(
    profile: str, *, size: tuple[int, int], fps: float, options: EncoderOptions
) -> VideoEncoder:
    """
    Raises:
        UnsupportedError: there is no such profile; suggests a near one.
        EncoderError: no base encoder could be opened.
    """
    return open_encoder(
        known_name("profile", profile, PROFILES), size=size, fps=fps, options=options
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
