"""Base encoders in worker processes, for the profiles that want their native code kept apart."""

from functools import partial
from typing import Final

from auralink.codecs.base.protocol import BaseEncoder
from auralink.codecs.video.base_session import BaseSettings
from auralink.codecs.video.profiles import open_base
from auralink.engine.inference.remote import RemoteEncoder

_DEADLINE_S: Final = 1.0
# A key of the largest picture at the slowest preset takes this long per megapixel.
_S_PER_MEGAPIXEL: Final = 3.0


def open_remote_base(size: tuple[int, int], settings: BaseSettings) -> BaseEncoder:
    """Open a base encoder in a process of its own (an ``OpenBase``).

    Raises:
        UnsupportedError: this machine has no such encoder.
        EncoderError: the worker could not be started.
    """
    megapixels = size[0] * size[1] / 1e6
    return RemoteEncoder(
        partial(open_base, size, settings),
        deadline_s=_DEADLINE_S + _S_PER_MEGAPIXEL * megapixels,
    )
