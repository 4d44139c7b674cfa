"""Calls that keep talking whatever the engine answers: open-loop arrivals, timed by their schedule.

A frame counts from when it was due, not from when a late generator came round to it: otherwise a
stalled engine would also stall the load, and its worst moments would go unseen (G. Tene's
"coordinated omission").
"""

import asyncio
import heapq
import random
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final, final

import psutil

from auralink.bench.load_backends import Stage
from auralink.bench.load_histogram import Histogram
from auralink.engine.inference.backend import Media, Request
from auralink.engine.inference.engine import Answered, InferenceEngine
from auralink.engine.inference.outcome import Fate, FrameOutcome

_PERIOD_US: Final = {Media.AUDIO: 20_000, Media.VIDEO: 33_333}
DEADLINE_US: Final = {Media.AUDIO: 20_000, Media.VIDEO: 33_000}
_JITTER: Final = 0.05  # of a period, either way: clocks of cameras and networks
_IN_TURN: Final = 4  # frames in one turn of the event loop: packets of a room come singly, too
# No shorter: the loop's timers count milliseconds, and one that waits for less spins, which keeps
# the interpreter from the threads that the answers come by.  Packets come by sockets.
_NAP_US: Final = 1_000
_LAG_S: Final = 0.005
_BIN_US: Final = 100_000  # of the record over time


def now_us() -> int:
    return time.monotonic_ns() // 1_000


@dataclass(slots=True)
class Heard:
    """What became of the frames of one kind.

    Attributes:
        coded: from the schedule to the answer, of those that the model made.
        overhead: from `submit` to the answer, less the model's time and the wait for a worker.
        wait: for a worker.
        refused: from the schedule to the answer, of those that the model did not make.
        late_answers: that came more than 5 ms after the deadline.
    """

    outcomes: Counter[FrameOutcome] = field(default_factory=Counter)
    coded: Histogram = field(default_factory=Histogram)
    overhead: Histogram = field(default_factory=Histogram)
    wait: Histogram = field(default_factory=Histogram)
    refused: Histogram = field(default_factory=Histogram)
    run: Histogram = field(default_factory=Histogram)
    late_answers: int = 0

    @property
    def frames(self) -> int:
        return self.outcomes.total()

    def share(self, fate: Fate) -> float:
        found = sum(count for outcome, count in self.outcomes.items() if outcome.fate is fate)
        return found / max(1, self.frames)


@dataclass(slots=True)
class Bin:
    """A tenth of a second."""

    coded: int = 0
    other: int = 0
    slowest_ms: float = 0.0  # of those coded


@dataclass(slots=True)
class Phase:
    """All that was heard in a time of constant load."""

    seconds: float = 0.0
    audio: Heard = field(default_factory=Heard)
    video: Heard = field(default_factory=Heard)
    lag: Histogram = field(default_factory=Histogram)
    tardy: Histogram = field(default_factory=Histogram)  # the generator: submitted after due
    bins: dict[int, Bin] = field(default_factory=dict)
    rss: list[int] = field(default_factory=list)  # bytes, once a second, workers included
    start_us: int = 0

    def of(self, media: Media) -> Heard:
        return self.audio if media is Media.AUDIO else self.video

    @property
    def coded_per_s(self) -> float:
        coded = FrameOutcome.CODED
        return (self.audio.outcomes[coded] + self.video.outcomes[coded]) / self.seconds


@final
class Traffic:
    """Streams of sound and pictures against one engine."""

    def __init__(self, engine: InferenceEngine[Any, Any], stage: Stage, *, seed: int) -> None:
        self._engine = engine
        self._stage = stage
        self._rng = random.Random(seed)
        self._open = 0
        self._all_answered = asyncio.Event()

    async def run(self, *, audio: int, video: int, seconds: float) -> Phase:
        """So many streams for so long; returns when the last frame has its answer."""
        phase = Phase(seconds=seconds, start_us=now_us())
        watchers = [asyncio.create_task(_watch_lag(phase)), asyncio.create_task(_watch_rss(phase))]
        try:
            await self._arrivals(phase, audio, video, phase.start_us + round(seconds * 1e6))
            while self._open:
                self._all_answered.clear()
                await self._all_answered.wait()
        finally:
            for task in watchers:
                task.cancel()
            await asyncio.gather(*watchers, return_exceptions=True)
        return phase

    async def _arrivals(self, phase: Phase, audio: int, video: int, end_us: int) -> None:
        rng, due = self._rng, []
        for media, count in ((Media.AUDIO, audio), (Media.VIDEO, video)):
            for number in range(count):
                at_us = phase.start_us + rng.randrange(_PERIOD_US[media])
                due.append((at_us, f"{media.value} {number}", media))
        heapq.heapify(due)
        in_turn = 0
        while due:
            at_us, stream, media = due[0]
            wait_us = at_us - now_us()
            if wait_us > 0 or in_turn == _IN_TURN:
                in_turn = 0
                await asyncio.sleep(max(_NAP_US, wait_us) / 1e6 if wait_us > 0 else 0)
                continue
            in_turn += 1
            self._submit(phase, at_us, stream, media)
            period_us = _PERIOD_US[media]
            next_us = at_us + round(period_us * (1 + rng.uniform(-_JITTER, _JITTER)))
            if next_us < end_us:
                heapq.heapreplace(due, (next_us, stream, media))
            else:
                heapq.heappop(due)

    def _submit(self, phase: Phase, at_us: int, stream: str, media: Media) -> None:
        stage, audio = self._stage, media is Media.AUDIO
        phase.tardy.enter((now_us() - at_us) / 1e3)
        request = Request(
            stream=stream,
            media=media,
            model=stage.audio_model if audio else stage.video_model,
            size=(960, 1) if audio else stage.video_size,
            captured_us=at_us,
            deadline_us=at_us + DEADLINE_US[media],
            payload=stage.payload(audio),
        )
        self._open += 1
        self._engine.submit(request).add_done_callback(partial(self._answered, phase, request))

    def _answered(
        self, phase: Phase, request: Request[Any], future: asyncio.Future[Answered[Any]]
    ) -> None:
        self._open -= 1
        if not self._open:
            self._all_answered.set()
        answered, at_us = future.result(), now_us()
        heard = phase.of(request.media)
        total_ms = (at_us - request.captured_us) / 1e3
        heard.outcomes[answered.outcome] += 1
        heard.late_answers += at_us > request.deadline_us + 5_000
        found = phase.bins.setdefault((request.captured_us - phase.start_us) // _BIN_US, Bin())
        if answered.outcome is FrameOutcome.CODED:
            found.coded += 1
            found.slowest_ms = max(found.slowest_ms, total_ms)
            heard.coded.enter(total_ms)
            heard.wait.enter(answered.waited_us / 1e3)
            heard.run.enter(answered.run_us / 1e3)
            engine_us = answered.total_us - answered.waited_us - answered.run_us
            heard.overhead.enter(engine_us / 1e3)
        else:
            found.other += 1
            heard.refused.enter(total_ms)


async def _watch_lag(phase: Phase) -> None:
    while True:
        before_us = now_us()
        await asyncio.sleep(_LAG_S)
        phase.lag.enter((now_us() - before_us) / 1e3 - _LAG_S * 1e3)


async def _watch_rss(phase: Phase) -> None:
    process = psutil.Process()
    find: Callable[[], list[psutil.Process]] = partial(process.children, recursive=True)
    children = await asyncio.to_thread(find)  # reads all of /proc
    while True:
        total = process.memory_info().rss
        for child in children:
            if child.is_running():
                total += child.memory_info().rss
        phase.rss.append(total)
        await asyncio.sleep(1.0)
