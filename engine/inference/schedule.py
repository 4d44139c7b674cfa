"""Which frame runs next: mailboxes of streams, fair queues of classes, and the workers.

::

    offer ──► stream's mailbox ──► fair queue of its class ──► next ──► a worker
              (newest wins)        (one frame of a stream)     (sound first)

A stream has at most one frame with the workers until it is answered, so that its frames stay in
order and a recurrent network gets the state it needs.  Frames behind that one stay in the mailbox.

Where there is too much, streams that are served go on being served, and the others get what is
left: half of the streams sharp is better than each of them by turns, which flickers, and costs a
recurrent network its state and the workers the memory of all.

What waits is bounded twice: two frames of sound or one picture per stream, and no more than can
meet its deadline, as others are refused.
"""

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, TypeAlias, final

from auralink.engine.inference.admission import Admission, Queues
from auralink.engine.inference.backend import Media, Request
from auralink.engine.inference.cost import Cost, CostModel
from auralink.engine.inference.fair_queue import Entry, FairQueue
from auralink.engine.inference.lanes import Lanes
from auralink.engine.inference.mailbox import Mailbox
from auralink.engine.inference.outcome import FrameOutcome

_PATIENCE: Final = 3  # frames in a row that a stream misses, and it is not served any more
_CROWDED_US: Final = 1_000_000  # since a stream that is served missed a frame


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """
    Attributes:
        streams: known at a time; a frame of one more is refused.
        idle_us: a stream that was silent for so long may be forgotten.
        overhead_us: see `Admission`.
        weights: of tenants; 1 if not named.
    """

    streams: int = 256
    idle_us: int = 5_000_000
    audio_waiting: int = 2
    video_waiting: int = 1
    overhead_us: int = 1_000
    weights: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Answer:
    """A frame that got its outcome without having been run."""

    number: int
    outcome: FrameOutcome


@dataclass(frozen=True, slots=True, kw_only=True)
class ScheduleStatistics:
    streams: int
    waiting: int
    waiting_peak: int
    running: int  # with the workers
    forgotten: int  # idle streams


@dataclass(slots=True, eq=False)
class _Waiting:
    number: int
    request: Request[object]
    cost: Cost
    tried: bool  # runs whatever is predicted
    entry: Entry


@dataclass(slots=True)
class _Stream:
    mailbox: Mailbox[_Waiting]
    running: int | None = None
    queued: Entry | None = None  # the first of the mailbox, in its class's queue
    captured_us: int = -(2**63)
    seen_us: int = 0
    missed: int = _PATIENCE  # frames for lack of time, since the last that was made

    @property
    def served(self) -> bool:
        return self.missed < _PATIENCE


_Key: TypeAlias = tuple[Media, str]


