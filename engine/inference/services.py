"""What a worker can do for a stream: each service wraps one codec or network behind one call.

::

    frame in shared memory, order ──► Service.work ──► Made: a small value, and perhaps a picture

A service belongs to one stream and is called by one thread at a time.  The frame that it gets lies
in shared memory and changes with the next call: who wants to keep it makes a copy.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol, runtime_checkable

from auralink.codecs.base.hierarchy import Hierarchy
from auralink.codecs.base.protocol import BaseEncoder, Capabilities
from auralink.codecs.frame import Frame, Plane
from auralink.codecs.video.protocol import (
    Hidden,
    Networks,
    Picture,
    Status,
    VideoDecoder,
    VideoEncoder,
)
from auralink.engine.inference.output_guard import OutputGuard, Promise
from auralink.engine.inference.shared_frames import private_copy


@dataclass(frozen=True, slots=True)
class Made:
    """What one call made: `value` crosses the pipe, `frame` through shared memory."""

    value: object
    frame: Frame | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Refused:
    """A value in the place of a result that nobody may see.  The service goes on, and remembers."""

    reason: str


class Service(Protocol):
    @property
    def facts(self) -> object:
        """What the caller may want to know once: small, and picklable."""
        ...

    def work(self, frame: Frame | None, order: Any) -> Made:
        """
        Raises:
            Exception: of any kind: the service is then closed, and made anew for the next call.
        """
        ...

    def close(self) -> None: ...


# Makes a service in the worker, from the networks that all streams of the worker share.
Make = Callable[[Networks], Service]


@dataclass(frozen=True, slots=True, kw_only=True)
class EncoderFacts:
    """What a base encoder says about itself."""

    name: str
    codec: str
    capabilities: Capabilities
    hierarchy: Hierarchy


class BaseService:
    """A `BaseEncoder`; its orders are ``Order``, its values ``BaseUnit``.

    It reads the shared frame in place: base encoders keep none.
    """

    def __init__(self, factory: Callable[[], BaseEncoder], networks: Networks) -> None:
        del networks
        self._encoder = factory()

    @property
    def facts(self) -> EncoderFacts:
        encoder = self._encoder
        return EncoderFacts(
            name=encoder.name,
            codec=encoder.codec,
            capabilities=encoder.capabilities,
            hierarchy=encoder.hierarchy,
        )

    def work(self, frame: Frame | None, order: Any) -> Made:
        assert frame is not None
        return Made(self._encoder.encode(frame, order))

    def close(self) -> None:
        self._encoder.close()


class EncoderService:
    """A `VideoEncoder`; ``Wish`` to ``Coded``.  It may keep frames to compare the next with."""

    def __init__(self, factory: Callable[[], VideoEncoder], networks: Networks) -> None:
        del networks
        self._encoder = factory()

    @property
    def facts(self) -> None:
        return None

    def work(self, frame: Frame | None, order: Any) -> Made:
        assert frame is not None
        return Made(self._encoder.encode(private_copy(frame), order))

    def close(self) -> None:
        self._encoder.close()


@dataclass(frozen=True, slots=True)
class Decoded:
    """A picture without its frame.

    The frame comes through shared memory if it is new; else it is the one before, at `pts_us`.
    """

    picture: Picture
    pts_us: int


class DecoderService:
    """A `VideoDecoder`; packets of a unit to ``Decoded``, and the frame if it is a new one."""

    def __init__(self, factory: Callable[[Networks], VideoDecoder], networks: Networks) -> None:
        self._decoder = factory(networks)

    @property
    def facts(self) -> None:
        return None

    def work(self, frame: Frame | None, order: Sequence[bytes]) -> Made:
        picture = self._decoder.decode(order)
        value = Decoded(replace(picture, frame=None), picture.frame.pts_us if picture.frame else 0)
        return Made(value, picture.frame if picture.status is Status.DECODED else None)

    def close(self) -> None:
        self._decoder.close()


@runtime_checkable
class Warmed(Protocol):
    """Networks whose first picture of a size takes longer than those that follow."""

    def warm_up(self, width: int, height: int) -> bool:
        """Be ready for that size; nothing if it is so already.  False: it will not be."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class RestoreOrder:
    """See `Networks.restore`; after a `key` the network forgets what it made before."""

    quantizer: int
    scale: float
    reference: bool
    key: bool = False


class RestoreService:
    """The restoration network with its recurrent state, for pictures that are upscaled already.

    Args:
        size: width and height of the pictures to come.  Their session is made here, not during the
            first of them, whose time would otherwise say nothing of the next.
    """

    def __init__(self, networks: Networks, size: tuple[int, int] | None = None) -> None:
        self._networks = networks
        self._before: Plane | None = None
        self._hidden: Hidden | None = None
        self._guard = OutputGuard()
        if size is not None and isinstance(networks, Warmed):
            networks.warm_up(*size)

    @property
    def facts(self) -> int:
        return self._networks.model_id

    def work(self, frame: Frame | None, order: RestoreOrder) -> Made:
        """The restored picture, or `Refused`: no network, it was ended, or the guard said no."""
        assert frame is not None
        before = self._before
        if order.key or before is None or before.shape != frame.y.shape:
            before, self._hidden = frame.y, None
        made = self._networks.restore(
            frame.y,
            before,
            self._hidden,
            quantizer=order.quantizer,
            scale=order.scale,
            reference=order.reference,
        )
        self._before = None
        if made is None:
            return Made(Refused("the network made no picture that may be shown"))
        promise = Promise(kind="picture", shape=frame.y.shape, dtype="uint8")
        if (fault := self._guard.judge(frame.y, made.luma, promise)) is not None:
            return Made(Refused(f"the network's picture is {fault.value}"))
        self._before, self._hidden = made.luma, made.hidden
        return Made(None, Frame(y=made.luma, u=frame.u, v=frame.v, pts_us=frame.pts_us))

    def close(self) -> None:
        pass
