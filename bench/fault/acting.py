"""A service that works as long as it is told and then does what it is told: crash, hang, and so on.

It runs in a worker process, so what it does is real.
"""

import ctypes
import os
import signal
import time
from dataclasses import dataclass
from typing import Any, Final, final

from auralink.codecs.frame import Frame
from auralink.codecs.video.protocol import Networks
from auralink.engine.inference.services import Made


@dataclass(frozen=True, slots=True, kw_only=True)
class Act:
    """
    Attributes:
        ms: time that the work takes, most of it without the interpreter's lock.
        then: one of `ENDINGS`; empty: give an answer; "picture": give the frame back.
    """

    ms: float = 2.0
    then: str = ""


@final
class Actor:
    """A `Service`; its value is how many frames it has seen."""

    def __init__(self, networks: Networks) -> None:
        del networks
        self._seen = 0

    @property
    def facts(self) -> int:
        return os.getpid()

    def work(self, frame: Frame | None, order: Any) -> Made:
        assert isinstance(order, Act)
        self._seen += 1
        time.sleep(order.ms / 1000)
        if order.then == "picture":
            return Made(self._seen, frame)
        if order.then:
            ENDINGS[order.then]()
        return Made(self._seen)

    def close(self) -> None: ...


def _segfault() -> None:
    ctypes.string_at(0)


def _abort() -> None:
    os.abort()


def _exit() -> None:
    os._exit(3)


def _killed() -> None:
    """What the kernel does to a process when memory runs out."""
    os.kill(os.getpid(), signal.SIGKILL)


def _raise() -> None:
    raise RuntimeError("the runtime failed")


def _out_of_memory() -> None:
    raise MemoryError("no memory for a tensor")


def _sleep() -> None:
    time.sleep(60)


def _spin() -> None:
    """An endless loop that lets other threads in, as native code does that gives up the lock."""
    until = time.monotonic() + 60
    while time.monotonic() < until:
        time.sleep(0)


def _hold() -> None:
    """Native code that waits with the interpreter's lock: nobody else in the process runs."""
    ctypes.PyDLL(None).sleep(60)


def _stop() -> None:
    os.kill(os.getpid(), signal.SIGSTOP)


CRASHES: Final = {
    "segfault": _segfault,
    "abort": _abort,
    "exit": _exit,
    "out-of-memory kill": _killed,
}
ERRORS: Final = {"exception": _raise, "memory error": _out_of_memory}
STALLS: Final = {"sleep": _sleep, "loop": _spin, "lock held": _hold, "stopped": _stop}
ENDINGS: Final = CRASHES | ERRORS | STALLS
