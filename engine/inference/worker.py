"""One worker process as the engine sees it: started, asked, and ended when it does not answer.

::

    call(seat, order) --line of the seat--> its thread in the worker process
         <------ answer, or the line breaks ------+
                               the process ends --+--> watching thread: the cause of death

Calls of different seats may overlap.  A process that dies is noticed at once by its lines; one that
is stopped, or held by native code, by its heartbeat (`check`); a single call that hangs, by its
caller's limit.  Whatever the cause, all who wait get an answer.
"""

import contextlib
import ctypes
import sys
import threading
import time
from collections.abc import Callable, Iterator
from multiprocessing import get_context
from multiprocessing.connection import wait as wait_for_any
from multiprocessing.context import SpawnProcess
from multiprocessing.reduction import send_handle
from typing import Final, final

from auralink.codecs.errors import EncoderError
from auralink.engine.inference.heartbeat import SILENCE_S, Heartbeat
from auralink.engine.inference.line import Line
from auralink.engine.inference.messages import DESK, Answer, End, Failed, Open, Order
from auralink.engine.inference.process_facts import (
    cause_of_death,
    computed_s,
    held_and_stopped,
)
from auralink.engine.inference.worker_process import Setup, serve

START_S: Final = 20.0  # a new interpreter needs 0.3 s, far more on a machine that is overloaded
_STARTING: Final = threading.Lock()  # what hides the main module is common to all threads
_BUSY_LOOK_S: Final = 0.3  # between looks at a process that is slow
_BUSY_SHARE: Final = 0.1  # of a core: less is no work, even on a machine with much to do
_GRACE_S: Final = 2.0  # to close encoders in peace; and for the kernel to reap a killed process


class WorkerLost(EncoderError):
    """The process that did the work is gone, or on its way out.

    The frame it worked on is lost; whoever asks again gets another worker.
    """


