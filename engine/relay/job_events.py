"""What happened to jobs, for any number of listeners, none of whom can hold up another."""

import asyncio
import contextlib
import enum
from collections import deque
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from typing import Any, Final, final

from auralink.engine.relay.job_values import JobId, JobState

KEPT: Final = 512  # events that a listener who comes back may still ask for
_WAITING: Final = 256  # per listener; then its oldest are dropped and counted


class EventKind(enum.StrEnum):
    STATE = "state"  # a job has another state
    NOTE = "note"  # something happened in one of its rooms


@dataclass(frozen=True, slots=True, kw_only=True)
class JobEvent:
    """
    Attributes:
        number: counts up by one over all jobs, from 1.
        at: seconds of the Unix clock.
        text: the reason of the state, or the note.
    """

    number: int
    at: float
    job: JobId
    tenant: str
    kind: EventKind
    state: JobState
    text: str

    def plain(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "number": self.number,
            "at": self.at,
            "job": self.job,
            "tenant": self.tenant,
            "kind": self.kind.value,
            "state": self.state.value,
            "text": self.text,
        }


@final
class Subscription:
    """An endless iterator of events.

    Attributes:
        missed: events that this listener was too slow for, or came too late for.
    """

    def __init__(self) -> None:
        self.missed = 0
        self._events: deque[JobEvent] = deque(maxlen=_WAITING)
        self._there = asyncio.Event()

    def put(self, event: JobEvent) -> None:
        self.missed += len(self._events) == _WAITING
        self._events.append(event)
        self._there.set()

    async def next(self) -> JobEvent:
        while not self._events:
            self._there.clear()
            await self._there.wait()
        return self._events.popleft()

    async def __aiter__(self) -> AsyncIterator[JobEvent]:
        while True:
            yield await self.next()


@final
class JobEvents:
    """The last events, and who listens."""

    def __init__(self) -> None:
        self._kept: deque[JobEvent] = deque(maxlen=KEPT)
        self._number = 0
        self._listeners: set[Subscription] = set()

    @property
    def newest(self) -> int:
        """Number of the newest event; 0 before the first."""
        return self._number

    @property
    def listeners(self) -> int:
        return len(self._listeners)

    def add(
        self, *, at: float, job: JobId, tenant: str, kind: EventKind, state: JobState, text: str
    ) -> None:
        self._number += 1
        event = JobEvent(
            number=self._number, at=at, job=job, tenant=tenant, kind=kind, state=state, text=text
        )
        self._kept.append(event)
        for listener in self._listeners:
            listener.put(event)

    @contextlib.contextmanager
    def subscribe(self, after: int | None = None) -> Iterator[Subscription]:
        """
        Args:
            after: number of the last event that is known; None: only what comes from now on.
        """
        listener = Subscription()
        if after is not None:
            old = [event for event in self._kept if event.number > after]
            listener.missed += max(0, self._number - after - len(old))
            for event in old:
                listener.put(event)
        self._listeners.add(listener)
        try:
            yield listener
        finally:
            self._listeners.discard(listener)
