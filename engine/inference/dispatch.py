"""The life of every frame in the engine, from its arrival to its one answer: pure, no event loop.

::

    submit ─► model live? ─► breaker ─► admission ─► waits ─► Start ─► returned ─► guard ─► answer
                 │no           │open       │no         │deadline │deadline           │bad
                 ▼             ▼           ▼           ▼         ▼                   ▼
              no_model      breaker     refused      late      late               invalid

Methods enter what happened; `take` gives what is to be done: runs to start, probes to make, answers
to deliver.  Whoever calls must do all of it before entering the next thing, and call `tick` at
`due_us`.  The asyncio engine is one such caller, the simulation another.
"""

import heapq
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final, Generic, TypeAlias, TypeVar, final

from auralink.engine.inference.backend import Ran, Request
from auralink.engine.inference.breaker import (
    Breaker,
    BreakerStatistics,
    Call,
    Permit,
    Transition,
    Verdict,
)
from auralink.engine.inference.breaker_config import BreakerConfig
from auralink.engine.inference.outcome import FrameOutcome, Ledger
from auralink.engine.inference.schedule import Answer, Limits, Schedule, ScheduleStatistics

P = TypeVar("P")
R = TypeVar("R")

# Of the time between capture and deadline: a model that takes more leaves none for anything else.
SLOW_SHARE: Final = 0.8
_MODELS: Final = 64  # with breakers of their own


@dataclass(frozen=True, slots=True)
class Start(Generic[P]):
    """Run a frame, then tell `returned`."""

    number: int
    request: Request[P]


@dataclass(frozen=True, slots=True)
class Probe:
    """Run a model's golden vector, then tell `probed`, in every case."""

    model: str
    permit: Permit


@dataclass(frozen=True, slots=True)
class Deliver(Generic[R]):
    """A frame has its answer."""

    number: int
    outcome: FrameOutcome
    result: R | None = field(repr=False)


Action: TypeAlias = Start[P] | Probe | Deliver[R]


@dataclass(frozen=True, slots=True, kw_only=True)
class DispatchStatistics:
    outcomes: Mapping[FrameOutcome, int]
    open: int  # frames without an answer yet
    schedule: ScheduleStatistics
    breakers: Mapping[str, BreakerStatistics]


@dataclass(slots=True)
class _Running:
    """A frame with the workers; it stays here after its answer, until the worker is done."""

    request: Request[object]
    call: Call | None  # None: the breaker knows already
    answered: bool = False


