"""One worker process as the engine sees it: started, asked, and ended when it does not answer.

::

    call(seat, order) --pipe--> worker process          receiver thread <--answers-- pipe
         ^                                                    |
         +------------ answer, or the cause of death ---------+

Calls of different seats may overlap.  A process that dies is noticed at once by its pipe; one that
is stopped, or held by native code, by its heartbeat (`check`); a single call that hangs, by its
caller's limit.  Whatever the cause, all who wait get an answer.
"""

import contextlib
import ctypes
import queue
import signal
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from multiprocessing import get_context
from multiprocessing.context import SpawnProcess
from typing import Final, final

import psutil

from auralink.codecs.errors import EncoderError
from auralink.engine.inference.heartbeat import SILENCE_S, Heartbeat
from auralink.engine.inference.messages import Answer, Close, End, Failed, Order
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
        self._waiting: dict[int, queue.SimpleQueue[Answer | WorkerLost]] = {}
        self._cause = ""  # why it must not be asked any more
        self._gave_up_at = 0.0
        self._forgotten: deque[int] = deque()
        self.seats = 0  # streams that sit here; the pool's business
        self.doubts: set[int] = set()  # seats whose call takes suspiciously long
        context = get_context("spawn")  # fork would copy locks held by this process's threads
        self._pipe, theirs = context.Pipe()
        self._beats: ctypes.c_uint64 = context.RawValue(ctypes.c_uint64, 0)
        self._process: SpawnProcess = context.Process(
            target=serve, args=(setup, theirs, self._beats), name="auralink-worker", daemon=True
        )
        try:
            with _without_main():
                self._process.start()
        except Exception:
            self._pipe.close()
            raise
        finally:
            theirs.close()  # so that the pipe breaks when the worker ends
        self.pid = self._process.pid or 0
        self.started_at = time.monotonic()
        self._heart: Heartbeat | None = None  # from the first beat on
        self._receiver = threading.Thread(target=self._receive, name="worker answers", daemon=True)
        self._receiver.start()

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
        return len(self._waiting)

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
        answers: queue.SimpleQueue[Answer | WorkerLost] = queue.SimpleQueue()
        with self._lock:
            if self._cause:
                raise WorkerLost(self._cause)
            self._waiting[seat] = answers
        try:
            self.tell(order)
            answer = self._wait(answers, limit_s, busy_s)
        except queue.Empty:
            cause = f"worker hung while {doing}: no answer in {limit_s:g} s"
            self.give_up(cause, drain=True, asker=seat)
            raise WorkerLost(cause) from None
        finally:
            with self._lock:
                self._waiting.pop(seat, None)
            self.doubts.discard(seat)
        if isinstance(answer, WorkerLost):
            raise WorkerLost(str(answer).replace("{doing}", f"while {doing}"))
        if isinstance(answer, Failed):
            raise answer.error
        return answer

    def _wait(
        self,
        answers: "queue.SimpleQueue[Answer | WorkerLost]",
        limit_s: float,
        busy_s: float,
    ) -> Answer | WorkerLost:
        """
        Raises:
            queue.Empty: no answer in time.
        """
        began, computed = time.monotonic(), _computed_s(self.pid) if busy_s > limit_s else 0.0
        wait_s = limit_s
        while True:
            try:
                return answers.get(timeout=wait_s)
            except queue.Empty:
                left_s = began + busy_s - time.monotonic()
                before, computed = computed, _computed_s(self.pid)
                if left_s <= 0 or computed - before < _BUSY_SHARE * wait_s:
                    raise
                wait_s = min(_BUSY_LOOK_S, left_s)

    def tell(self, order: Order) -> None:
        """Send without waiting for an answer.  A pipe that breaks is the receiver's to report."""
        with self._sending, contextlib.suppress(OSError, ValueError):
            while self._forgotten:
                self._pipe.send(Close(self._forgotten.popleft()))
            self._pipe.send(order)

    def forget(self, seat: int) -> None:
        """A stream is gone without having said so; the worker hears of it with the next order.

        Takes no lock: the garbage collector may call it in the middle of `tell`.
        """
        self._forgotten.append(seat)

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
        held, stopped = _facts(self.pid)
        if stopped and not self.started:  # it cannot beat yet, and never will
            self.give_up("worker was stopped while it started")
        elif most_bytes and held > most_bytes:
            cause = f"worker held {held >> 20} MB of memory, at most {most_bytes >> 20} MB"
            self.give_up(cause, drain=True)

    def give_up(self, cause: str, *, drain: bool = False, asker: int | None = None) -> None:
        """Take no more calls, and kill the process.

        Args:
            drain: leave the calls that run a moment; whoever looks after workers kills it then.
            asker: whose call hung, and is not waited for.
        """
        self._close_books(cause)
        if not drain or not set(self._waiting) - {asker}:
            self.kill()

    def drained(self, now: float, limit_s: float) -> bool:
        """Given up, and nobody waits any more, or not for longer than that."""
        return not self._waiting or now - self._gave_up_at > limit_s

    def end(self) -> None:
        """Let the worker close what it has; kill it if it does not."""
        self._close_books("worker was closed")
        self.tell(End())
        self._receiver.join(_GRACE_S)
        self.kill()

    def kill(self) -> None:
        """Kill the process, and wait until it is reaped."""
        self._close_books("worker was killed")
        with contextlib.suppress(ValueError):  # reaped already
            self._process.kill()
        if self._receiver is not threading.current_thread():
            self._receiver.join(_GRACE_S)

    def _close_books(self, cause: str) -> None:
        with self._lock:
            first, self._cause = not self._cause, self._cause or cause
            if first:
                self._gave_up_at = time.monotonic()
        if first:
            self._ended(self)

    def _receive(self) -> None:
        """Hand out answers until the pipe breaks, then say why it did."""
        try:
            while True:
                answer: Answer = self._pipe.recv()
                with self._lock:
                    waiting = self._waiting.get(answer.seat)
                if waiting is not None:
                    waiting.put(answer)
        except (EOFError, OSError):
            pass
        cause = self._cause or _cause_of_death(self._process)
        self._process.join(_GRACE_S)
        self._close_books(cause.replace("{doing}", "between frames"))
        with self._lock:
            waiting_at_end = list(self._waiting.values())
        for answers in waiting_at_end:
            answers.put(WorkerLost(cause))
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


def _cause_of_death(process: SpawnProcess) -> str:
    process.join(_GRACE_S)
    code = process.exitcode
    if code is None:
        process.kill()
        process.join(_GRACE_S)
        return "worker closed its pipe {doing}"
    if code < 0:
        return f"worker crashed {{doing}}: signal {-code} ({_signal_name(-code)})"
    return f"worker ended {{doing}} with code {code}"


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return "unknown"


def _computed_s(pid: int) -> float:
    """Processor seconds of a process so far; 0 once it is gone."""
    try:
        times = psutil.Process(pid).cpu_times()
    except psutil.Error:
        return 0.0
    return float(times.user + times.system)


def _facts(pid: int) -> tuple[int, bool]:
    """Memory that a process holds, in bytes, and whether it is stopped."""
    try:
        process = psutil.Process(pid)
        return int(process.memory_info().rss), process.status() == psutil.STATUS_STOPPED
    except psutil.Error:  # it ends just now
        return 0, False
