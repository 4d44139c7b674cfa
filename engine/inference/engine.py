"""The inference engine: frames in, one answer each, in time.  The asyncio shell around `Dispatch`.

::

    submit(request) ──► Dispatch ──Start──► task: Backend.run, guard ──► Dispatch.returned
         ▲                 │ └─────Probe──► task: Backend.probe ───────► Dispatch.probed
         │                 └─────Deliver──► the caller's future
         └── one timer: the next deadline, handover or probe ──────────► Dispatch.tick

Nothing here decides and nothing here computes: a call of `submit` takes some tens of microseconds.
All methods belong to the thread of the event loop.
"""

import asyncio
import logging
import random
import time
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any, Final, Generic, Literal, Self, TypeVar, final

from auralink.engine.inference.backend import Backend, BackendError, Ran, Request
from auralink.engine.inference.breaker import Transition, Verdict
from auralink.engine.inference.breaker_config import BreakerConfig
from auralink.engine.inference.dispatch import (
    SLOW_SHARE,
    Deliver,
    Dispatch,
    DispatchStatistics,
    Probe,
    Start,
)
from auralink.engine.inference.outcome import FrameOutcome
from auralink.engine.inference.schedule import Limits
from auralink.engine.tasks import spawn

log = logging.getLogger(__name__)

P = TypeVar("P")
R = TypeVar("R")

# A golden frame slower than a picture's time is a model that must not come back.
_PROBE_US: Final = round(SLOW_SHARE * 33_000)


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered(Generic[R]):
    """What became of a frame.

    Attributes:
        result: with `FrameOutcome.CODED`, otherwise None.
        waited_us: until a worker got it, or until the answer if none did.
        run_us: that the model took; 0 if it did not run, or was not awaited.
        total_us: from `submit` to here.
    """

    outcome: FrameOutcome
    result: R | None = field(repr=False)
    waited_us: int
    run_us: int
    total_us: int


@dataclass(slots=True)
class _Open(Generic[P, R]):
    request: Request[P]
    future: asyncio.Future[Answered[R]]
    came_us: int
    started_us: int | None = None
    run_us: int = 0


