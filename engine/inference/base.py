"""Native codecs at workers, for the profiles that want them kept apart.

One worker to itself for a file that is coded; a seat in a pool for a call, where many streams share
few workers and what takes longer than a second is a hang.
"""

from functools import partial
from typing import Final

from auralink.codecs.base.native import NativeCodec
from auralink.codecs.base.native import open_encoder as open_native
from auralink.codecs.base.protocol import BaseEncoder
from auralink.codecs.video.base_session import BaseSettings, Clock, OpenBase
from auralink.codecs.video.options import EncoderOptions
from auralink.codecs.video.profiles import (
    LEARNED_PROFILES,
    open_base,
    open_decoder,
    open_encoder,
)
from auralink.codecs.video.protocol import Networks, VideoDecoder, VideoEncoder
from auralink.engine.inference.hosts import Host
from auralink.engine.inference.remote import (
    RemoteEncoder,
    RemoteVideoDecoder,
    RemoteVideoEncoder,
)
from auralink.models.codec_runtime import open_codec

_DEADLINE_S: Final = 1.0
# A key of the largest picture at the slowest preset takes this long per megapixel.
_S_PER_MEGAPIXEL: Final = 3.0
_BUSY_MACHINE: Final = 10.0  # others compute, too, and a file that is coded has time
# With the kill it is over within a second.  The key of a screen may compute for longer than that.
_LIVE_S: Final = 0.9


def open_remote_base(size: tuple[int, int], settings: BaseSettings) -> BaseEncoder:
    """Open a base encoder in a process of its own (an ``OpenBase``).

    Raises:
        UnsupportedError: this machine has no such encoder.
        EncoderError: the worker could not be started.
    """
    megapixels = size[0] * size[1] / 1e6
    deadline_s = _DEADLINE_S + _S_PER_MEGAPIXEL * megapixels
    return RemoteEncoder(
        partial(open_base, size, settings),
        deadline_s=deadline_s,
        busy_s=_BUSY_MACHINE * deadline_s,
    )


def encoder_at(
    host: Host, profile: str, *, fps: float, options: EncoderOptions, clock: Clock
) -> VideoEncoder:
    """An encoder for a call.  What computes runs at a host's worker: all of a learned profile, the
    base encoder of the others, whose rate control outlives the worker.

    Raises:
        UnsupportedError: no such profile, or this machine lacks what it needs.
        EncoderError: there is no worker just now.
    """
    if profile in LEARNED_PROFILES:
        make = partial(open_encoder, profile, fps=fps, options=options, neural=open_codec)
        return RemoteVideoEncoder(make, host=host, deadline_s=_LIVE_S)
    return open_encoder(profile, fps=fps, options=options, base=base_at(host), clock=clock)


def base_at(host: Host) -> OpenBase:
    """Base encoders of calls, at a host's workers."""

    def open_at_worker(size: tuple[int, int], settings: BaseSettings) -> BaseEncoder:
        megapixels = size[0] * size[1] / 1e6
        return RemoteEncoder(
            partial(open_base, size, settings),
            host=host,
            deadline_s=_LIVE_S,
            busy_s=_DEADLINE_S + _S_PER_MEGAPIXEL * megapixels,
        )

    return open_at_worker


def native_at(host: Host, codec: NativeCodec, fps: float) -> BaseEncoder:
    """A codec that every client knows, for a track of a room, at a host's worker.

    Raises:
        UnsupportedError: this machine has no such encoder.
        EncoderError: there is no worker just now.
    """
    return RemoteEncoder(partial(open_native, codec, fps), host=host, deadline_s=_LIVE_S)


def decoder_at(host: Host, *, restores: bool = True) -> VideoDecoder:
    """A decoder for a call at a host's worker.

    Args:
        restores: with the worker's network; False: pictures stay plain, see `Picture.plain`.
    """
    make = partial(open_decoder, neural=open_codec) if restores else _open_plain
    return RemoteVideoDecoder(make, host=host, deadline_s=_LIVE_S)


def _open_plain(networks: Networks) -> VideoDecoder:
    del networks
    return open_decoder(neural=open_codec)