@final
class Dispatch(Generic[P, R]):
    """
    Args:
        serves: whether a model is live.
        rng: for the breakers' jitter.
        told: hears of every transition of a model's breaker.
    """

    def __init__(
        self,
        workers: int,
        *,
        serves: Callable[[str], bool],
        rng: random.Random,
        limits: Limits | None = None,
        breaker: BreakerConfig | None = None,
        told: Callable[[str, Transition], None] = lambda model, transition: None,
    ) -> None:
        self._serves = serves
        self._rng = rng
        self._config = breaker or BreakerConfig()
        self._told = told
        self._schedule = Schedule(workers, limits or Limits())
        self._ledger = Ledger()
        self._breakers: dict[str, Breaker] = {}
        self._probing: set[str] = set()
        self._waiting: dict[int, Request[P]] = {}
        self._running: dict[int, _Running] = {}
        self._deadlines: list[tuple[int, int]] = []
        self._actions: list[Action[P, R]] = []
        self._closing = False
        self._handover_us: int | None = None  # when a worker is nearly done

    @property
    def due_us(self) -> int | None:
        """When to call `tick` next; None: no need to."""
        while self._deadlines and not self._is_open(self._deadlines[0][1]):
            heapq.heappop(self._deadlines)
        due = [self._deadlines[0][0]] if self._deadlines else []
        if self._handover_us is not None:
            due.append(self._handover_us)
        for model, breaker in self._breakers.items():
            waits = not self._closing and model not in self._probing
            if waits and (due_us := breaker.due_us) is not None:
                due.append(due_us)
        return min(due, default=None)

    @property
    def schedule(self) -> ScheduleStatistics:
        return self._schedule.statistics()

    def breaker(self, model: str) -> Breaker:
        """Of a model; an operator may force it."""
        found = self._breakers.get(model)
        if found is None:
            found = self._breakers[model] = Breaker(
                self._config, rng=self._rng, told=lambda one: self._told(model, one)
            )
        return found

    def take(self) -> list[Action[P, R]]:
        """What is to be done, in this order."""
        actions, self._actions = self._actions, []
        return actions

    def submit(self, request: Request[P], now_us: int) -> int:
        """A frame came; returns the number that its answer will have."""
        number = self._ledger.enter()
        outcome = self._refusal(request, now_us)
        if outcome is not None:
            self._answer(number, outcome)
            return number
        self._waiting[number] = request
        heapq.heappush(self._deadlines, (request.deadline_us, number))
        answers = self._schedule.offer(number, request, now_us)
        self._pass_on(answers)
        if number in self._waiting:
            self._pump(now_us)
        return number

    def returned(self, number: int, ran: Ran[R] | None, now_us: int, *, sound: bool = True) -> None:
        """A worker is done with a frame.

        Args:
            ran: None if it failed.
            sound: what the guard says about the result.
        """
        running = self._running.pop(number)
        self._schedule.returned(number, now_us)
        request, good = running.request, ran is not None and sound
        if ran is not None:
            self._schedule.learn(request, ran.run_us, now_us)
        if running.call is not None:
            slow = ran is not None and ran.run_us >= _slow_us(request)
            verdict = (Verdict.SLOW if slow else Verdict.GOOD) if good else Verdict.FAILED
            self.breaker(request.model).record(running.call, verdict, now_us)
        if not running.answered:
            late = now_us > request.deadline_us
            outcome = FrameOutcome.LATE if late else FrameOutcome.CODED
            if not good:
                outcome = FrameOutcome.INVALID
            self._schedule.answered(request, outcome, now_us)
            result = ran.result if ran is not None and outcome is FrameOutcome.CODED else None
            self._answer(number, outcome, result)
        self._pump(now_us)

    def abandoned(self, number: int, now_us: int) -> None:
        """A run was cancelled, which says nothing about its model."""
        running = self._running.pop(number)
        self._schedule.returned(number, now_us)
        if running.call is not None:
            self.breaker(running.request.model).record(running.call, Verdict.ABANDONED, now_us)
        if not running.answered:
            self._schedule.answered(running.request, FrameOutcome.CLOSING, now_us)
            self._answer(number, FrameOutcome.CLOSING)
        self._pump(now_us)

    def probed(self, probe: Probe, verdict: Verdict, now_us: int) -> None:
        """A golden vector ran, or not."""
        self._probing.discard(probe.model)
        self.breaker(probe.model).record_probe(probe.permit, verdict, now_us)
        self._probe(now_us)

    def tick(self, now_us: int) -> None:
        """Time passed: deadlines, breakers that want to be probed, workers that are overdue."""
        while self._deadlines and self._deadlines[0][0] <= now_us:
            _, number = heapq.heappop(self._deadlines)
            if number in self._waiting:
                self._schedule.expire(number, now_us)
                self._answer(number, FrameOutcome.LATE)
            elif number in self._running and not self._running[number].answered:
                self._give_up(number, now_us)
        self._probe(now_us)
        self._pump(now_us)

    def close(self) -> None:
        """Answer what waits, take nothing more.  What runs is answered by its end or deadline."""
        self._closing = True
        for number in list(self._waiting):
            self._schedule.withdraw(number)
            self._answer(number, FrameOutcome.CLOSING)

    def check_books(self) -> None:
        """
        Raises:
            LedgerError: a frame is left without an answer.
        """
        self._ledger.close()

    def statistics(self, now_us: int) -> DispatchStatistics:
        return DispatchStatistics(
            outcomes=dict(self._ledger.counts),
            open=self._ledger.open,
            schedule=self._schedule.statistics(),
            breakers={name: one.statistics(now_us) for name, one in self._breakers.items()},
        )

    def _refusal(self, request: Request[P], now_us: int) -> FrameOutcome | None:
        if self._closing:
            return FrameOutcome.CLOSING
        if now_us >= request.deadline_us:
            return FrameOutcome.LATE
        known = request.model in self._breakers or len(self._breakers) < _MODELS
        if not known or not self._serves(request.model):
            return FrameOutcome.NO_MODEL
        if self.breaker(request.model).admit(now_us) is None:
            return FrameOutcome.BREAKER
        return None

    def _pump(self, now_us: int) -> None:
        """Start whatever may start."""
        while True:
            number, late = self._schedule.next(now_us)
            self._pass_on(late)
            if number is None:
                self._handover_us = self._schedule.next_us(now_us)
                return
            request = self._waiting.pop(number)
            call = self.breaker(request.model).admit(now_us)
            if call is None:  # it opened while the frame waited
                self._schedule.returned(number, now_us)
                self._schedule.answered(request, FrameOutcome.BREAKER, now_us)
                self._answer(number, FrameOutcome.BREAKER)
                continue
            self._running[number] = _Running(request, call)
            self._actions.append(Start(number, request))

    def _give_up(self, number: int, now_us: int) -> None:
        """The deadline came while a worker had the frame."""
        running = self._running[number]
        running.answered = True
        request = running.request
        if running.call and self._schedule.running_us(number, now_us) >= _slow_us(request):
            self.breaker(request.model).record(running.call, Verdict.SLOW, now_us)
            running.call = None
        self._schedule.answered(request, FrameOutcome.LATE, now_us)
        self._answer(number, FrameOutcome.LATE)

    def _probe(self, now_us: int) -> None:
        """One golden vector at a time for each model: more would take workers from the others."""
        for model, breaker in self._breakers.items():
            if model in self._probing or self._closing:
                continue
            permit = breaker.probe(now_us)
            if permit is not None:
                self._probing.add(model)
                self._actions.append(Probe(model, permit))

    def _pass_on(self, answers: list[Answer]) -> None:
        for answer in answers:
            self._answer(answer.number, answer.outcome)

    def _answer(self, number: int, outcome: FrameOutcome, result: R | None = None) -> None:
        self._waiting.pop(number, None)
        self._ledger.settle(number, outcome)
        self._actions.append(Deliver(number, outcome, result))

    def _is_open(self, number: int) -> bool:
        running = self._running.get(number)
        return number in self._waiting or (running is not None and not running.answered)


def _slow_us(request: Request[object]) -> float:
    return SLOW_SHARE * (request.deadline_us - request.captured_us)