@final
class InferenceEngine(Generic[P, R]):
    """
    Args:
        judge: refuses what a model made; must take less than a millisecond.  What takes longer is
            judged where it was made: see `RefusedOutput`.
        told: hears of every answer, for metrics and logs.
        switched: hears of every transition of a model's breaker.
        seed: of the breakers' jitter.
        clock_us: monotonic; the clock of `Request.deadline_us`.
    """

    def __init__(
        self,
        backend: Backend[P, R],
        *,
        judge: Callable[[Request[P], R], bool] = lambda request, result: True,
        told: Callable[[Request[P], Answered[R]], None] = lambda request, answered: None,
        switched: Callable[[str, Transition], None] = lambda model, transition: None,
        limits: Limits | None = None,
        breaker: BreakerConfig | None = None,
        seed: int = 0,
        clock_us: Callable[[], int] = lambda: time.monotonic_ns() // 1_000,
    ) -> None:
        self._backend = backend
        self._judge = judge
        self._told = told
        self._clock_us = clock_us
        self._dispatch: Dispatch[P, R] = Dispatch(
            backend.workers,
            serves=backend.serves,
            rng=random.Random(seed),
            limits=limits,
            breaker=breaker,
            told=switched,
        )
        self._open: dict[int, _Open[P, R]] = {}
        self._work: set[asyncio.Task[None]] = set()
        self._timer: asyncio.TimerHandle | None = None
        self._timer_us = 0

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.close()

    def submit(self, request: Request[P]) -> asyncio.Future[Answered[R]]:
        """Enter a frame; the answer comes by its deadline, and a refusal at once."""
        future: asyncio.Future[Answered[R]] = asyncio.get_running_loop().create_future()
        now_us = self._clock_us()
        number = self._dispatch.submit(request, now_us)
        self._open[number] = _Open(request, future, now_us)
        self._act(now_us)
        if self._timer is None or not future.done():  # a refusal changes nothing that is due
            self._set_timer(now_us)
        return future

    def force(self, model: str, state: Literal["open", "closed"] | None) -> None:
        """An operator's hand on a model's breaker; None lets go."""
        breaker = self._dispatch.breaker(model)
        act = {"open": breaker.force_open, "closed": breaker.force_closed, None: breaker.release}
        self._enter(act[state])

    def statistics(self) -> DispatchStatistics:
        return self._dispatch.statistics(self._clock_us())

    async def close(self, *, drain_s: float = 1.0) -> None:
        """Take nothing more, answer what waits, and give what runs so long to end."""
        self._dispatch.close()
        self._act(self._clock_us())
        if self._work:
            _, left = await asyncio.wait(self._work, timeout=drain_s)
            for task in left:
                task.cancel()
            await asyncio.gather(*left, return_exceptions=True)
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    async def _run(self, start: Start[P]) -> None:
        number, request = start.number, start.request
        ran: Ran[R] | None = None
        sound = True
        try:
            ran = await self._backend.run(request)
            sound = self._judge(request, ran.result)
        except BackendError as failed:
            log.debug("frame of %s: %s", request.stream, failed)
        except asyncio.CancelledError:
            self._enter(lambda now_us: self._dispatch.abandoned(number, now_us))
            raise
        except Exception:  # a fault of ours must cost one frame, not the engine
            log.exception("backend failed on a frame of %s", request.stream)
        if ran is not None and number in self._open:
            self._open[number].run_us = ran.run_us
        self._enter(lambda now_us: self._dispatch.returned(number, ran, now_us, sound=sound))

    async def _probe(self, probe: Probe) -> None:
        verdict = Verdict.ABANDONED
        try:
            run_us = await self._backend.probe(probe.model)
            verdict = Verdict.SLOW if run_us > _PROBE_US else Verdict.GOOD
        except BackendError as failed:
            log.info("probe of %s: %s", probe.model, failed)
            verdict = Verdict.FAILED
        except Exception:
            log.exception("probe of %s failed", probe.model)
            verdict = Verdict.FAILED
        finally:  # cancelled as well: a permit that stays out would hold the breaker half-open
            self._enter(lambda now_us: self._dispatch.probed(probe, verdict, now_us))

    def _enter(self, what: Callable[[int], None]) -> None:
        now_us = self._clock_us()
        what(now_us)
        self._act(now_us)
        self._set_timer(now_us)

    def _act(self, now_us: int) -> None:
        """Do what the dispatch wants."""
        for action in self._dispatch.take():
            match action:
                case Start():
                    self._open[action.number].started_us = now_us
                    self._go(self._run(action), f"run {action.request.model}")
                case Probe():
                    self._go(self._probe(action), f"probe {action.model}")
                case Deliver():
                    self._deliver(action, now_us)

    def _go(self, work: Coroutine[Any, Any, None], name: str) -> None:
        task = spawn(work, name, lambda error: None)
        self._work.add(task)
        task.add_done_callback(self._work.discard)

    def _deliver(self, deliver: Deliver[R], now_us: int) -> None:
        frame = self._open.pop(deliver.number)
        began_us = now_us if frame.started_us is None else frame.started_us
        answered = Answered(
            outcome=deliver.outcome,
            result=deliver.result,
            waited_us=began_us - frame.came_us,
            run_us=frame.run_us,
            total_us=now_us - frame.came_us,
        )
        if not frame.future.done():  # whoever waited may have been cancelled
            frame.future.set_result(answered)
        self._told(frame.request, answered)

    def _set_timer(self, now_us: int) -> None:
        due_us = self._dispatch.due_us
        if due_us is None or (self._timer is not None and self._timer_us <= due_us):
            return  # a timer that comes early finds nothing to do and sets the next one
        if self._timer is not None:
            self._timer.cancel()
        self._timer_us = due_us
        delay_s = max(0, due_us - now_us) / 1e6
        self._timer = asyncio.get_running_loop().call_later(delay_s, self._tick)

    def _tick(self) -> None:
        self._timer = None
        self._enter(self._dispatch.tick)
