"""What runs inside a worker process: a thread for every stream, and one that counts heartbeats.

Streams have threads of their own because native code lets others run while it computes: one that
hangs takes only its own stream along, until the engine replaces the whole worker.  The worker ends
by itself when the engine goes away, however it goes.
"""

import contextlib
import ctypes
import signal
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection
from multiprocessing.reduction import recv_handle
from typing import Any, Final, final

from auralink.codecs.errors import AuraLinkError, EncoderError
from auralink.codecs.video.protocol import Networks
from auralink.engine.garbage import spare_what_lives
from auralink.engine.inference.heartbeat import BEAT_S
from auralink.engine.inference.messages import (
    DESK,
    Answer,
    Done,
    End,
    Failed,
    Fetch,
    Job,
    NeedsRoom,
    Open,
    Ready,
)
from auralink.engine.inference.services import Made, Make
from auralink.engine.inference.shared_frames import FrameReader, RoomWriter

_END_S: Final = 1.0  # for services to close in peace


@dataclass(frozen=True, slots=True)
class Setup:
    """How a worker starts: `tools` makes its networks, and what answers for them on seat 0."""

    tools: Callable[[], tuple[Networks, Make | None]]


def serve(setup: Setup, pipe: Connection, desk: Connection, beats: "ctypes.c_uint64") -> None:
    """Entry point of the worker process.

    Args:
        pipe: brings new seats, and the end.
        desk: of seat 0.
    """
    # Ctrl-C, and the signal by which a supervisor asks a whole group to end, are the engine's to
    # handle: it has calls to drain.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    _Worker(setup, pipe, desk, beats).run()


@final
class _Worker:
    def __init__(
        self, setup: Setup, pipe: Connection, desk: Connection, beats: "ctypes.c_uint64"
    ) -> None:
        self._pipe = pipe
        self._seats: list[_Seat] = []
        threading.Thread(target=_beat, args=(beats,), name="beat", daemon=True).start()
        self._networks, make = setup.tools()
        spare_what_lives()
        if make is None:
            desk.close()
        else:
            self._seats.append(_Seat(DESK, make, self._networks, desk, greets=False))

    def run(self) -> None:
        with contextlib.suppress(EOFError, OSError):  # the engine is gone, and with it all lines
            while not isinstance(order := self._pipe.recv(), End):
                assert isinstance(order, Open)
                line = Connection(recv_handle(self._pipe))
                self._seats = [seat for seat in self._seats if seat.serves]
                self._seats.append(_Seat(order.seat, order.make, self._networks, line))
        until = time.monotonic() + _END_S
        for seat in self._seats:
            seat.join(until - time.monotonic())


@final
class _Seat:
    """One stream's service and its thread.

    Args:
        line: brings orders; the seat is given up when its other end is closed.
        greets: somebody waits to hear that the service is ready.
    """

    def __init__(
        self,
        number: int,
        make: Make,
        networks: Networks,
        line: Connection,
        *,
        greets: bool = True,
    ) -> None:
        self._make = make
        self._networks = networks
        self._line = line
        self._greets = greets
        self._reader = FrameReader()
        self._writer = RoomWriter()
        self._kept: tuple[Made, int, int] | None = None  # what found too little room
        self._thread = threading.Thread(target=self._run, name=f"seat {number}", daemon=True)
        self._thread.start()

    @property
    def serves(self) -> bool:
        return self._thread.is_alive()

    def join(self, limit_s: float) -> None:
        self._thread.join(max(0.0, limit_s))

    def _run(self) -> None:
        with self._line, contextlib.suppress(EOFError, OSError):  # it was given up
            self._serve()

    def _serve(self) -> None:
        try:
            service = self._make(self._networks)
            facts = service.facts
        except Exception as exc:
            self._line.send(Failed(_translate(exc)))
            return
        try:
            if self._greets:
                self._line.send(Ready(facts))
            while True:
                self._line.send(self._do(service.work, self._line.recv()))
        finally:
            service.close()
            self._reader.close()
            self._writer.close()

    def _do(self, work: Callable[[Any, Any], Made], order: Job | Fetch) -> Answer:
        try:
            if isinstance(order, Job):
                frame = None if order.ticket is None else self._reader.read(order.ticket)
                started = time.monotonic_ns()
                made = work(frame, order.order)
                run_us = (time.monotonic_ns() - started) // 1000
                self._kept = made, started // 1000, run_us
            return self._done(order)
        except Exception as exc:
            return Failed(_translate(exc))

    def _done(self, order: Job | Fetch) -> Done | NeedsRoom:
        assert self._kept is not None
        made, started_us, run_us = self._kept
        ticket = None
        if made.frame is not None:
            ticket = None if order.room is None else self._writer.write(made.frame, order.room)
            if ticket is None:
                return NeedsRoom(sum(plane.nbytes for plane in made.frame.planes))
        self._kept = None
        return Done(
            value=made.value,
            ticket=ticket,
            started_us=started_us,
            run_us=run_us,
        )


def _beat(beats: "ctypes.c_uint64") -> None:
    while True:
        beats.value += 1
        time.sleep(BEAT_S)


def _translate(exc: Exception) -> AuraLinkError:
    """Ours travel as they are; others become text, as they may not survive pickling."""
    if isinstance(exc, AuraLinkError):
        return exc
    return EncoderError(f"{type(exc).__name__} in the worker: {exc}")
