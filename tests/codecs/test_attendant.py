"""Calls that may never return are waited for in a thread of their own, and not for ever."""

import gc
import threading
import time

import pytest

from auralink.codecs.base.attendant import Attendant, NoAnswerError


def test_gives_back_what_a_call_returns_or_raises() -> None:
    attendant = Attendant("test")

    assert attendant.call(lambda: 1 + 1, patience_s=10) == 2
    with pytest.raises(ZeroDivisionError):
        attendant.call(lambda: 1 // 0, patience_s=10)
    assert attendant.call(lambda: 3, patience_s=10) == 3
    attendant.end()


def test_does_not_wait_for_ever() -> None:
    attendant, never = Attendant("test"), threading.Event()

    with pytest.raises(NoAnswerError):
        attendant.call(never.wait, patience_s=0.01)

    never.set()
    attendant.end()


def test_rests_after_an_answer_before_it_begins_the_next_call() -> None:
    attendant = Attendant("test", rest_s=0.05)

    first = attendant.call(time.monotonic, patience_s=10)
    second = attendant.call(time.monotonic, patience_s=10)

    assert second - first >= 0.05
    attendant.end()


def test_may_be_asked_from_its_own_thread() -> None:
    attendant = Attendant("test")

    inner = attendant.call(lambda: attendant.call(lambda: 5, patience_s=1), patience_s=10)

    assert inner == 5
    attendant.end()


def test_its_thread_ends_with_it() -> None:
    attendant = Attendant("a name of its own")
    thread = next(t for t in threading.enumerate() if t.name == "a name of its own")

    del attendant
    gc.collect()
    thread.join(timeout=10)

    assert not thread.is_alive()
