"""AV1 decoding by dav1d through PyAV: one temporal unit in, one picture out, one thread."""

from typing import final

from auralink.codecs.base.pyav_codec import PyavDecoder
from auralink.codecs.frame import MAX_AREA


@final
class Dav1dDecoder(PyavDecoder):
    """Decode a sequence of AV1 temporal units, each as soon as it is given.

    A refused unit harms only the units that refer to it: the next key unit, or any unit whose
    references are all there, decodes as if nothing had happened.
    """

    def __init__(self, *, max_pixels: int = MAX_AREA) -> None:
        options = {"framethreads": "1", "tilethreads": "1", "max_frame_delay": "1"}
        super().__init__("libdav1d", options, max_pixels=max_pixels)
