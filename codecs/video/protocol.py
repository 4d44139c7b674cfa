"""The two protocols of AIC video, and the values that cross them.

::

    Frame, Wish ──► VideoEncoder ──► packets ==link==> Depacketizer ──► VideoDecoder ──► Picture
                          ▲                                                  │
                          └──────── ReceiverReport (in the next Wish) ◄──────┘

Every profile (hybrid, neural, native) serves both.  Time is in the frame; randomness and networks
are arguments.
"""

import enum
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
import numpy.typing as npt

from auralink.codecs.frame import Frame, Plane

MAX_PACKET_BYTES = 1000  # one SCTP chunk, one MTU, with room for a data track's own header


class Kind(enum.IntEnum):
    """What a packet's unit is; the first two bits on the wire."""

    KEY = 0  # decodable alone, carries the stream configuration
    DELTA = 1  # needs the units it lists
    SKIP = 2  # the picture before it stays; no payload
    PARITY = 3  # repairs lost packets


class Outcome(enum.Enum):
    """The one answer every frame given to an encoder gets."""

    CODED = "coded"
    SKIPPED = "skipped"  # the picture is the one before; a SKIP unit says so
    DROPPED_RATE = "dropped_rate"  # nothing sent: the frame rate is lowered to meet the bitrate
    DROPPED_BACKLOG = "dropped_backlog"  # nothing sent: the link still drains
    DROPPED_TIME = "dropped_time"  # nothing sent: the capture time went back or repeated


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceiverReport:
    """What a receiver tells its sender every few hundred milliseconds, and at once on a loss.

    Unit numbers are as on the wire, 0..65535.
    """

    newest: int | None  # newest decoded unit; None before the first
    decoded: int  # bit i set: unit `newest - i` was decoded too (bit 0 always); 64 bits
    highest: int | None  # newest unit of which anything arrived
    loss: float  # share of packets lost since the last report, before repair, 0..1
    stuck: bool  # what arrives cannot be decoded: a key or an acknowledged reference is needed


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What the caller wants of the next frame."""

    bitrate_bps: int | None = None  # None: constant quality
    key: bool = False
    report: ReceiverReport | None = None  # newest one received, if new since the last frame
    parity: float = 0.0  # packets of parity per packet of reference units, 0..1
    # What a link of this bitrate still has to carry, by the caller's own time: encoding that took
    # long and packets sent again are in it, which an encoder cannot see.
    backlog_bits: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Coded:
    """What became of one frame."""

    outcome: Outcome
    packets: tuple[bytes, ...] = field(default=(), repr=False)  # each <= MAX_PACKET_BYTES
    number: int = 0
    kind: Kind = Kind.DELTA
    reference: bool = True
    layer: int = 0
    quantizer: int = 0
    base_size: tuple[int, int] = (0, 0)
    payload_bytes: int = 0
    header_bytes: int = 0
    parity_bytes: int = 0
    conceals: bool = False  # the receiver goes on without what is lost: never send it again

    @property
    def size(self) -> int:
        """Bytes on the wire."""
        return sum(len(packet) for packet in self.packets)


class Status(enum.Enum):
    """Where a decoded picture comes from."""

    DECODED = "decoded"
    REPEATED = "repeated"  # a SKIP unit: the picture before, on purpose
    CONCEALED = "concealed"  # made of what arrived; the encoder has another, until it repairs
    FROZEN = "frozen"  # the unit could not be used; the last good picture stays


@dataclass(frozen=True, slots=True, kw_only=True)
class Plain:
    """What a network must know of a picture that was scaled without it; see `Networks.restore`.

    Attributes:
        model_id: of the weights that the stream was made for.
        key: the network forgets what it made before.
    """

    model_id: int
    quantizer: int
    scale: float
    reference: bool
    key: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """What to show for one unit.  ``frame`` is None until the first key unit arrived."""

    frame: Frame | None
    status: Status
    number: int
    restored: bool = False  # the neural layer made it; otherwise plain scaling or none was needed
    reason: str = ""  # for FROZEN: what was wrong
    restarted: bool = False  # the decoder is a new one: it holds nothing decoded before this unit
    plain: Plain | None = None  # a decoder without networks leaves it to others to restore this one


class VideoEncoder(Protocol):
    def encode(self, frame: Frame, wish: Wish) -> Coded:
        """
        Raises:
            EncoderError: no base encoder could be opened at all.  A single failure inside is
                answered with a fresh encoder and a key unit.
        """
        ...

    def close(self) -> None: ...


class VideoDecoder(Protocol):
    def decode(self, packets: Sequence[bytes]) -> Picture:
        """Decode what arrived of one unit.  Never raises on bad bytes: it freezes and says why."""
        ...

    def close(self) -> None: ...


Hidden = npt.NDArray[np.float32]  # (1, channels, height/4, width/4), recurrent state


@dataclass(frozen=True, slots=True, kw_only=True)
class Restoration:
    """One call's result of the super-resolution network."""

    luma: Plane = field(repr=False)
    hidden: Hidden = field(repr=False)


class Networks(Protocol):
    """The networks a codec may call; `auralink.models` serves it with ONNX Runtime."""

    @property
    def model_id(self) -> int:
        """Number of the weights, as carried in the stream configuration; 0 = none."""
        ...

    def restore(
        self,
        current: Plane,
        previous_output: Plane,
        hidden: Hidden | None,
        *,
        quantizer: int,
        scale: float,
        reference: bool,
    ) -> Restoration | None:
        """Sharpen an upscaled base picture; None when there is no time or no such model.

        Args:
            current: base luma, already upscaled to picture size, ``uint8 (h, w)``.
            previous_output: what this network made of the frame before (`current` after a key).
            hidden: its recurrent state, None after a key unit.
            quantizer: AV1 base_q_idx of the frame, 0..255.
            scale: base height over picture height: 1/2 or 2/3.
            reference: later units build on this one (they are coded finer than the others).
        """
        ...
