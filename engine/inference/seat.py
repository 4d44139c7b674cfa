"""A stream's place at a worker: what it keeps when the worker does not."""

import time
import weakref
from typing import Protocol, final

from auralink.codecs.errors import EncoderError
from auralink.codecs.frame import Frame
from auralink.engine.inference.backoff import Backoff
from auralink.engine.inference.messages import (
    Answer,
    Done,
    Fetch,
    Job,
    NeedsRoom,
    Open,
    Ready,
)
from auralink.engine.inference.picture_slots import PictureSlots
from auralink.engine.inference.services import Made, Make
from auralink.engine.inference.shared_frames import FrameTicket, FrameWriter
from auralink.engine.inference.worker import Worker, WorkerLost
from auralink.engine.timeline import NO_TIMELINE, Span, Timeline


class Places(Protocol):
    """A `WorkerPool`, as a seat sees it."""

    def take(self) -> Worker:
        """A worker for one more stream.

        Raises:
            WorkerLost: there is none just now.
        """
        ...

    def give_back(self, worker: Worker) -> None:
        """The stream has left that worker."""
        ...

    def number(self) -> int:
        """A number for a seat that no other has."""
        ...


@final
class WorkerSeat:
    """A `Seat` at a worker; see `Host.seat`.  A call that hangs costs the worker its life."""

    def __init__(
        self,
        places: Places,
        make: Make,
        *,
        doing: str,
        deadline_s: float,
        busy_s: float,
        start_s: float,
        backoff: Backoff,
        timeline: Timeline = NO_TIMELINE,
    ) -> None:
        self._timeline = timeline
        self._places = places
        self._make = make
        self._doing = doing
        self._deadline_s = deadline_s
        self._busy_s = busy_s
        self._start_s = start_s
        self._frames = FrameWriter()
        self._slots = PictureSlots()
        self._backoff = backoff
        self._place: _Place | None = None
        self._closed = False
        self._last: Done | None = None

    @property
    def pid(self) -> int | None:
        place = self._place
        return place.worker.pid if place is not None and place.worker.usable else None

    @property
    def last(self) -> Done | None:
        return self._last

    @property
    def is_fresh(self) -> bool:
        place = self._place
        return place is None or not place.used or not place.worker.usable

    def open(self) -> object:
        place = self._current()
        if place.ready is None:
            answer = self._ask(place, Open(place.number, self._make), self._start_s, "starting")
            assert isinstance(answer, Ready)
            place.ready = answer
        return place.ready.facts

    def work(self, frame: Frame | None, order: object) -> Made:
        self.open()
        place = self._current()
        place.used = True
        job = Job(
            order=order,
            ticket=None if frame is None else self._write(frame),
            room=self._slots.offer(),
        )
        answer = self._ask(place, job, self._deadline_s, self._doing, busy_s=self._busy_s)
        if isinstance(answer, NeedsRoom):
            room = self._slots.offer(answer.size)
            assert room is not None
            answer = self._ask(place, Fetch(room), self._deadline_s, self._doing)
        assert isinstance(answer, Done)
        self._last = answer
        picture = None if answer.ticket is None else self._slots.receive(answer.ticket)
        if self._timeline.on:
            self._draw(place.worker.pid, answer, frame or picture)
        return Made(answer.value, picture)

    def _draw(self, pid: int, done: Done, frame: Frame | None) -> None:
        self._timeline.add(
            Span(
                row=f"worker {pid}",
                name=self._doing,
                start_us=done.started_us,
                end_us=done.started_us + done.run_us,
                frame=frame.pts_us if frame else None,
            )
        )

    def restart(self) -> None:
        self._leave()

    def doubt(self) -> None:
        if (place := self._place) is not None:
            place.worker.doubts.add(place.number)

    def close(self) -> None:
        """Give the seat back and free the shared memory.  Safe to call twice."""
        self._closed = True
        self._leave()
        self._frames.close()
        self._slots.close()

    def _write(self, frame: Frame) -> FrameTicket:
        try:
            return self._frames.write(frame)
        except EncoderError:  # no memory: whatever the service holds of this stream is too old now
            self._leave()
            raise

    def _ask(
        self,
        place: "_Place",
        order: Open | Job | Fetch,
        limit_s: float,
        doing: str,
        *,
        busy_s: float = 0.0,
    ) -> Answer:
        try:
            return place.worker.call(place.number, order, limit_s, doing, busy_s=busy_s)
        except WorkerLost:
            self._backoff.died(time.monotonic())
            self._leave()
            raise
        except BaseException:  # ctrl-C as well: the answer that is due would answer the next call
            self._leave()
            raise

    def _current(self) -> "_Place":
        if self._closed:
            raise WorkerLost("this stream is closed: open a new one")
        if self._place is not None and not self._place.worker.usable:
            self._leave()  # it died between frames, which costs none
        if self._place is None:
            wait_s = self._backoff.wait_s(time.monotonic())
            if wait_s:
                raise WorkerLost(
                    f"workers keep dying on this stream's frames: set aside for {wait_s:.1f} s"
                )
            self._place = _Place(self._places)
        return self._place

    def _leave(self) -> None:
        place, self._place = self._place, None
        if place is not None:
            place.leave()


@final
class _Place:
    """One service at one worker."""

    def __init__(self, places: Places) -> None:
        self._places = places
        self.number = places.number()
        self.worker = places.take()
        self.used = False
        self.ready: Ready | None = None
        self._forget = weakref.finalize(self, _forget, places, self.worker, self.number)

    def leave(self) -> None:
        """Once."""
        if self._forget.detach() is not None:
            self.worker.hang_up(self.number)
            self._places.give_back(self.worker)


def _forget(places: Places, worker: Worker, number: int) -> None:
    """Of a stream that nobody closed."""
    worker.forget(number)
    places.give_back(worker)
