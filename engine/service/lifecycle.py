"""From the first phase of a start to the last thing closed, in one order, once.

::

    NEW ──start──► STARTING ──all phases──► READY ──drain──► DRAINING
                    │    ▲                    │                  │
             failed │    │ start again        └───────stop───────┤
                    ▼    │                                       ▼
                   FAILED ──────────────stop────────────────► STOPPED
                    (STARTING ──stop──► STOPPED: what was opened is closed again)
"""

import asyncio
import contextlib
import enum
import logging
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from dataclasses import dataclass
from typing import Any, Generic, TypeVar, final

from auralink.engine.service.errors import ServiceError, StartError
from auralink.engine.service.parts import Part

log = logging.getLogger(__name__)
T = TypeVar("T")


class State(enum.Enum):
    NEW = "new"
    STARTING = "starting"
    READY = "ready"
    DRAINING = "draining"
    STOPPED = "stopped"
    FAILED = "failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Phase(Generic[T]):
    """One part of the start.

    Attributes:
        open: opens the part and closes it at the end.
        required: without it the start fails; else the engine goes on and the part says why.
    """

    part: Part[T]
    open: Callable[[], AbstractAsyncContextManager[T]]
    required: bool = True


@final
class Lifecycle:
    """
    Args:
        limit_s: for one phase.
    """

    def __init__(self, *, limit_s: float) -> None:
        self._phases: list[Phase[Any]] = []
        self._limit_s = limit_s
        self._state = State.NEW
        self._stack = AsyncExitStack()
        self._starting: asyncio.Task[None] | None = None
        self._stopping: asyncio.Task[None] | None = None
        self.error = ""

    @property
    def state(self) -> State:
        return self._state

    def add(self, *phases: Phase[Any]) -> None:
        """Before the start: opened in this order and closed in the opposite one."""
        assert self._state is State.NEW
        self._phases.extend(phases)

    async def start(self) -> None:
        """Open everything.  A second call waits for the first; after a failure it tries again.

        Raises:
            StartError: a required part could not be opened; what was opened before is closed.
            ServiceError: it was stopped, before or meanwhile.
        """
        if self._state in (State.READY, State.DRAINING):
            return
        if self._state is State.STOPPED:
            raise ServiceError("stopped: an engine starts once")
        if self._starting is None:
            self._state = State.STARTING
            self._starting = asyncio.create_task(self._open_all(), name="start")
        try:
            await asyncio.shield(self._starting)
        except asyncio.CancelledError:
            if self._starting.cancelled():
                raise ServiceError("stopped while starting") from None
            raise
        finally:
            if self._starting is not None and self._starting.done():
                self._starting = None

    def drain(self) -> None:
        """Not ready any more, still serving.  Nothing if it is not ready."""
        if self._state is State.READY:
            self._state = State.DRAINING

    async def stop(self) -> None:
        """Close everything.  At any time, any number of times; each call returns when it is done.

        Faults while closing are logged: they keep nothing else from being closed.
        """
        if self._stopping is None:
            self._stopping = asyncio.create_task(self._close_all(), name="stop")
        await asyncio.shield(self._stopping)

    async def _open_all(self) -> None:
        for phase in self._phases:
            try:
                await self._open(phase)
            except Exception as error:
                why = f"{phase.part.name}: {_words(error)}"
                phase.part.gone(f"could not be opened: {_words(error)}")
                if not phase.required:
                    log.warning("part_missing", extra={"part": phase.part.name})
                    continue
                await self._unwind("is not started: another part failed")
                phase.part.gone(f"could not be opened: {_words(error)}")
                self._state, self.error = State.FAILED, why
                raise StartError(why) from error
        self._state, self.error = State.READY, ""

    async def _open(self, phase: Phase[Any]) -> None:
        phase.part.gone("is starting")
        async with asyncio.timeout(self._limit_s):
            value = await self._stack.enter_async_context(phase.open())
        self._stack.callback(phase.part.gone, "is stopped")
        phase.part.ready(value)

    async def _close_all(self) -> None:
        starting = self._starting
        if starting is not None and not starting.done():
            starting.cancel()
            with contextlib.suppress(asyncio.CancelledError, Exception):
                await starting
        self._state = State.STOPPED
        await self._unwind("is stopped")

    async def _unwind(self, why: str) -> None:
        try:
            await self._stack.aclose()
        except Exception:
            log.exception("closing a part failed")
        for phase in self._phases:
            phase.part.gone(why)


def _words(error: BaseException) -> str:
    if isinstance(error, TimeoutError):
        return "took too long"
    return str(error) or type(error).__name__
