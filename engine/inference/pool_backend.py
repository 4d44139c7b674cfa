"""The worker pool as the engine's `Backend`: streams sit down with their first frame.

Calls wait in threads of their own, never on the event loop; the frame is copied to shared memory
there as well.

A call that takes twice as long as a frame may is not waited for any longer, so that the frames of
others are not refused because of it: its stream moves to another worker and starts anew.  Whether
its old worker hangs or was only slow turns out later, and is the pool's business.
"""

import asyncio
import contextlib
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from types import MappingProxyType
from typing import Final, TypeVar, final

from auralink.codecs.errors import AuraLinkError
from auralink.codecs.frame import Frame
from auralink.engine.inference.backend import BackendError, Ran, RefusedOutput, Request
from auralink.engine.inference.hosts import Seat
from auralink.engine.inference.pool import WorkerPool
from auralink.engine.inference.services import Made, Make, Refused, RestoreService
from auralink.models.runtime import MAX_SIZES

R = TypeVar("R")

_DEADLINE_S: Final = 0.9  # then a call is a hang; with the kill it is over within a second
_START_S: Final = 5.0  # to make a service: models are loaded already
_PATIENCE: Final = 2.0  # times what the frame had from capture to deadline
# Of a stream that is not served, or needs no network just now.
_IDLE_S: Final = 2.0
_THREADS: Final = 64  # most of them for calls that nobody waits for any longer


@dataclass(frozen=True, slots=True)
class Task:
    """What a stream wants of its service: `Request.payload`."""

    frame: Frame | None = field(repr=False)
    order: object


@dataclass(slots=True)
class _Stream:
    seat: Seat
    kind: tuple[str, tuple[int, int]]  # model and size
    used_s: float = field(default_factory=time.monotonic)
    turn: threading.Lock = field(default_factory=threading.Lock)


@final
class PoolBackend:
    """
    The pool's network restores pictures under its own name; the golden vectors are those of it.

    Args:
        pool: not closed by this.
        models: what serves the frames of other models, or of that one in its place.
    """

    def __init__(self, pool: WorkerPool, models: Mapping[str, Make] = MappingProxyType({})) -> None:
        self._pool = pool
        self._models = dict(models)
        self._streams: OrderedDict[str, _Stream] = OrderedDict()  # used last at the end
        self._strays: set[asyncio.Future[None]] = set()
        self._sizes: tuple[tuple[int, int], ...] = ()  # that all workers know of
        self._threads = ThreadPoolExecutor(_THREADS, "backend")

    @property
    def workers(self) -> int:
        return self._pool.workers

    def serves(self, model: str) -> bool:
        return model in self._models or self._is_network(model)

    async def run(self, request: Request[Task]) -> Ran[Made]:
        """See `Backend.run`."""
        stream = self._streams.get(request.stream)
        if stream is None or stream.kind != (request.model, request.size):
            stream = self._seat(request)
        stream.used_s = time.monotonic()
        self._streams.move_to_end(request.stream)
        patience_s = _PATIENCE * (request.deadline_us - request.captured_us) / 1e6
        if stream.seat.is_fresh:
            patience_s = _START_S + _DEADLINE_S  # it has to be made first
        running = asyncio.get_running_loop().run_in_executor(
            self._threads, self._run, stream, request.payload
        )
        running.add_done_callback(_note)
        await asyncio.wait({running}, timeout=patience_s)
        if running.done():
            return running.result()
        stream.seat.doubt()
        self._streams.pop(request.stream, None)
        self._strays.add(asyncio.ensure_future(self._see_off(stream, running)))
        raise BackendError(
            f"{request.model} still runs after {1e3 * patience_s:.0f} ms: the stream moves on"
        )

    async def probe(self, model: str) -> int:
        """See `Backend.probe`."""
        if not self.serves(model):
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
        await asyncio.gather(*(self.forget(stream) for stream in streams), *self._strays)
        self._threads.shutdown(wait=False)

    def _seat(self, request: Request[Task]) -> _Stream:
        before = self._streams.pop(request.stream, None)
        if before is not None:
            self._threads.submit(_leave, before)
        make = self._make(request)
        self._give_up_idle()
        seat = self._pool.seat(
            make, doing=f"running {request.model}", deadline_s=_DEADLINE_S, start_s=_START_S
        )
        stream = self._streams[request.stream] = _Stream(seat, (request.model, request.size))
        return stream

    def _give_up_idle(self) -> None:
        """Streams that have not run for a while: what their services remember is too old by now."""
        until_s = time.monotonic() - _IDLE_S
        while self._streams:
            name, oldest = next(iter(self._streams.items()))
            if oldest.used_s > until_s or oldest.turn.locked():
                return
            del self._streams[name]
            self._threads.submit(_leave, oldest)

    def _make(self, request: Request[Task]) -> Make:
        make = self._models.get(request.model)
        if make is not None:
            return make
        if not self._is_network(request.model):
            raise BackendError(f"no model {request.model!r}")
        if request.size not in self._sizes:
            self._sizes = (*self._sizes, request.size)[-MAX_SIZES:]
            self._threads.submit(self._pool.warm_up, *request.size)
        return partial(RestoreService, size=request.size)

    def _is_network(self, model: str) -> bool:
        entry = self._pool.entry
        return entry is not None and entry.name == model

    async def _see_off(self, stream: _Stream, running: "asyncio.Future[Ran[Made]]") -> None:
        """Close what a stream has left behind, when its call has ended."""
        try:
            await asyncio.wait({running})
            await self._in_thread(_leave, stream)
        finally:
            self._strays = {stray for stray in self._strays if not stray.done()}

    def _run(self, stream: _Stream, task: Task) -> Ran[Made]:
        """
        Raises:
            BackendError: whatever of ours the call raises.
        """
        with _translated(), stream.turn:
            made = stream.seat.work(task.frame, task.order)
            last = stream.seat.last
        if isinstance(made.value, Refused):
            raise RefusedOutput(made.value.reason)
        assert last is not None
        return Ran(result=made, run_us=last.run_us)

    async def _in_thread(self, call: Callable[..., R], *args: object) -> R:
        """
        Raises:
            BackendError: whatever of ours the call raises.
        """
        with _translated():
            return await asyncio.get_running_loop().run_in_executor(self._threads, call, *args)


@contextlib.contextmanager
def _translated() -> Iterator[None]:
    """Errors of ours become those that a backend may raise."""
    try:
        yield
    except BackendError:
        raise
    except AuraLinkError as error:
        raise BackendError(str(error)) from error


def _note(running: "asyncio.Future[Ran[Made]]") -> None:
    """Take note of an exception that nobody may wait for any longer."""
    if not running.cancelled():
        running.exception()


def _leave(stream: _Stream) -> None:
    with stream.turn:
        stream.seat.close()
