"""Circuit breaker around one model on one group of workers: pure, time is an argument.

::

             TRIPPED                 WAITED                PROBES_PASSED
    CLOSED ──────────► OPEN ───────────────────► HALF_OPEN ──────────────► CLOSED
                        ▲                             │
                        └─ PROBE_FAILED, PROBES_LATE, ┘
                           PROBE_ABANDONED

    any state ── FORCE_OPEN ──► FORCED_OPEN ── RELEASED ──► OPEN
    any state ── FORCE_CLOSED ► FORCED_CLOSED ─ RELEASED ─► CLOSED

Users' frames pass while it is closed and never otherwise.  What tries a model that failed is its
golden vector: `probe` gives out exactly ``config.probes`` permits in each half-open time, however
many ask, and all of them must pass.  A permit that is given back unused, because its task was
cancelled, says nothing about the model: back to open, and the same wait once more.

Every transition begins a new generation.  Calls and permits carry the one they were given in, and
an answer out of an older one changes nothing: a frame that was slow before the breaker opened must
not close or open it again later.

The wait after the n-th trip in a row is ``open_us * 2^n``, up to ``open_most_us``, give or take a
share drawn at random, so that breakers that opened together do not probe together.

Sources: M. Nygard, "Release It!", 2nd edition 2018, chapter 5; windows by count and time, slow
calls and the limit on half-open are those of resilience4j's CircuitBreaker.
"""

import enum
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, final

from auralink.engine.inference.breaker_config import BreakerConfig
from auralink.engine.inference.call_window import CallWindow


class State(enum.Enum):
    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half_open"
    FORCED_OPEN = "forced_open"  # by an operator, until released
    FORCED_CLOSED = "forced_closed"


class Event(enum.Enum):
    TRIPPED = "tripped"
    WAITED = "waited"
    PROBES_PASSED = "probes_passed"
    PROBE_FAILED = "probe_failed"
    PROBE_ABANDONED = "probe_abandoned"
    PROBES_LATE = "probes_late"
    FORCE_OPEN = "force_open"
    FORCE_CLOSED = "force_closed"
    RELEASED = "released"


# The whole machine.  Tests walk this table; what is not listed here cannot happen.
TRANSITIONS: Final[Mapping[tuple[State, Event], State]] = {
    (State.CLOSED, Event.TRIPPED): State.OPEN,
    (State.OPEN, Event.WAITED): State.HALF_OPEN,
    (State.HALF_OPEN, Event.PROBES_PASSED): State.CLOSED,
    (State.HALF_OPEN, Event.PROBE_FAILED): State.OPEN,
    (State.HALF_OPEN, Event.PROBE_ABANDONED): State.OPEN,
    (State.HALF_OPEN, Event.PROBES_LATE): State.OPEN,
    (State.CLOSED, Event.FORCE_OPEN): State.FORCED_OPEN,
    (State.OPEN, Event.FORCE_OPEN): State.FORCED_OPEN,
    (State.HALF_OPEN, Event.FORCE_OPEN): State.FORCED_OPEN,
    (State.FORCED_CLOSED, Event.FORCE_OPEN): State.FORCED_OPEN,
    (State.CLOSED, Event.FORCE_CLOSED): State.FORCED_CLOSED,
    (State.OPEN, Event.FORCE_CLOSED): State.FORCED_CLOSED,
    (State.HALF_OPEN, Event.FORCE_CLOSED): State.FORCED_CLOSED,
    (State.FORCED_OPEN, Event.FORCE_CLOSED): State.FORCED_CLOSED,
    (State.FORCED_OPEN, Event.RELEASED): State.OPEN,
    (State.FORCED_CLOSED, Event.RELEASED): State.CLOSED,
}


class Verdict(enum.Enum):
    """How a call, or a probe, went."""

    GOOD = "good"
    SLOW = "slow"  # it came, but took most of the time that a frame has
    FAILED = "failed"  # an error, a result that the guard refused, or none
    ABANDONED = "abandoned"  # cancelled: says nothing about the model


@dataclass(frozen=True, slots=True)
class Call:
    """Leave for one user's frame."""

    generation: int


@dataclass(frozen=True, slots=True)
class Permit:
    """Leave for one run of the golden vector."""

    generation: int
    number: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Transition:
    at_us: int
    before: State
    event: Event
    after: State
    generation: int  # that it began


@dataclass(frozen=True, slots=True, kw_only=True)
class BreakerStatistics:
    state: State
    generation: int
    calls: int  # in the window
    failed: int
    slow: int
    trips: int  # ever
    refused: int  # frames that were not let through, ever
    outdated: int  # answers out of an older generation, ever
    probing: int  # permits that are out
    retry_at_us: int | None  # when probes may start; None unless open


