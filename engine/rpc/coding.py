"""One stream's encoder on the event loop: in order, in time, and never more than it can do.

::

    code(job) ── busy, overloaded? ──► fell back, at once
        │
        ▼  its turn, then a thread          time is up ──► fell back; the work goes on, and its
     encoder ──────────────────────────────► answer        unit goes out with the next answer

A native encoder cannot be stopped in the middle of a frame.  So a frame that is too late for its
own answer is not thrown away: later units build on it.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Final, Protocol, TypeVar, final

from auralink.codecs.errors import AuraLinkError
from auralink.engine.rpc.encoders import StreamEncoder, Unit
from auralink.engine.rpc.requests import Job

log = logging.getLogger(__name__)
T = TypeVar("T")

QUEUE: Final = 2  # frames of one stream: one being coded, one waiting
_MOST_LATE: Final = 8  # units that wait for an answer in time; then all is started anew


class Run(Protocol):
    """Calls a blocking function somewhere else than on the event loop."""

    def __call__(self, work: Callable[[], T], /) -> Awaitable[T]: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """
    Attributes:
        late: units of frames before that were answered too early to have them.
        reason: why this frame fell back; empty if it did not.
    """

    unit: Unit | None = None
    late: bytes = field(default=b"", repr=False)
    reason: str = ""
    waited_ms: float = 0.0


@final
class InFlight:
    """Frames being coded or waiting, of all streams."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._count = 0

    @property
    def count(self) -> int:
        return self._count

    @property
    def full(self) -> bool:
        return self._count >= self._most

    def enter(self) -> None:
        self._count += 1

    def leave(self) -> None:
        self._count -= 1


@final
class Stream:
    """
    Args:
        run: where the encoder blocks.
        told: hears of every unit, late ones too.
    """

    def __init__(
        self,
        encoder: StreamEncoder,
        run: Run,
        in_flight: InFlight,
        told: Callable[[Job, Unit], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._encoder = encoder
        self._run = run
        self._in_flight = in_flight
        self._told = told
        self._clock = clock
        self._turn = asyncio.Lock()
        self._waiting = 0
        self._late: list[bytes] = []
        self._key_wanted = False
        self._work: set[asyncio.Future[Unit]] = set()
        self._closed = False

    @property
    def busy(self) -> bool:
        return self._waiting > 0 or bool(self._work)

    def want_key(self) -> None:
        """The receiver misses units: let the next one be decodable alone."""
        self._key_wanted = True
        self._late.clear()

    async def code(self, job: Job, *, until_s: float) -> Answer:
        """
        Args:
            until_s: on the clock of this stream; no answer comes much later.
        """
        if self._closed:
            return Answer(reason="the stream was closed")
        if self._in_flight.full:
            return Answer(reason="overloaded: too many frames are being coded")
        if self._waiting >= QUEUE:
            return Answer(reason="busy: the frames before are still being coded")
        arrived_s = self._clock()
        free = self._waiting == 0
        self._waiting += 1
        self._in_flight.enter()
        try:
            # A timeout that cannot happen would cost as much as all the rest here.
            async with asyncio.timeout(None if free else max(0.0, until_s - arrived_s)):
                await self._turn.acquire()
        except BaseException as error:
            self._leave()
            if not isinstance(error, TimeoutError):
                raise
            return Answer(reason="late: the frame before took too long")
        if self._closed:
            self._end_turn()
            return Answer(reason="the stream was closed")
        waited_s = self._clock() - arrived_s
        return await self._answer(self._begin(job), until_s, waited_s * 1e3)

    async def close(self) -> None:
        """Waits for a frame that is being coded."""
        self._closed = True
        if self._work:
            await asyncio.wait(self._work)
        await self._run(self._encoder.close)

    def _begin(self, job: Job) -> asyncio.Future[Unit]:
        """Start to code, with the turn, which is given up when it is done."""
        key, self._key_wanted = self._key_wanted, False
        try:
            work = asyncio.ensure_future(self._run(partial(self._encoder.encode, job, key=key)))
        except BaseException:
            self._end_turn()
            raise
        self._work.add(work)
        work.add_done_callback(partial(self._finish, job, key))
        return work

    async def _answer(self, work: asyncio.Future[Unit], until_s: float, waited_ms: float) -> Answer:
        try:
            done, _ = await asyncio.wait({work}, timeout=max(0.0, until_s - self._clock()))
        except asyncio.CancelledError:  # nobody waits any more; the unit is needed all the same
            work.add_done_callback(self._keep)
            raise
        if not done:
            work.add_done_callback(self._keep)
            return Answer(reason="late: coding takes longer", waited_ms=waited_ms)
        try:
            unit = work.result()
        except AuraLinkError as failed:
            return Answer(reason=f"failed: {failed}", waited_ms=waited_ms)
        late, self._late = b"".join(self._late), []
        return Answer(unit=unit, late=late, waited_ms=waited_ms)

    def _finish(self, job: Job, key: bool, work: asyncio.Future[Unit]) -> None:
        self._work.discard(work)
        self._end_turn()
        error = None if work.cancelled() else work.exception()
        if error is not None and not isinstance(error, AuraLinkError):
            log.error("coding a frame failed", exc_info=error)
        if work.cancelled() or error is not None:
            self.want_key()
            return
        unit = work.result()
        if key and not unit.key:
            self._key_wanted = True  # the frame was dropped
        self._told(job, unit)

    def _keep(self, work: asyncio.Future[Unit]) -> None:
        """The unit of a frame that was answered already."""
        if work.cancelled() or work.exception() is not None:
            return
        unit = work.result()
        if unit.key:
            self._late.clear()
        if unit.data:
            self._late.append(unit.data)
        if len(self._late) > _MOST_LATE:
            self.want_key()

    def _end_turn(self) -> None:
        self._turn.release()
        self._leave()

    def _leave(self) -> None:
        self._waiting -= 1
        self._in_flight.leave()
