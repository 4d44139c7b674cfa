"""Encoders in a process of their own: a native library that crashes or hangs takes nobody along.

::

    caller --encode(frame, wish)--> Remote... --shared memory, pipe--> worker: the real encoder
                                       | deadline passed, or the worker died
                                       +--> worker killed and reaped, EncoderError raised;
                                            the next encode starts a new one, with a key

All calls block, none for longer than its deadline, and none uses an event loop: run them in an
executor.  One thread at a time per object.
"""

import signal
import weakref
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from multiprocessing import connection, get_context
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess
from typing import Final, final

from auralink.codecs.base.hierarchy import Hierarchy
from auralink.codecs.base.protocol import BaseEncoder, BaseUnit, Capabilities, Order
from auralink.codecs.errors import EncoderError
from auralink.codecs.frame import Frame
from auralink.codecs.video.protocol import Coded, VideoEncoder, Wish
from auralink.engine.inference.shared_frames import FrameWriter
from auralink.engine.inference.worker_process import (
    BaseService,
    Done,
    Facts,
    Failed,
    Job,
    Ready,
    Service,
    VideoService,
    serve,
)

DEADLINE_S: Final = 1.0  # a key at 1280x720 takes a third of it at most; more is a hang
START_S: Final = 20.0  # a new interpreter needs 0.3 s, far more on a machine that is overloaded
_GRACE_S: Final = 2.0  # to close an encoder in peace; and for the kernel to reap a killed process


@final
class RemoteEncoder:
    """A `BaseEncoder` whose real encoder lives in a worker process.

    Args:
        factory: builds the encoder; must be picklable (``functools.partial(AomAv1, (640, 360))``).
        deadline_s: an encode that takes longer is a hang.
        start_s: the same for starting the worker and building the encoder.

    Raises:
        UnsupportedError: and whatever else the factory raises of ours.
        EncoderError: the worker could not be started.
    """

    def __init__(
        self,
        factory: Callable[[], BaseEncoder],
        *,
        deadline_s: float = DEADLINE_S,
        start_s: float = START_S,
    ) -> None:
        self._line = _Line(partial(BaseService, factory), deadline_s=deadline_s, start_s=start_s)
        facts = self._line.wait_ready()
        assert facts is not None
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
        return self._line.pid

    def encode(self, frame: Frame, order: Order) -> BaseUnit:
        """Code one frame; the first one of a worker becomes a key.

        Raises:
            EncoderError: the encoder refused, crashed or hung, as the message says, and its worker
                is gone.  The next call starts another one.
        """
        fresh = self._line.is_fresh()
        result = self._line.encode(frame, replace(order, key=True) if fresh else order)
        assert isinstance(result, BaseUnit)
        return result

    def restart(self) -> None:
        """Start a new worker now and do not wait for it; saves the next encode most of the wait."""
        self._line.restart()

    def close(self) -> None:
        """End the worker and free the shared memory.  Safe to call twice."""
        self._line.close()


@final
class RemoteVideoEncoder:
    """The same for a `VideoEncoder`.  A new worker's encoder knows nothing of the one before."""

    def __init__(
        self,
        factory: Callable[[], VideoEncoder],
        *,
        deadline_s: float = DEADLINE_S,
        start_s: float = START_S,
    ) -> None:
        self._line = _Line(partial(VideoService, factory), deadline_s=deadline_s, start_s=start_s)
        self._line.wait_ready()

    @property
    def pid(self) -> int | None:
        return self._line.pid

    def encode(self, frame: Frame, wish: Wish) -> Coded:
        """
        Raises:
            EncoderError: as `RemoteEncoder.encode`.
        """
        fresh = self._line.is_fresh()
        result = self._line.encode(frame, replace(wish, key=True) if fresh else wish)
        assert isinstance(result, Coded)
        return result

    def restart(self) -> None:
        self._line.restart()

    def close(self) -> None:
        self._line.close()


