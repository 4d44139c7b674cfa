"""Keep a native library from turning our threads into real-time ones.

SVT-AV1, opened by root, puts its worker threads *and the thread that opens it* under SCHED_FIFO.
They then starve every ordinary thread of the machine, event loops and audio included.  It does so
once, while opening, so it is enough to put things back right after.
"""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager


def policies() -> dict[int, int]:
    """Scheduling policy of every thread of this process by thread id; empty where unknown."""
    if not sys.platform.startswith("linux"):
        return {}
    found: dict[int, int] = {}
    for name in os.listdir("/proc/self/task"):
        try:
            found[int(name)] = os.sched_getscheduler(int(name))
        except ProcessLookupError:  # the thread ended while we looked
            continue
    return found


@contextmanager
def keep_scheduling() -> Iterator[None]:
    """Undo what the body does to scheduling: old threads as before, new ones SCHED_OTHER.

    A thread that was real-time before on the operator's wish stays so.
    """
    before = policies()
    try:
        yield
    finally:
        for thread, policy in policies().items():
            wanted = before.get(thread, os.SCHED_OTHER)
            if policy != wanted and wanted == os.SCHED_OTHER:
                try:
                    os.sched_setscheduler(thread, wanted, os.sched_param(0))
                except ProcessLookupError:
                    continue
