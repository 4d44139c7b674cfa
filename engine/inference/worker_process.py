"""What runs inside a worker process: one encoder, one command at a time, over a pipe.

::

    parent                      worker
      spawn ------------------->  build the encoder
      <------------------- Ready | Failed
      Job ---------------------->  encode
      <-------------------- Done | Failed
      (closes the pipe) -------->  close the encoder, end

The worker ends by itself when the parent goes away, however it goes.
"""

import signal
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Protocol

from auralink.codecs.base.hierarchy import Hierarchy
from auralink.codecs.base.protocol import BaseEncoder, Capabilities, Order
from auralink.codecs.errors import AuraLinkError, EncoderError
from auralink.codecs.frame import Frame
from auralink.codecs.video.protocol import VideoEncoder, Wish
from auralink.engine.inference.shared_frames import FrameReader, FrameTicket, private_copy


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What an encoder says about itself."""

    name: str
    codec: str
    capabilities: Capabilities
    hierarchy: Hierarchy


@dataclass(frozen=True, slots=True)
class Job:
    ticket: FrameTicket
    wish: Order | Wish


@dataclass(frozen=True, slots=True)
class Ready:
    facts: Facts | None


@dataclass(frozen=True, slots=True)
class Done:
    result: object


@dataclass(frozen=True, slots=True)
class Failed:
    error: AuraLinkError


class Service(Protocol):
    """One kind of encoder behind the pipe."""

    @property
    def facts(self) -> Facts | None: ...

    def encode(self, frame: Frame, wish: Order | Wish) -> object: ...

    def close(self) -> None: ...


class BaseService:
    """A `BaseEncoder`.  It reads the shared frame in place: it must not keep it."""

    def __init__(self, factory: Callable[[], BaseEncoder]) -> None:
        self._encoder = factory()

    @property
    def facts(self) -> Facts:
        encoder = self._encoder
        return Facts(
            name=encoder.name,
            codec=encoder.codec,
            capabilities=encoder.capabilities,
            hierarchy=encoder.hierarchy,
        )

    def encode(self, frame: Frame, wish: Order | Wish) -> object:
        assert isinstance(wish, Order)
        return self._encoder.encode(frame, wish)

    def close(self) -> None:
        self._encoder.close()


class VideoService:
    """A `VideoEncoder`.  It may keep frames (to compare the next with), so it gets copies."""

    def __init__(self, factory: Callable[[], VideoEncoder]) -> None:
        self._encoder = factory()

    @property
    def facts(self) -> None:
        return None

    def encode(self, frame: Frame, wish: Order | Wish) -> object:
        assert isinstance(wish, Wish)
        return self._encoder.encode(private_copy(frame), wish)

    def close(self) -> None:
        self._encoder.close()


def serve(make: Callable[[], Service], pipe: Connection) -> None:
    """Entry point of the worker process."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # ctrl-C is the parent's to handle
    try:
        service = make()
        answer: object = Ready(service.facts)
    except Exception as exc:
        pipe.send(Failed(_translate(exc)))
        return
    reader = FrameReader()
    try:
        pipe.send(answer)
        while True:
            pipe.send(_do(service, reader, pipe.recv()))
    except (EOFError, BrokenPipeError, ConnectionResetError):  # the parent is done with us, or gone
        pass
    finally:
        service.close()
        reader.close()


def _do(service: Service, reader: FrameReader, job: Job) -> Done | Failed:
    try:
        return Done(service.encode(reader.read(job.ticket), job.wish))
    except Exception as exc:
        return Failed(_translate(exc))


def _translate(exc: Exception) -> AuraLinkError:
    """Ours travel as they are; others become text, as they may not survive pickling."""
    if isinstance(exc, AuraLinkError):
        return exc
    return EncoderError(f"{type(exc).__name__} in the worker: {exc}")