@final
class Schedule:
    """
    Args:
        workers: that run one frame each, and hold one more.
    """

    def __init__(self, workers: int, limits: Limits) -> None:
        self._limits = limits
        self._costs = CostModel()
        self._lanes = Lanes(workers)
        self._queues = Queues(audio=FairQueue(limits.weights), video=FairQueue(limits.weights))
        self._admission = Admission(self._queues, self._lanes, overhead_us=limits.overhead_us)
        self._streams: OrderedDict[_Key, _Stream] = OrderedDict()  # last heard of at the end
        self._frames: dict[int, _Waiting] = {}  # waiting, by number
        self._tenants: dict[int, str] = {}  # of frames with the workers
        self._crowded_us = -(2**63)  # when a stream that is served missed a frame last
        self._peak = self._forgotten = 0

    def offer(self, number: int, request: Request[object], now_us: int) -> list[Answer]:
        """Take a frame in; returns who got an answer by that, perhaps the frame itself."""
        stream = self._stream(request, now_us)
        if stream is None:
            return [Answer(number, FrameOutcome.REFUSED)]
        if request.captured_us < stream.captured_us:
            return [Answer(number, FrameOutcome.STALE)]
        stream.captured_us = request.captured_us
        if self._gives_way(stream, request, now_us):
            stream.missed += 1
            return [Answer(number, FrameOutcome.REFUSED)]
        cost = self._costs.of(request.model, request.size)
        entry = Entry(request.deadline_us, number, request.tenant, cost.mean_us)
        capacity = self._capacity(request.media)
        oldest = stream.mailbox.first if len(stream.mailbox) == capacity else None
        replaces = oldest.cost.mean_us if oldest is not None and stream.queued else 0.0
        fits = self._admission.admits(request, entry, cost, now_us, replaces=replaces)
        if not fits and not self._admission.tries(request, now_us):
            self._miss(stream, now_us)
            return [Answer(number, FrameOutcome.REFUSED)]
        waiting = _Waiting(number, request, cost, not fits, entry)
        self._frames[number] = waiting
        evicted = stream.mailbox.offer(waiting)
        answers = []
        if evicted is not None:
            self._forget(evicted, stream)
            answers.append(Answer(evicted.number, FrameOutcome.STALE))
        self._requeue(stream)
        self._peak = max(self._peak, len(self._frames))
        return answers

    def next(self, now_us: int) -> tuple[int | None, list[Answer]]:
        """The frame to start now, or None; and frames that cannot be in time any more."""
        late: list[Answer] = []
        for queue in (self._queues.audio, self._queues.video):
            while (entry := queue.first()) is not None:
                if self._lanes.open_in(now_us) is None:
                    return None, late
                waiting = self._frames[entry.number]
                if not waiting.tried:
                    if not self._admission.can_still(entry.deadline_us, waiting.cost, now_us):
                        self.expire(entry.number, now_us)
                        late.append(Answer(entry.number, FrameOutcome.LATE))
                        continue
                    if not self._admission.leaves_room(waiting.request, waiting.cost, now_us):
                        return None, late
                self._start(waiting, queue, now_us)
                return entry.number, late
        return None, late

    def next_us(self, now_us: int) -> int | None:
        """When to ask `next` again, if nothing else happens before; None: no need to."""
        if not (len(self._queues.audio) or len(self._queues.video)):
            return None
        at_us = self._lanes.next_us(now_us)
        return None if at_us is None or at_us <= now_us else at_us

    def withdraw(self, number: int) -> None:
        """A waiting frame got its answer elsewhere."""
        waiting = self._frames[number]
        stream = self._streams[_key(waiting.request)]
        stream.mailbox.remove(waiting)
        self._forget(waiting, stream)
        self._requeue(stream)

    def expire(self, number: int, now_us: int) -> None:
        """The same, as it cannot be in time any more."""
        self._miss(self._streams[_key(self._frames[number].request)], now_us)
        self.withdraw(number)

    def answered(self, request: Request[object], outcome: FrameOutcome, now_us: int) -> None:
        """The stream's frame with the workers got its answer: its next one may run."""
        stream = self._streams.get(_key(request))
        if stream is None:
            return
        stream.running = None
        if outcome is FrameOutcome.CODED:
            stream.missed = 0
        elif outcome is FrameOutcome.LATE:
            self._miss(stream, now_us)
        self._requeue(stream)

    def returned(self, number: int, now_us: int) -> None:
        """A worker is done with a frame, however it went."""
        self._lanes.remove(number, now_us)
        del self._tenants[number]
        if not len(self._lanes):
            self._queues.audio.rest()
            self._queues.video.rest()

    def learn(self, request: Request[object], run_us: int, now_us: int) -> None:
        """A model took so long."""
        self._costs.observe(request.model, request.size, run_us)
        self._admission.ran(request, run_us, now_us)

    def running_us(self, number: int, now_us: int) -> int:
        """How long a frame has been running; 0 while it waits at its worker."""
        return self._lanes.running_us(number, now_us)

    def statistics(self) -> ScheduleStatistics:
        return ScheduleStatistics(
            streams=len(self._streams),
            waiting=len(self._frames),
            waiting_peak=self._peak,
            running=len(self._lanes),
            forgotten=self._forgotten,
        )

    def _stream(self, request: Request[object], now_us: int) -> _Stream | None:
        stream = self._streams.get(_key(request))
        if stream is None:
            if len(self._streams) >= self._limits.streams and not self._make_room(now_us):
                return None
            stream = _Stream(Mailbox(self._capacity(request.media)))
            self._streams[_key(request)] = stream
        self._streams.move_to_end(_key(request))
        stream.seen_us = now_us
        return stream

    def _make_room(self, now_us: int) -> bool:
        name, oldest = next(iter(self._streams.items()))
        busy = oldest.running is not None or len(oldest.mailbox)
        if busy or now_us - oldest.seen_us < self._limits.idle_us:
            return False
        del self._streams[name]
        self._forgotten += 1
        return True

    def _capacity(self, media: Media) -> int:
        limits = self._limits
        return limits.audio_waiting if media is Media.AUDIO else limits.video_waiting

    def _start(self, waiting: _Waiting, queue: FairQueue, now_us: int) -> None:
        popped = queue.pop()
        assert popped is waiting.entry
        stream = self._streams[_key(waiting.request)]
        stream.mailbox.take()
        stream.queued = None
        stream.running = waiting.number
        del self._frames[waiting.number]
        self._tenants[waiting.number] = waiting.request.tenant
        cost = waiting.cost
        self._lanes.put(waiting.number, mean_us=cost.mean_us, upper_us=cost.upper_us, now_us=now_us)
        self._admission.started(waiting.request, now_us, tried=waiting.tried)

    def _gives_way(self, stream: _Stream, request: Request[object], now_us: int) -> bool:
        """Where there is too much, the stream is not served, and its frame would have to wait for
        others of its tenant: between tenants the fair queue decides.
        """
        crowded = now_us - self._crowded_us < _CROWDED_US
        if not crowded or stream.served or request.media is Media.AUDIO:
            return False
        if self._queues.video.waits(request.tenant):
            return True
        return request.tenant in self._tenants.values() and self._lanes.open_in(now_us) is None

    def _miss(self, stream: _Stream, now_us: int) -> None:
        """There was no time for a frame."""
        if stream.served:
            self._crowded_us = now_us
        stream.missed += 1

    def _forget(self, waiting: _Waiting, stream: _Stream) -> None:
        if stream.queued is waiting.entry:
            self._queues.of(waiting.request.media).remove(waiting.entry)
            stream.queued = None
        del self._frames[waiting.number]

    def _requeue(self, stream: _Stream) -> None:
        first = stream.mailbox.first
        if first is not None and stream.running is None and stream.queued is None:
            self._queues.of(first.request.media).push(first.entry)
            stream.queued = first.entry


def _key(request: Request[object]) -> _Key:
    """A call's sound and picture may share a name; they are streams of their own all the same."""
    return request.media, request.stream