@final
class Worker:
    """One process, from spawn to reaping.

    Args:
        ended: called once, from any thread, when the process is gone or given up.
    """

    def __init__(self, setup: Setup, ended: Callable[["Worker"], None]) -> None:
        self._ended = ended
        self._lock = threading.Lock()
        self._sending = threading.Lock()
        self._lines: dict[int, Line] = {}  # by seat
        self._asking: set[int] = set()  # seats whose call waits for its answer
        self._cause = ""  # why it must not be asked any more
        self._death = ""  # the same, of calls that were open then
        self._gone = threading.Event()
        self._gave_up_at = 0.0
        self.seats = 0  # streams that sit here; the pool's business
        self.doubts: set[int] = set()  # seats whose call takes suspiciously long
        context = get_context("spawn")  # fork would copy locks held by this process's threads
        self._pipe, theirs = context.Pipe()
        desk, their_desk = context.Pipe()
        self._lines[DESK] = Line(desk)
        self._beats: ctypes.c_uint64 = context.RawValue(ctypes.c_uint64, 0)
        self._process: SpawnProcess = context.Process(
            target=serve,
            args=(setup, theirs, their_desk, self._beats),
            name="auralink-worker",
            daemon=True,
        )
        try:
            with _without_main():
                self._process.start()
        except Exception:
            self._pipe.close()
            desk.close()
            raise
        finally:
            theirs.close()  # so that the pipes break when the worker ends
            their_desk.close()
        self.pid = self._process.pid or 0
        self.started_at = time.monotonic()
        self._heart: Heartbeat | None = None  # from the first beat on
        self._watcher = threading.Thread(target=self._watch, name="worker's end", daemon=True)
        self._watcher.start()

    @property
    def usable(self) -> bool:
        """It may be asked."""
        return not self._cause

    @property
    def cause(self) -> str:
        """Why it may not; empty if it may."""
        return self._cause

    @property
    def started(self) -> bool:
        """It has begun to beat: its interpreter is up."""
        return self._beats.value > 0

    @property
    def busy(self) -> int:
        """Calls that wait for their answer."""
        return len(self._asking)

    def call(
        self, seat: int, order: Order, limit_s: float, doing: str, *, busy_s: float = 0.0
    ) -> Answer:
        """Ask, and wait for the answer.

        Args:
            busy_s: wait so long instead of `limit_s` while the process computes: what waits for
                itself uses no processor, and what is merely slow does.

        Raises:
            AuraLinkError: what the service raised; the worker goes on, the service does not.
            WorkerLost: no answer in time, or the process ended.
        """
        if self._cause:
            raise WorkerLost(self._cause)
        self._asking.add(seat)
        line: Line | None = None
        try:
            if isinstance(order, Open):
                line = self._new_line(order)
            elif (line := self._lines.get(seat)) is None or not line.ask(order):
                raise WorkerLost(self._cause or "this seat was given up")
            answer = self._wait(line, limit_s, busy_s)
        except (EOFError, OSError):
            raise self._loss(doing) from None
        finally:
            self._asking.discard(seat)
            self.doubts.discard(seat)
            if line is not None:
                line.done()
        if answer is None:
            cause = f"worker hung while {doing}: no answer in {limit_s:g} s"
            self.give_up(cause, drain=True)
            raise WorkerLost(cause)
        if isinstance(answer, Failed):
            raise answer.error
        return answer

    def _new_line(self, order: Open) -> Line:
        """Ask for a seat; its answer comes by the line.

        Raises:
            OSError: the process is gone.
            WorkerLost: no more files can be opened.
        """
        try:
            ours, theirs = get_context("spawn").Pipe()
        except OSError as exc:
            raise WorkerLost(f"no line to a worker: {exc}") from exc
        try:
            with self._sending:
                self._pipe.send(order)
                send_handle(self._pipe, theirs.fileno(), self.pid)
        except BaseException:
            ours.close()
            raise
        finally:
            theirs.close()
        line = self._lines[order.seat] = Line(ours, asked=True)
        return line

    def _wait(self, line: Line, limit_s: float, busy_s: float) -> Answer | None:
        """None: no answer in time.

        Raises:
            EOFError, OSError: the line broke.
        """
        began, computed = time.monotonic(), computed_s(self.pid) if busy_s > limit_s else 0.0
        wait_s = limit_s
        while (answer := line.answer(wait_s)) is None:
            left_s = began + busy_s - time.monotonic()
            before, computed = computed, computed_s(self.pid)
            if left_s <= 0 or computed - before < _BUSY_SHARE * wait_s:
                return None
            wait_s = min(_BUSY_LOOK_S, left_s)
        return answer

    def _loss(self, doing: str) -> WorkerLost:
        """Why a line broke."""
        self._gone.wait(_GRACE_S)
        cause = self._death or self._cause or "worker hung up {doing}"
        return WorkerLost(cause.replace("{doing}", f"while {doing}"))

    def hang_up(self, seat: int) -> None:
        """A stream gives its seat up."""
        line = self._lines.pop(seat, None)
        if line is not None:
            line.hang_up()

    def forget(self, seat: int) -> None:
        """A stream is gone without having said so.

        Takes no lock: the garbage collector may call it in the middle of anything.
        """
        line = self._lines.pop(seat, None)
        if line is not None:
            line.drop()

    def check(self, now: float) -> None:
        """Look at the heartbeat; give the process up if there is none."""
        if self._cause:
            return
        if not self.started:
            if now - self.started_at > START_S:
                self.give_up(f"worker did not start in {START_S:g} s")
            return
        if self._heart is None:
            self._heart = Heartbeat(now)
        if not self._heart.is_alive(self._beats.value, now):
            self.give_up(f"worker gave no sign of life for {SILENCE_S:g} s")

    def examine(self, most_bytes: int) -> None:
        """Ask the system about the process: more than a glance costs.

        Args:
            most_bytes: of memory; 0: no bound.
        """
        if self._cause:
            return
        held, stopped = held_and_stopped(self.pid)
        if stopped and not self.started:  # it cannot beat yet, and never will
            self.give_up("worker was stopped while it started")
        elif most_bytes and held > most_bytes:
            cause = f"worker held {held >> 20} MB of memory, at most {most_bytes >> 20} MB"
            self.give_up(cause, drain=True)

    def give_up(self, cause: str, *, drain: bool = False) -> None:
        """Take no more calls, and kill the process.

        Args:
            drain: leave the calls that run a moment; whoever looks after workers kills it then.
        """
        self._close_books(cause)
        if not drain or not self._asking:
            self.kill()

    def drained(self, now: float, limit_s: float) -> bool:
        """Given up, and nobody waits any more, or not for longer than that."""
        return not self._asking or now - self._gave_up_at > limit_s

    def end(self) -> None:
        """Let the worker close what it has; kill it if it does not."""
        self._close_books("worker was closed")
        for seat in list(self._lines):
            self.hang_up(seat)
        with self._sending, contextlib.suppress(OSError, ValueError):
            self._pipe.send(End())
        self._watcher.join(_GRACE_S)
        self.kill()

    def kill(self) -> None:
        """Kill the process, and wait until it is reaped."""
        self._close_books("worker was killed")
        with contextlib.suppress(ValueError):  # reaped already
            self._process.kill()
        if self._watcher is not threading.current_thread():
            self._watcher.join(_GRACE_S)

    def _close_books(self, cause: str) -> None:
        with self._lock:
            first, self._cause = not self._cause, self._cause or cause
            if first:
                self._gave_up_at = time.monotonic()
        if first:
            self._ended(self)

    def _watch(self) -> None:
        """Wait for the end of the process, then say why it ended."""
        wait_for_any([self._process.sentinel])
        cause = self._cause or cause_of_death(self._process, _GRACE_S)
        self._process.join(_GRACE_S)
        self._death = cause
        self._close_books(cause.replace("{doing}", "between frames"))
        self._gone.set()
        self.hang_up(DESK)
        with self._sending:
            self._pipe.close()
        if self._process.exitcode is not None:
            self._process.close()


@contextlib.contextmanager
def _without_main() -> Iterator[None]:
    """Hide the program's main module: a new process would import it, and all that it imports.

    Workers get what they need by its own name, so factories must not live in the main module.
    """
    main = sys.modules["__main__"]
    with _STARTING:
        spec, path = main.__spec__, getattr(main, "__file__", None)
        main.__spec__ = None
        if path is not None:
            del main.__file__
        try:
            yield
        finally:
            main.__spec__ = spec
            if path is not None:
                main.__file__ = path
