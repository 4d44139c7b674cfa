"""The worker pool as the engine's `Backend`: streams sit down with their first frame.

Calls wait in threads of their own, never on the event loop; the frame is copied to shared memory
there as well.
"""

import asyncio
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Final, TypeVar, final

from auralink.codecs.errors import AuraLinkError
from auralink.codecs.frame import Frame
from auralink.engine.inference.backend import BackendError, Ran, Request
from auralink.engine.inference.hosts import Seat
from auralink.engine.inference.pool import WorkerPool
from auralink.engine.inference.services import Made, Make

R = TypeVar("R")

_DEADLINE_S: Final = 0.9  # then a call is a hang; with the kill it is over within a second


@dataclass(frozen=True, slots=True)
class Task:
    """What a stream wants of its service: `Request.payload`."""

    frame: Frame | None = field(repr=False)
    order: object


@dataclass(slots=True)
class _Stream:
    seat: Seat
    model: str
    turn: threading.Lock = field(default_factory=threading.Lock)


@final
class PoolBackend:
    """
    Args:
        pool: not closed by this.
        models: what serves a model's frames; the golden vectors are those of the pool's model.
    """

    def __init__(self, pool: WorkerPool, models: Mapping[str, Make]) -> None:
        self._pool = pool
        self._models = dict(models)
        self._streams: dict[str, _Stream] = {}
        # Two calls per worker, as the engine gives them, and a probe.
        self._threads = ThreadPoolExecutor(2 * pool.workers + 1, "backend")

    @property
    def workers(self) -> int:
        return self._pool.workers

    def serves(self, model: str) -> bool:
        return model in self._models

    async def run(self, request: Request[Task]) -> Ran[Made]:
        """See `Backend.run`."""
        stream = self._streams.get(request.stream)
        if stream is None or stream.model != request.model:
            stream = self._seat(request)
        return await self._in_thread(self._run, stream, request.payload)

    async def probe(self, model: str) -> int:
        """See `Backend.probe`."""
        if model not in self._models:
            raise BackendError(f"no model {model!r} to probe")
        return await self._in_thread(self._pool.probe)

    async def forget(self, stream: str) -> None:
        """The stream has ended: give its seat up."""
        gone = self._streams.pop(stream, None)
        if gone is not None:
            await self._in_thread(_leave, gone)

    async def close(self) -> None:
        """Give all seats up, when their calls have ended."""
        streams = list(self._streams)
        await asyncio.gather(*(self.forget(stream) for stream in streams))
        self._threads.shutdown(wait=False)

    def _seat(self, request: Request[Task]) -> _Stream:
        before = self._streams.pop(request.stream, None)
        if before is not None:
            self._threads.submit(_leave, before)
        make = self._models.get(request.model)
        if make is None:
            raise BackendError(f"no model {request.model!r}")
        seat = self._pool.seat(make, doing=f"running {request.model}", deadline_s=_DEADLINE_S)
        stream = self._streams[request.stream] = _Stream(seat, request.model)
        return stream

    def _run(self, stream: _Stream, task: Task) -> Ran[Made]:
        with stream.turn:
            made = stream.seat.work(task.frame, task.order)
            last = stream.seat.last
        assert last is not None
        return Ran(result=made, run_us=last.run_us)

    async def _in_thread(self, call: Callable[..., R], *args: object) -> R:
        """
        Raises:
            BackendError: whatever of ours the call raises.
        """
        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, call, *args)
        except BackendError:
            raise
        except AuraLinkError as error:
            raise BackendError(str(error)) from error


def _leave(stream: _Stream) -> None:
    with stream.turn:
        stream.seat.close()
