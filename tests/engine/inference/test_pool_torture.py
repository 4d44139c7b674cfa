"""Streams that crash, hang, fail and come and go at random: the books must balance at the end."""

import os
import random
import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from auralink.codecs.errors import AuraLinkError
from auralink.codecs.frame import blank
from auralink.engine.inference.pool import PoolSettings, WorkerPool
from auralink.engine.inference.worker import WorkerLost

from .doubles import Odd
from .processes import shared_segments, wait_for

pytestmark = [
    pytest.mark.skipif(os.name != "posix", reason="speaks of signals"),
    pytest.mark.usefixtures("leaves_nothing_behind"),
]

SECONDS = 4.0
STREAMS = 6
# What a stream asks for, and how often.
ORDERS = {0: 60, 0.01: 10, "echo": 20, (64, 48, 9): 20, "fail": 4, "refuse": 4, "crash": 2}


def stream(pool: WorkerPool, chance: random.Random, until: float) -> tuple[int, int]:
    """Work, and close and reopen now and then; returns calls that worked and calls that did not."""
    good = bad = 0
    expected = 0
    seat = pool.seat(Odd, doing="being odd", deadline_s=5)
    while time.monotonic() < until:
        (order,) = chance.choices(list(ORDERS), list(ORDERS.values()))
        fresh = seat.is_fresh
        try:
            made = seat.work(blank(32, 16) if order == "echo" else None, order)
        except WorkerLost:
            bad += 1
            time.sleep(0.02)  # set aside, or no worker: a frame's time, as a stream would
            continue
        except AuraLinkError:
            bad += 1
            continue
        good += 1
        expected = 1 if fresh else expected + 1
        # A worker may have died between the look and the call, which made the service a new one.
        assert made.value in (expected, 1)
        assert isinstance(made.value, int)
        expected = made.value
        if order == "echo":
            assert made.frame is not None
            assert made.frame.size == (32, 16)
        if chance.random() < 0.02:
            seat.close()
            seat = pool.seat(Odd, doing="being odd", deadline_s=5)
    seat.close()
    return good, bad


@pytest.mark.parametrize("seed", [1])
def test_whatever_happens_every_call_returns_and_nothing_is_left(seed: int) -> None:
    chance = random.Random(seed)
    segments, threads = shared_segments(), set(threading.enumerate())
    pool = WorkerPool(PoolSettings(workers=2, spares=1, most_backoff_s=0.1))
    assert pool.wait_started()
    until = time.monotonic() + SECONDS
    with ThreadPoolExecutor(STREAMS) as executor:
        streams = [
            executor.submit(stream, pool, random.Random(chance.random()), until)
            for _ in range(STREAMS)
        ]
        while time.monotonic() < until:
            time.sleep(chance.uniform(0.2, 0.8))
            pids = pool.pids()
            if pids:
                os.kill(chance.choice(pids), chance.choice([signal.SIGKILL, signal.SIGSTOP]))
        counts = [one.result(timeout=30) for one in streams]
    statistics = pool.statistics()
    pool.close()

    assert all(good for good, _ in counts)
    assert statistics.lost > 2
    assert (statistics.seats, statistics.busy) == (0, 0)
    assert shared_segments() <= segments
    wait_for(
        lambda: not {t for t in threading.enumerate() if t.name.startswith("worker")} - threads
    )
