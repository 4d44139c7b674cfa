"""Codecs whose native code runs at a worker: the same protocols, and no crash reaches the caller.

::

    caller --encode(frame, wish)--> Remote... -- seat --> worker: the real codec
                                       | it crashed, hung, or was killed
                                       +--> EncoderError, or the picture before; the next frame
                                            finds a new one, which starts with a key

All calls block, none for longer than its deadline, and none uses an event loop: run them in an
executor.  One thread at a time per object.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import final

from auralink.codecs.base.hierarchy import Hierarchy
from auralink.codecs.base.protocol import BaseEncoder, BaseUnit, Capabilities, Order
from auralink.codecs.errors import AuraLinkError
from auralink.codecs.frame import Frame
from auralink.codecs.video.protocol import (
    Coded,
    Networks,
    Picture,
    Status,
    VideoDecoder,
    VideoEncoder,
    Wish,
)
from auralink.engine.inference.hosts import DEADLINE_S, Host
from auralink.engine.inference.pool import PoolSettings, WorkerPool
from auralink.engine.inference.services import (
    BaseService,
    Decoded,
    DecoderService,
    EncoderFacts,
    EncoderService,
)
from auralink.engine.inference.worker import START_S, WorkerLost


@final
class RemoteEncoder:
    """A `BaseEncoder` whose real encoder lives at a worker.

    Args:
        factory: builds the encoder; must be picklable (``functools.partial(AomAv1, (640, 360))``).
        host: whose worker; None: one of its own.
        deadline_s: an encode that takes longer is a hang.
        busy_s: but it may take so long while its process computes.
        start_s: the same for starting the worker and building the encoder.

    Raises:
        UnsupportedError: and whatever else the factory raises of ours.
        EncoderError: the worker could not be started.
    """

    def __init__(
        self,
        factory: Callable[[], BaseEncoder],
        *,
        host: Host | None = None,
        deadline_s: float = DEADLINE_S,
        busy_s: float = 0.0,
        start_s: float = START_S,
    ) -> None:
        host, self._own = _placed(host)
        self._seat = host.seat(
            partial(BaseService, factory),
            doing="coding a frame",
            deadline_s=deadline_s,
            busy_s=busy_s,
            start_s=start_s,
        )
        try:
            facts = self._seat.open()
        except BaseException:
            self.close()
            raise
        assert isinstance(facts, EncoderFacts)
        self._facts = facts

    @property
    def name(self) -> str:
        return f"{self._facts.name}, own process"

    @property
    def codec(self) -> str:
        return self._facts.codec

    @property
    def capabilities(self) -> Capabilities:
        return self._facts.capabilities

    @property
    def hierarchy(self) -> Hierarchy:
        return self._facts.hierarchy

    @property
    def pid(self) -> int | None:
        """Process id of the worker, None while there is none."""
        return self._seat.pid

    def encode(self, frame: Frame, order: Order) -> BaseUnit:
        """Code one frame; the first one at a worker becomes a key.

        Raises:
            EncoderError: the encoder refused, crashed or hung, as the message says.  The next call
                opens another one.
        """
        made = self._seat.work(frame, replace(order, key=True) if self._seat.is_fresh else order)
        assert isinstance(made.value, BaseUnit)
        return made.value

    def restart(self) -> None:
        """Leave the encoder behind; the next frame gets another one."""
        self._seat.restart()

    def close(self) -> None:
        """Give the seat up, and end a worker of its own.  Safe to call twice."""
        self._seat.close()
        if self._own is not None:
            self._own.close()


@final
class RemoteVideoEncoder:
    """The same for a `VideoEncoder`.  A new one knows nothing of the one before.

    A frame whose worker dies is given to another one, once.
    """

    def __init__(
        self,
        factory: Callable[[], VideoEncoder],
        *,
        host: Host | None = None,
        deadline_s: float = DEADLINE_S,
        start_s: float = START_S,
    ) -> None:
        host, self._own = _placed(host)
        self._seat = host.seat(
            partial(EncoderService, factory),
            doing="coding a frame",
            deadline_s=deadline_s,
            start_s=start_s,
        )
        try:
            self._seat.open()
        except BaseException:
            self.close()
            raise

    @property
    def pid(self) -> int | None:
        return self._seat.pid

    def encode(self, frame: Frame, wish: Wish) -> Coded:
        """
        Raises:
            EncoderError: as `RemoteEncoder.encode`.
        """
        try:
            coded = self._encode(frame, wish)
        except WorkerLost:
            coded = self._encode(frame, wish)
        return coded

    def _encode(self, frame: Frame, wish: Wish) -> Coded:
        made = self._seat.work(frame, replace(wish, key=True) if self._seat.is_fresh else wish)
        assert isinstance(made.value, Coded)
        return made.value

    def restart(self) -> None:
        self._seat.restart()

    def close(self) -> None:
        self._seat.close()
        if self._own is not None:
            self._own.close()


@final
class RemoteVideoDecoder:
    """A `VideoDecoder` at a worker: base decoder, scaling and network all run there.

    It never raises.  A worker that dies costs the unit it worked on; then the picture stays, and
    `Picture.restarted` says that nothing decoded before counts any more: the sender must key.

    Args:
        factory: makes the decoder from the networks of the worker.
    """

    def __init__(
        self,
        factory: Callable[[Networks], VideoDecoder],
        *,
        host: Host,
        deadline_s: float = DEADLINE_S,
        start_s: float = START_S,
    ) -> None:
        self._seat = host.seat(
            partial(DecoderService, factory),
            doing="decoding a unit",
            deadline_s=deadline_s,
            start_s=start_s,
        )
        self._shown: Frame | None = None
        self._number = 0
        self._begun = False

    @property
    def pid(self) -> int | None:
        return self._seat.pid

    def decode(self, packets: Sequence[bytes]) -> Picture:
        restarted = self._begun and self._seat.is_fresh
        self._begun = True
        try:
            made = self._seat.work(None, tuple(packets))
        except AuraLinkError as error:
            return Picture(
                frame=self._shown,
                status=Status.FROZEN,
                number=self._number,
                reason=str(error),
                restarted=True,
            )
        decoded = made.value
        assert isinstance(decoded, Decoded)
        self._number = decoded.picture.number
        if made.frame is not None:
            self._shown = made.frame
        elif decoded.picture.status is Status.REPEATED and self._shown is not None:
            self._shown = self._shown.at(decoded.pts_us)
        return replace(decoded.picture, frame=self._shown, restarted=restarted)

    def close(self) -> None:
        self._seat.close()


def _placed(host: Host | None) -> tuple[Host, WorkerPool | None]:
    """Where to sit, and the worker to end with the codec if it is one of its own."""
    if host is not None:
        return host, None
    own = WorkerPool(PoolSettings(workers=1, spares=0))
    return own, own
