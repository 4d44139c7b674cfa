"""Wait for a native library in a thread of its own, so that a call without end is left behind.

A C function cannot be interrupted, and SVT-AV1 now and then waits for itself for ever.  What the
caller needs then is an error, soon enough to open another encoder.
"""

import weakref
from collections.abc import Callable
from queue import Empty, SimpleQueue
from threading import Event, Thread, current_thread
from typing import Final, TypeAlias, TypeVar, final

_Answer: TypeAlias = SimpleQueue[tuple[object, BaseException | None]]
_Task: TypeAlias = tuple[Callable[[], object], _Answer] | None
_T = TypeVar("_T")


class NoAnswerError(Exception):
    """The call did not return in time; it may be running still, and what it uses is lost."""


@final
class Attendant:
    """One call at a time, in order.  After ``NoAnswerError`` it is of no more use.

    Args:
        rest_s: pause after each answer before the next call is begun.
    """

    def __init__(self, name: str, *, rest_s: float = 0.0) -> None:
        self._tasks: SimpleQueue[_Task] = SimpleQueue()
        # A daemon: a call that hangs must not keep the process from ending.
        self._thread = Thread(target=_attend, args=(self._tasks, rest_s), name=name, daemon=True)
        self._thread.start()
        self.end: Final = weakref.finalize(self, self._tasks.put, None)

    def call(self, function: Callable[[], _T], *, patience_s: float) -> _T:
        """What ``function`` returns or raises.

        Raises:
            NoAnswerError: it took longer than ``patience_s``.
        """
        if current_thread() is self._thread:  # garbage may be collected, and closed, on any thread
            return function()
        answer: _Answer = SimpleQueue()
        self._tasks.put((function, answer))
        try:
            value, error = answer.get(timeout=patience_s)
        except Empty:
            raise NoAnswerError from None
        if error is not None:
            raise error
        return value  # type: ignore[return-value]


def _attend(tasks: SimpleQueue[_Task], rest_s: float) -> None:
    while (task := tasks.get()) is not None:
        function, answer = task
        try:
            answer.put((function(), None))
        except BaseException as error:
            answer.put((None, error))
        del task, function, answer  # or what it used would live until the next call
        if rest_s:
            Event().wait(rest_s)
