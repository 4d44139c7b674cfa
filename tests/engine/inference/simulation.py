"""Admission, mailboxes, breakers and ladders in virtual time: one seed is one whole evening.

A `Simulation` runs the engine's real cores (`Dispatch`, `FallbackLadder`) against workers, streams
and faults that only exist as numbers, and checks the engine's promises at every event.  Nothing
waits for a clock, so a second of a call takes a few milliseconds, and a seed always gives the same
call: a failure is run again by its number.
"""

import heapq
import random
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from auralink.engine.inference.backend import Media, Ran, Request
from auralink.engine.inference.breaker import BreakerStatistics, Transition, Verdict
from auralink.engine.inference.breaker_config import BreakerConfig
from auralink.engine.inference.dispatch import Deliver, Dispatch, Probe, Start
from auralink.engine.inference.fallback_ladder import FallbackLadder, Move, Signs
from auralink.engine.inference.fallback_rungs import Need, Rung
from auralink.engine.inference.lanes import PER_WORKER
from auralink.engine.inference.outcome import Fate, FrameOutcome
from auralink.engine.inference.schedule import Limits

VOICE, RESTORE, BASE = "voice", "restore", "base"
_DEADLINE_US = {Media.AUDIO: 20_000, Media.VIDEO: 33_000}
_WAY_US = 300  # to a worker or back
_STALL_US = 1_000_000  # until a worker that does not answer is declared dead
_LOOK_US = 250_000


@dataclass(frozen=True)
class Weather:
    """What goes wrong, and when.

    Attributes:
        until_us: all faults end here.
    """

    until_us: int = 0
    stalls: float = 0.0  # chance of each run
    crashes: float = 0.0
    bad_output: float = 0.0
    slow: float = 1.0  # times as long
    lost_probes: float = 0.0  # cancelled
    no_model: bool = False


_FINE = Weather()


@dataclass(frozen=True)
class Scene:
    """
    Attributes:
        run_us: of a frame, by model.
        tenants: each stream belongs to one, in turn.
    """

    seconds: float = 2.0
    workers: int = 1
    audio: int = 1
    video: int = 2
    fps: float = 30.0
    tenants: int = 1
    run_us: dict[str, int] = field(
        default_factory=lambda: {VOICE: 2_000, RESTORE: 8_000, BASE: 6_000}
    )
    weather: Weather = Weather()
    ladders: bool = True


@dataclass
class Stream:
    name: str
    media: Media
    tenant: str
    period_us: int
    ladder: FallbackLadder | None
    outcomes: Counter[FrameOutcome] = field(default_factory=Counter)
    recent: list[tuple[int, FrameOutcome]] = field(default_factory=list)
    last_coded: int = -1
    moves: list[Move] = field(default_factory=list)
    frames: int = 0

    @property
    def rung(self) -> Rung | None:
        return self.ladder.rung if self.ladder else None


@dataclass
class Worker:
    free_us: int = 0
    jobs: int = 0
    dead_until_us: int = 0


