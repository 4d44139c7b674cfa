"""Profiles by name: how an encoder or a decoder is put together."""

from typing import Final

from auralink.codecs.base import select
from auralink.codecs.base.protocol import BaseEncoder
from auralink.codecs.errors import UnsupportedError
from auralink.codecs.neural.networks import NeuralNetworks
from auralink.codecs.video.any_decoder import AnyDecoder
from auralink.codecs.video.base_session import BaseSettings, Clock, OpenBase
from auralink.codecs.video.decoder import BaseLayerDecoder
from auralink.codecs.video.encoder import BaseLayerEncoder
from auralink.codecs.video.neural_decoder import NeuralDecoder, OpenNeural
from auralink.codecs.video.neural_encoder import NeuralEncoder
from auralink.codecs.video.options import EncoderOptions
from auralink.codecs.video.protocol import Networks, VideoDecoder, VideoEncoder
from auralink.codecs.video.syntax import Profile

BASE_PROFILES: Final = ("hybrid", "native-av1", "native-vp8", "native-vp9", "native-h264")
LEARNED_PROFILES: Final = ("neural-s", "neural-m")
PROFILES: Final = BASE_PROFILES + LEARNED_PROFILES
DEFAULT_PROFILE: Final = "hybrid"


def open_base(size: tuple[int, int], settings: BaseSettings) -> BaseEncoder:
    """Open a base encoder in this process."""
    return select.open_encoder(
        settings.codec,
        size,
        fps=settings.fps,
        preset=settings.preset,
        screen=settings.screen,
        engine=settings.engine,
        quantizer=settings.quantizer,
    )


def open_encoder(
    profile: str,
    *,
    fps: float,
    options: EncoderOptions | None = None,
    base: OpenBase = open_base,
    clock: Clock | None = None,
    neural: OpenNeural | None = None,
) -> VideoEncoder:
    """Open an encoder.  The picture size follows the frames.

    Args:
        profile: one of ``PROFILES``.
        base: opens base encoders, perhaps in a worker process.
        clock: seconds, monotonic; with it speed control adapts the preset to the machine.
        neural: finds the networks of the learned profiles.

    Raises:
        UnsupportedError: no such profile, or not in this build.
    """
    known = _profile(profile)
    options = options or EncoderOptions()
    if known.learned:
        networks = (neural or _no_networks)(known.label)
        return NeuralEncoder(known, networks, fps=fps, options=options)
    return BaseLayerEncoder(known, fps=fps, options=options, open_base=base, clock=clock)


def open_decoder(
    networks: Networks | None = None, neural: OpenNeural | None = None
) -> VideoDecoder:
    """Open a decoder for any profile; the stream says which.

    Args:
        networks: what restores pictures that were coded small.
        neural: finds the networks of the learned profiles.
    """
    return AnyDecoder(
        lambda: BaseLayerDecoder(select.open_decoder, networks),
        lambda: NeuralDecoder(neural or _no_networks),
    )


def _no_networks(name: str | int) -> NeuralNetworks:
    raise UnsupportedError(f"the networks of {name} were not given to this codec")


def _profile(label: str) -> Profile:
    if label not in PROFILES:
        raise UnsupportedError(f"no profile is called {label!r}: one of {', '.join(PROFILES)}")
    return Profile.from_label(label)
