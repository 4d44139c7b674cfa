"""A seat's own way to its thread at the worker: one question at a time, and its answer.

::

    caller's thread ──Line──► thread of the seat, in the worker process

No thread stands in between at either end: each would have to be woken on the way there and back,
and that takes longer than most of what is asked.

A line breaks when its other end is gone: with the process, however that ends.
"""

import threading
from multiprocessing.connection import Connection
from typing import final

from auralink.engine.inference.messages import Answer, Order


@final
class Line:
    """
    Args:
        pipe: to the seat's thread; belongs to this from now on.
        asked: the first question went another way: its answer comes by this.
    """

    def __init__(self, pipe: Connection, *, asked: bool = False) -> None:
        self._pipe = pipe
        self._lock = threading.Lock()
        self._busy = asked
        self._over = False

    def ask(self, order: Order) -> bool:
        """Send a question, after which `done` must be called; False if it was hung up.

        Raises:
            OSError: the line is broken.
        """
        with self._lock:
            if self._over:
                return False
            self._busy = True
        self._pipe.send(order)
        return True

    def answer(self, wait_s: float) -> Answer | None:
        """What came within that time; None: nothing yet.

        Raises:
            EOFError, OSError: the line is broken.
        """
        if not self._pipe.poll(wait_s):
            return None
        answer: Answer = self._pipe.recv()
        return answer

    def done(self) -> None:
        """The question was answered, or given up."""
        with self._lock:
            self._busy = False
            if self._over:
                self._pipe.close()

    def hang_up(self) -> None:
        """The seat's thread ends, after a question that is open.  Safe to call twice."""
        with self._lock:
            self._over = True
            if not self._busy:  # else whoever asks closes it: its number might mean another pipe
                self._pipe.close()

    def drop(self) -> None:
        """The same without a lock, for the garbage collector: nobody has this line any more."""
        self._pipe.close()
