"""F16: a model that becomes slower and slower."""

import asyncio
import random
import time
from functools import partial
from typing import Final

from auralink.bench.fault.acting import Act
from auralink.bench.fault.rig import ACTOR, DEADLINE_S, Bed, Rig, request, rig, until
from auralink.bench.fault.values import Fault, Trial, expect
from auralink.engine.inference.breaker_config import BreakerConfig
from auralink.engine.inference.outcome import FrameOutcome
from auralink.engine.inference.pool_backend import Task

_LIMIT_S: Final = 8.0
_CROWD: Final = 1_000
_PAUSE_S: Final = 0.05
_MS: Final = 3.0
_STEPS: Final = (2.0, 3.0, 4.0, 6.0, 8.0, 10.0)  # times as slow
_FRAMES_PER_STEP: Final = 4
_BREAKER: Final = BreakerConfig(least_calls=5, window_calls=10, open_us=400_000)


def _inject(rig: Rig, seed: int) -> Trial:
    trial: Trial = rig.run(partial(_drifting, random.Random(seed)), breaker=_BREAKER)
    return trial


async def _drifting(chance: random.Random, bed: Bed) -> Trial:
    base_ms = _MS * chance.uniform(0.9, 1.1)
    began: list[int] = []  # number of the first slow frame
    mended = False

    def orders(number: int) -> Task:
        if mended or not began:
            return Task(None, Act(ms=base_ms))
        step = min((number - began[0]) // _FRAMES_PER_STEP, len(_STEPS) - 1)
        return Task(None, Act(ms=base_ms * _STEPS[step]))

    async with bed.streams([orders]) as (stream,):
        await until(lambda: len(stream.sent) >= 10, _LIMIT_S)
        began.append(stream.asked)
        opened = await until(lambda: bool(stream.lost(FrameOutcome.BREAKER, 0)), _LIMIT_S)
        mended, mended_s, probed = True, time.monotonic(), bed.backend.probes
        # A crowd at the closed door until it opens again: the probes must be no more for it.
        answered_ms, recovered_s = 0.0, None
        while recovered_s is None and time.monotonic() - mended_s < _LIMIT_S:
            answered_ms = max(answered_ms, await _crowd(bed))
            await asyncio.sleep(_PAUSE_S)
            if any(one.coded and one.at_s > mended_s for one in stream.sent):
                recovered_s = time.monotonic() - mended_s
        probes = bed.backend.probes - probed
    return Trial(
        wrong=expect(
            breaker_did_not_open=opened is None,
            no_recovery=recovered_s is None,
            another_number_of_probes=probes != _BREAKER.probes,
        ),
        recovered_s=recovered_s,
        figures={
            "breaker open after, s": opened or 0.0,
            "probes": probes,
            f"{_CROWD} frames refused within, ms": answered_ms,
        },
    )


async def _crowd(bed: Bed) -> float:
    """Submit many frames of many streams at once; milliseconds until all are answered."""
    started = time.monotonic()
    futures = [
        bed.engine.submit(request(f"c{at}", Task(None, Act()), ACTOR, DEADLINE_S))
        for at in range(_CROWD)
    ]
    await asyncio.gather(*futures)
    return (time.monotonic() - started) * 1e3


FAULTS: Final = (
    Fault(
        number="F16",
        name="runs take 2 to 10 times as long, little by little",
        expected="the breaker opens by slow calls; exactly its probes run, whatever the crowd",
        prepare=rig,
        inject=_inject,
    ),
)