class Simulation:
    def __init__(self, scene: Scene, seed: int) -> None:
        self.scene = scene
        self.rng = random.Random(seed)
        self.now_us = 0
        self.events: list[tuple[int, int, Callable[[], None]]] = []
        self.sequence = 0
        self.transitions: list[tuple[str, Transition]] = []
        self.dispatch: Dispatch[str, str] = Dispatch(
            scene.workers,
            serves=self.serves,
            rng=random.Random(seed),
            limits=Limits(streams=scene.audio + scene.video, overhead_us=2 * _WAY_US),
            breaker=BreakerConfig(open_us=200_000, open_most_us=1_000_000, half_open_us=200_000),
            told=lambda model, one: self.transitions.append((model, one)),
        )
        self.workers = [Worker() for _ in range(scene.workers)]
        self.owners: dict[int, tuple[Stream, Request[str]]] = {}
        self.answered: set[int] = set()
        self.waits: defaultdict[str, list[int]] = defaultdict(list)  # by tenant: until coded
        self.tick_us: int | None = None
        self.peak = 0
        self.end_us = round(scene.seconds * 1e6)
        self.streams = [self.stream(Media.AUDIO, i) for i in range(scene.audio)]
        self.streams += [self.stream(Media.VIDEO, i) for i in range(scene.video)]

    def run(self) -> "Simulation":
        for stream in self.streams:
            self.at(round(self.rng.random() * stream.period_us), lambda s=stream: self.capture(s))
            if stream.ladder is not None:
                self.at(_LOOK_US, lambda s=stream: self.look(s))
        while self.events:
            at_us, _, what = heapq.heappop(self.events)
            assert at_us >= self.now_us
            self.now_us = at_us
            what()
            self.drain()
            self.check()
        self.dispatch.check_books()
        return self

    # -- what happens ----------------------------------------------------------------------------

    def capture(self, stream: Stream) -> None:
        jitter = self.rng.gauss(0, 0.05)
        divisor = stream.rung.divisor if stream.rung else 1
        next_us = self.now_us + max(1, round(stream.period_us * divisor * (1 + jitter)))
        if next_us < self.end_us:
            self.at(next_us, lambda: self.capture(stream))
        stream.frames += 1
        model = self.model(stream)
        if model is None:  # native, or sound only: no business of the workers
            outcome = FrameOutcome.CODED if stream.rung.video else FrameOutcome.PAUSED
            self.account(stream, outcome)
            return
        request = Request(
            stream=stream.name,
            media=stream.media,
            model=model,
            size=(100, 100),
            captured_us=self.now_us,
            deadline_us=self.now_us + _DEADLINE_US[stream.media],
            payload=stream.name,
            tenant=stream.tenant,
        )
        number = self.dispatch.submit(request, self.now_us)
        self.owners[number] = stream, request

    def look(self, stream: Stream) -> None:
        if self.now_us + _LOOK_US < self.end_us:
            self.at(self.now_us + _LOOK_US, lambda: self.look(stream))
        stream.recent = [one for one in stream.recent if one[0] > self.now_us - 1_000_000]
        late = sum(o in (FrameOutcome.LATE, FrameOutcome.REFUSED) for _, o in stream.recent)
        down = any(o in (FrameOutcome.BREAKER, FrameOutcome.NO_MODEL) for _, o in stream.recent)
        signs = Signs(
            gone=frozenset({Need.MODEL}) if down and stream.rung.net else frozenset(),
            late_share=late / len(stream.recent) if stream.recent else 0.0,
        )
        move = stream.ladder.look(signs, self.now_us)
        if move is not None:
            stream.moves.append(move)
            stream.recent.clear()

    def start(self, one: Start[str]) -> None:
        weather, rng = self.weather(), self.rng
        worker = min(self.workers, key=lambda w: max(w.free_us, w.dead_until_us, self.now_us))
        run_us = round(self.scene.run_us[one.request.model] * rng.uniform(0.9, 1.1))
        stream = self.owners[one.number][0] if one.number in self.owners else None
        if stream is not None and stream.rung is not None and one.request.model == BASE:
            run_us = max(1, round(run_us * stream.rung.effort))
        run_us = round(run_us * weather.slow)
        begin_us = max(worker.free_us, worker.dead_until_us, self.now_us + _WAY_US)
        failed, bad = rng.random() < weather.crashes, rng.random() < weather.bad_output
        if rng.random() < weather.stalls:
            failed, run_us = True, _STALL_US
            worker.dead_until_us = begin_us + _STALL_US + 300_000
        worker.free_us = begin_us + run_us
        ran = None if failed else Ran(result=one.request.payload, run_us=run_us)
        self.at(worker.free_us + _WAY_US, lambda: self.returned(one.number, ran, not bad))

    def returned(self, number: int, ran: Ran[str] | None, sound: bool) -> None:
        self.dispatch.returned(number, ran, self.now_us, sound=sound)

    def probe(self, one: Probe) -> None:
        weather = self.weather()
        verdict = Verdict.GOOD
        if self.rng.random() < weather.lost_probes:
            verdict = Verdict.ABANDONED
        elif self.rng.random() < max(weather.crashes, weather.bad_output):
            verdict = Verdict.FAILED
        self.at(self.now_us + 20_000, lambda: self.dispatch.probed(one, verdict, self.now_us))

    def deliver(self, one: Deliver[str]) -> None:
        assert one.number not in self.answered, "a second answer"
        self.answered.add(one.number)
        stream, request = self.owners.get(one.number, (None, None))
        if stream is None:  # answered before `submit` returned
            self.at(self.now_us, lambda: self.deliver_late(one, self.now_us))
            return
        self.settle(one, stream, request)

    def deliver_late(self, one: Deliver[str], at_us: int) -> None:
        assert at_us == self.now_us
        self.settle(one, *self.owners[one.number])

    def settle(self, one: Deliver[str], stream: Stream, request: Request[str]) -> None:
        del self.owners[one.number]
        assert self.now_us <= request.deadline_us, "an answer after the deadline"
        if one.outcome is FrameOutcome.REFUSED:
            assert self.now_us == request.captured_us, "a refusal that was not at once"
        if one.outcome is FrameOutcome.CODED:
            assert one.result == stream.name, "somebody else's result"
            assert one.number > stream.last_coded, "out of order"
            stream.last_coded = one.number
            self.waits[stream.tenant].append(self.now_us - request.captured_us)
        self.account(stream, one.outcome)

    def account(self, stream: Stream, outcome: FrameOutcome) -> None:
        stream.outcomes[outcome] += 1
        stream.recent.append((self.now_us, outcome))

    # -- how it is driven ------------------------------------------------------------------------

    def drain(self) -> None:
        while actions := self.dispatch.take():
            for action in actions:
                match action:
                    case Start():
                        self.start(action)
                    case Probe():
                        self.probe(action)
                    case Deliver():
                        self.deliver(action)
        due_us = self.dispatch.due_us
        # A breaker wants to be probed for as long as it is open; the evening ends all the same.
        if due_us is not None and due_us <= self.end_us + 2_000_000 and due_us != self.tick_us:
            self.tick_us = due_us
            self.at(max(due_us, self.now_us), lambda: self.tick(due_us))

    def tick(self, due_us: int) -> None:
        if due_us == self.tick_us:  # or another one took its place
            self.tick_us = None
            self.dispatch.tick(self.now_us)

    def check(self) -> None:
        told = self.dispatch.schedule
        self.peak = max(self.peak, told.waiting)
        assert told.running <= PER_WORKER * self.scene.workers, "more than two with a worker"
        assert told.waiting <= 2 * self.scene.audio + self.scene.video, "a queue without bound"

    def at(self, at_us: int, what: Callable[[], None]) -> None:
        self.sequence += 1
        heapq.heappush(self.events, (at_us, self.sequence, what))

    def serves(self, model: str) -> bool:
        return not (self.weather().no_model and model == RESTORE)

    def model(self, stream: Stream) -> str | None:
        if stream.media is Media.AUDIO:
            return VOICE
        rung = stream.rung
        if rung is None or rung.net:
            return RESTORE
        return BASE if Need.WORKERS in rung.needs else None

    def weather(self) -> Weather:
        weather = self.scene.weather
        return weather if self.now_us < weather.until_us else _FINE

    def stream(self, media: Media, index: int) -> Stream:
        period_us = 20_000 if media is Media.AUDIO else round(1e6 / self.scene.fps)
        ladder = FallbackLadder(0) if media is Media.VIDEO and self.scene.ladders else None
        tenant = f"t{index % self.scene.tenants}"
        return Stream(f"{media.value}{index}", media, tenant, period_us, ladder)

    # -- what came of it -------------------------------------------------------------------------

    @property
    def breakers(self) -> Mapping[str, BreakerStatistics]:
        return self.dispatch.statistics(self.now_us).breakers

    def share(self, media: Media, *fates: Fate) -> float:
        """Of all frames of a kind, those that ended so."""
        frames: Counter[FrameOutcome] = Counter()
        for stream in self.streams:
            if stream.media is media:
                frames.update(stream.outcomes)
        ended = sum(count for outcome, count in frames.items() if outcome.fate in fates)
        return ended / max(1, frames.total())