@final
class _Line:
    """A worker that is replaced when it fails, and the frame memory that outlives it."""

    def __init__(self, make: Callable[[], Service], *, deadline_s: float, start_s: float) -> None:
        self._make = make
        self._deadline_s = deadline_s
        self._start_s = start_s
        self._frames = FrameWriter()
        self._closed = False
        self._worker: _Worker | None = _Worker(make)

    @property
    def pid(self) -> int | None:
        return self._worker.pid if self._worker else None

    def is_fresh(self) -> bool:
        """True if the next frame is the first that its worker sees."""
        return self._worker is None or not self._worker.used

    def wait_ready(self) -> Facts | None:
        worker = self._current()
        try:
            return worker.wait_ready(self._start_s)
        except BaseException:  # ctrl-C as well: the answer that is due would answer the next call
            self._discard()
            raise

    def encode(self, frame: Frame, wish: Order | Wish) -> object:
        self.wait_ready()
        try:
            return self._current().encode(self._frames, frame, wish, self._deadline_s)
        except BaseException:  # ctrl-C as well: the answer that is due would answer the next call
            self._discard()
            raise

    def restart(self) -> None:
        self._discard()
        self._current()

    def close(self) -> None:
        self._closed = True
        worker, self._worker = self._worker, None
        try:
            if worker is not None:
                worker.end()
        finally:
            self._frames.close()

    def _current(self) -> "_Worker":
        if self._closed:
            raise EncoderError("remote encoder is closed: open a new one")
        if self._worker is None:
            self._worker = _Worker(self._make)
        return self._worker

    def _discard(self) -> None:
        worker, self._worker = self._worker, None
        if worker is not None:
            worker.kill()


@final
class _Worker:
    """One process, from spawn to reaping."""

    def __init__(self, make: Callable[[], Service]) -> None:
        self.used = False
        self._ready: Ready | None = None
        context = get_context("spawn")  # fork would copy locks held by this process's threads
        self._pipe, theirs = context.Pipe()
        self._process: SpawnProcess = context.Process(
            target=serve, args=(make, theirs), name="auralink-encoder", daemon=True
        )
        try:
            self._process.start()
        except Exception:
            self._pipe.close()
            raise
        finally:
            theirs.close()  # so that the pipe breaks when the worker ends
        self.kill = weakref.finalize(self, _reap, self._process, self._pipe)

    @property
    def pid(self) -> int | None:
        return self._process.pid

    def wait_ready(self, limit_s: float) -> Facts | None:
        if self._ready is None:
            answer = self._receive(limit_s, "starting")
            assert isinstance(answer, Ready)
            self._ready = answer
        return self._ready.facts

    def encode(
        self, frames: FrameWriter, frame: Frame, wish: Order | Wish, limit_s: float
    ) -> object:
        self.used = True
        try:
            self._pipe.send(Job(frames.write(frame), wish))
        except (BrokenPipeError, ConnectionResetError) as exc:
            raise EncoderError(self._cause_of_death("between frames")) from exc
        answer = self._receive(limit_s, "coding a frame")
        assert isinstance(answer, Done)
        return answer.result

    def end(self) -> None:
        """Let the worker close its encoder; kill it if it does not."""
        if self.kill.alive:
            self._pipe.close()
            self._process.join(_GRACE_S)
        self.kill()

    def _receive(self, limit_s: float, doing: str) -> object:
        """The next answer.

        Raises:
            AuraLinkError: what the worker reports, or EncoderError if it died or is too late.
        """
        if not connection.wait([self._pipe, self._process.sentinel], limit_s):
            raise EncoderError(f"encoder hung while {doing}: no answer in {limit_s:g} s")
        try:
            # An answer may have been sent just before the end.
            answer: object = self._pipe.recv() if self._pipe.poll() else None
        except (EOFError, OSError):
            answer = None
        if answer is None:
            raise EncoderError(self._cause_of_death(f"while {doing}"))
        if isinstance(answer, Failed):
            raise answer.error
        return answer

    def _cause_of_death(self, when: str) -> str:
        self._process.join(_GRACE_S)
        code = self._process.exitcode
        if code is None:
            return f"encoder process closed its pipe {when}"
        if code < 0:
            return f"encoder crashed {when}: signal {-code} ({_signal_name(-code)})"
        return f"encoder process ended {when} with code {code}"


def _reap(process: SpawnProcess, pipe: Connection) -> None:
    pipe.close()
    process.kill()
    process.join(_GRACE_S)
    if process.exitcode is not None:
        process.close()


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return "unknown"
