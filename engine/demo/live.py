"""A call at the pace of its clip: one thread captures, one receives, the caller watches."""

import itertools
import statistics
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Final, Protocol, TypeVar, final

from auralink.codecs.frame import Frame
from auralink.codecs.video.protocol import Kind, Outcome
from auralink.engine.link.call import Call, CallState, Played, Sent, is_new

TICK_S: Final = 0.004  # how often arrivals are looked for
LOOK_EVERY_S: Final = 0.1
LATE_FRAMES: Final = 3  # a frame later than that is dropped before encoding
WINDOW_US: Final = 1_000_000
DRAIN_S: Final = 2.0  # after the last frame, for what is still under way
DROPPED: Final = (Outcome.DROPPED_RATE, Outcome.DROPPED_BACKLOG, Outcome.DROPPED_TIME)


class _HasTime(Protocol):
    @property
    def at_us(self) -> int: ...


_Timed = TypeVar("_Timed", bound=_HasTime)


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """The last second of a call, for eyes."""

    at_s: float
    bitrate_bps: float
    fps: float
    encode_ms: float
    decode_ms: float
    latency_ms: float
    quantizer: int
    base_size: tuple[int, int]
    parity: float
    keys: int  # since the start, like those below
    frozen: int
    skipped: int
    dropped: int
    call: CallState


@dataclass(slots=True, kw_only=True)
class Log:
    """All that happened, in order."""

    sent: list[Sent] = field(default_factory=list)
    played: list[Played] = field(default_factory=list)
    late: int = 0  # frames dropped before encoding

    def at(self, now_us: int, call: CallState) -> Snapshot:
        since = now_us - WINDOW_US
        sent = list(_tail(self.sent, since))
        played = [item for item in _tail(self.played, since) if is_new(item)]
        coded = [item for item in sent if item.coded.outcome is Outcome.CODED]
        window_s = max(0.1, min(now_us, WINDOW_US) / 1e6)
        last = coded[-1].coded if coded else None
        outcomes = [item.coded.outcome for item in self.sent]
        return Snapshot(
            at_s=now_us / 1e6,
            bitrate_bps=sum(item.coded.size for item in sent) * 8 / window_s,
            fps=len(played) / window_s,
            encode_ms=_median([item.encode_ms for item in coded]),
            decode_ms=_median([item.decode_ms for item in played]),
            latency_ms=_median([item.latency_ms or 0.0 for item in played]),
            quantizer=last.quantizer if last else 0,
            base_size=last.base_size if last else (0, 0),
            parity=sent[-1].parity if sent else 0.0,
            keys=sum(
                item.coded.kind is Kind.KEY and bool(item.coded.packets) for item in self.sent
            ),
            frozen=sum(not is_new(item) for item in self.played),
            skipped=outcomes.count(Outcome.SKIPPED),
            dropped=self.late + sum(outcome in DROPPED for outcome in outcomes),
            call=call,
        )


@final
class LiveCall:
    """Run a `Call` by the clock.  Iterate for snapshots; then `log` is complete."""

    def __init__(
        self,
        call: Call,
        frames: Sequence[Frame],
        *,
        clock: Callable[[], float] = time.perf_counter,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._call = call
        self._frames = frames
        self._clock = clock
        self._sleep = sleep
        self._start_s = 0.0
        self._sent_all = threading.Event()
        self._stop = threading.Event()
        self.log = Log()

    def __iter__(self) -> Iterator[Snapshot]:
        self._start_s = self._clock()
        with ThreadPoolExecutor(2, thread_name_prefix="call") as pool:
            threads = (pool.submit(self._send), pool.submit(self._receive))
            try:
                while not all(thread.done() for thread in threads):
                    self._sleep(LOOK_EVERY_S)
                    yield self.log.at(self._now_us(), self._call.state())
                    _raise_failure(threads)
            finally:
                self._stop.set()
        _raise_failure(threads)
        yield self.log.at(self._now_us(), self._call.state())

    def _now_us(self) -> int:
        return round((self._clock() - self._start_s) * 1e6)

    def _send(self) -> None:
        try:
            interval_us = _interval_us(self._frames)
            for frame in self._frames:
                wait_us = frame.pts_us - self._now_us()
                if wait_us > 0:
                    self._sleep(wait_us / 1e6)
                if self._stop.is_set():
                    return
                if self.log.sent and wait_us < -LATE_FRAMES * interval_us:
                    self.log.late += 1
                    continue
                self.log.sent.append(self._call.capture(frame, self._now_us))
        finally:
            self._sent_all.set()

    def _receive(self) -> None:
        drained_s: float | None = None
        while not self._stop.is_set():
            self.log.played += self._call.receive(self._now_us)
            if self._sent_all.is_set():
                drained_s = self._clock() if drained_s is None else drained_s
                late = self._clock() - drained_s > DRAIN_S
                if late or self._call.idle(self._now_us()):
                    return
            self._sleep(TICK_S)


def _tail(items: Sequence[_Timed], since_us: int) -> list[_Timed]:
    """The newest items, oldest first, that are not older than `since_us`."""
    newest = itertools.takewhile(lambda item: item.at_us >= since_us, reversed(items))
    return list(newest)[::-1]


def _median(values: Sequence[float]) -> float:
    return statistics.median(values) if values else 0.0


def _interval_us(frames: Sequence[Frame]) -> int:
    gaps = [b.pts_us - a.pts_us for a, b in itertools.pairwise(frames)]
    return max(1, round(_median(gaps))) if gaps else 1


def _raise_failure(threads: Sequence["Future[None]"]) -> None:
    for thread in threads:
        if thread.done():
            thread.result()
