"""The two protocols every base codec serves, and the values that cross them.

A base codec turns one frame into the bytes of one standard access unit (AV1 temporal unit, VP8
frame, H.264 access unit ...) and back.  It knows nothing of packets, rates or networks.
"""

from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
import numpy.typing as npt

from auralink.codecs.base.hierarchy import Hierarchy
from auralink.codecs.frame import Frame


@dataclass(frozen=True, slots=True, kw_only=True)
class Capabilities:
    """What a base encoder can be told per frame."""

    quantizer: bool  # obeys Order.quantizer on every frame
    references: bool  # predicts from Order.predict_from only
    droppable: bool  # some units are marked reference=False
    size_at_key: bool  # the frame size may change when Order.key is set
    sharpens: bool = False  # obeys Order.sharpen


@dataclass(frozen=True, slots=True, kw_only=True)
class Sharpening:
    """Blocks of 64x64 samples that one frame codes finer than the rest."""

    blocks: npt.NDArray[np.bool_] = field(repr=False)  # (rows, columns), whole picture
    quantizer: int  # of these blocks, finer than that of the rest


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What the encoder is told with one frame.

    Engines with ``Capabilities.quantizer`` follow ``quantizer``; the others run their own rate
    control at ``bitrate_bps`` and re-open when it moves by more than a tenth.
    """

    number: int  # frame number, counts up by one per coded unit; names the unit in `depends`
    quantizer: float = 40  # engine scale 1 (finest) .. 63; the engine adds its layer offsets ...
    exact: bool = False  # ... unless this is set: then it is used as it is
    bitrate_bps: int = 0
    key: bool = False
    # Frames the receiver surely holds; None: anything.  Only engines with `references` obey.
    predict_from: frozenset[int] | None = None
    sharpen: Sharpening | None = None  # only engines with `sharpens` obey, and not in keys


@dataclass(frozen=True, slots=True, kw_only=True)
class BaseUnit:
    """One coded frame as the base codec wrote it.

    ``depends`` lists numbers of the units that must have been decoded before this one; empty for
    a key unit.  ``reference`` is False when no later unit depends on this one.
    """

    data: bytes = field(repr=False)
    number: int
    key: bool
    reference: bool
    depends: tuple[int, ...]
    layer: int  # temporal layer, 0 = slowest
    quantizer: int  # what was used, on the engine's scale, layer offset included


class BaseEncoder(Protocol):
    """One frame in, one unit out, nothing held back."""

    @property
    def name(self) -> str:
        """Library and version, for people: ``SVT-AV1 4.1.0 preset 6``."""
        ...

    @property
    def codec(self) -> str:
        """``av1``, ``vp8``, ``vp9`` or ``h264``."""
        ...

    @property
    def capabilities(self) -> Capabilities: ...

    @property
    def hierarchy(self) -> Hierarchy:
        """The layers that its frames go through after a key (``hierarchy.FLAT`` if none)."""
        ...

    def encode(self, frame: Frame, order: Order) -> BaseUnit:
        """Code one frame of even size.

        Raises:
            EncoderError: the library refused; this encoder is dead, open another one.
        """
        ...

    def close(self) -> None:
        """Free the native handle.  Safe to call twice."""
        ...


class BaseDecoder(Protocol):
    """One unit in, one frame out.  Never give it a unit whose references are missing."""

    def decode(self, data: bytes, pts_us: int) -> Frame:
        """
        Raises:
            DecoderError: the library refused the bytes or gave no picture.
        """
        ...

    def close(self) -> None: ...