@final
class Breaker:
    """
    Args:
        rng: draws the jitter; seeded by whoever builds it.
        told: hears of every transition, after it happened.

    Times are microseconds.  A clock that steps back is taken to stand still until it goes on.
    """

    def __init__(
        self,
        config: BreakerConfig,
        *,
        rng: random.Random,
        told: Callable[[Transition], None] = lambda transition: None,
    ) -> None:
        self._config = config
        self._rng = rng
        self._told = told
        self._state = State.CLOSED
        self._generation = 0
        self._window = CallWindow(calls=config.window_calls, span_us=config.window_us)
        self._given_us: int | None = None  # the caller's clock when it spoke last
        self._now_us = 0  # ours: goes on when that does, never back
        self._since_us = 0  # when the state began, on our clock
        self._wait_us = 0
        self._doublings = 0
        self._permits: set[int] = set()  # that are out
        self._issued = self._passed = 0  # in this half-open time
        self._trips = self._refused = self._outdated = 0

    @property
    def state(self) -> State:
        return self._state

    @property
    def due_us(self) -> int | None:
        """When to call `probe` or `tick` next, on the caller's clock; None: no need to."""
        if self._state is State.OPEN:
            left_us = self._since_us + self._wait_us - self._now_us
        elif self._state is State.HALF_OPEN:
            left_us = self._since_us + self._config.half_open_us - self._now_us
        else:
            return None
        return (self._given_us or 0) + max(0, left_us)

    def admit(self, now_us: int) -> Call | None:
        """Leave for a user's frame, or None: fall back, and do not try again."""
        self.tick(now_us)
        if self._state is State.CLOSED or self._state is State.FORCED_CLOSED:
            return Call(self._generation)
        self._refused += 1
        return None

    def record(self, call: Call, verdict: Verdict, now_us: int) -> None:
        """Tell how a call went, once."""
        self.tick(now_us)
        if call.generation != self._generation:
            self._outdated += 1
            return
        if verdict is Verdict.ABANDONED or self._state is not State.CLOSED:
            return
        failed, slow = verdict is Verdict.FAILED, verdict is Verdict.SLOW
        self._window.enter(self._now_us, failed=failed, slow=slow)
        if (failed or slow) and self._is_bad():
            settled = self._now_us - self._since_us > self._wait_us
            self._doublings = 0 if settled or not self._trips else self._doublings + 1
            self._trips += 1
            self._fire(Event.TRIPPED)

    def probe(self, now_us: int) -> Permit | None:
        """Leave for a run of the golden vector, or None: not now, or all permits are out."""
        self.tick(now_us)
        if self._state is State.OPEN and self._now_us - self._since_us >= self._wait_us:
            self._fire(Event.WAITED)
        if self._state is not State.HALF_OPEN or self._issued == self._config.probes:
            return None
        self._issued += 1
        permit = Permit(self._generation, self._issued)
        self._permits.add(permit.number)
        return permit

    def record_probe(self, permit: Permit, verdict: Verdict, now_us: int) -> None:
        """Tell how a probe went.  Do so in every case, cancellation too."""
        self.tick(now_us)
        if permit.generation != self._generation or permit.number not in self._permits:
            self._outdated += 1
            return
        self._permits.discard(permit.number)
        if verdict is Verdict.GOOD:
            self._passed += 1
            if self._passed == self._config.probes:
                self._fire(Event.PROBES_PASSED)
        elif verdict is Verdict.ABANDONED:
            self._fire(Event.PROBE_ABANDONED)
        else:
            self._doublings += 1
            self._fire(Event.PROBE_FAILED)

    def tick(self, now_us: int) -> None:
        """Let time pass."""
        given_us, self._given_us = self._given_us, now_us
        if given_us is not None and now_us > given_us:
            self._now_us += now_us - given_us
        if (
            self._state is State.HALF_OPEN
            and self._now_us - self._since_us >= self._config.half_open_us
        ):
            self._doublings += 1
            self._fire(Event.PROBES_LATE)

    def force_open(self, now_us: int) -> None:
        """No frame and no probe passes until `release`."""
        self._force(Event.FORCE_OPEN, State.FORCED_OPEN, now_us)

    def force_closed(self, now_us: int) -> None:
        """Every frame passes, whatever the model does, until `release`."""
        self._force(Event.FORCE_CLOSED, State.FORCED_CLOSED, now_us)

    def release(self, now_us: int) -> None:
        """By itself again: closed with an empty window, or open with a first wait."""
        self.tick(now_us)
        if self._state in (State.FORCED_OPEN, State.FORCED_CLOSED):
            self._doublings = 0
            self._fire(Event.RELEASED)

    def statistics(self, now_us: int) -> BreakerStatistics:
        self.tick(now_us)
        counts = self._window.counts(self._now_us)
        return BreakerStatistics(
            state=self._state,
            generation=self._generation,
            calls=counts.calls,
            failed=counts.failed,
            slow=counts.slow,
            trips=self._trips,
            refused=self._refused,
            outdated=self._outdated,
            probing=len(self._permits),
            retry_at_us=self.due_us if self._state is State.OPEN else None,
        )

    def _is_bad(self) -> bool:
        config, counts = self._config, self._window.counts(self._now_us)
        return counts.calls >= config.least_calls and (
            counts.failed >= config.failed_share * counts.calls
            or counts.slow >= config.slow_share * counts.calls
        )

    def _force(self, event: Event, state: State, now_us: int) -> None:
        self.tick(now_us)
        if self._state is not state:
            self._fire(event)

    def _fire(self, event: Event) -> None:
        before, self._state = self._state, TRANSITIONS[self._state, event]
        self._generation += 1
        self._since_us = self._now_us
        self._window.clear()
        self._permits.clear()
        self._issued = self._passed = 0
        if self._state is State.OPEN:
            self._wait_us = self._draw_wait()
        self._told(
            Transition(
                at_us=self._given_us or 0,
                before=before,
                event=event,
                after=self._state,
                generation=self._generation,
            )
        )

    def _draw_wait(self) -> int:
        config = self._config
        # Ten doublings pass any sensible limit; more would only make a huge integer.
        wait_us = min(config.open_us << min(self._doublings, 10), config.open_most_us)
        return round(wait_us * (1 + config.jitter * self._rng.uniform(-1, 1)))
