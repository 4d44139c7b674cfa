"""F22 and F23: streams that do not keep their pace."""

import asyncio
import random
import time
from functools import partial
from typing import Final

import psutil

from auralink.bench.fault.acting import Act
from auralink.bench.fault.rig import ACTOR, DEADLINE_S, Bed, Rig, request, rig, until
from auralink.bench.fault.values import Fault, Trial, expect
from auralink.codecs.frame import blank
from auralink.engine.inference.outcome import FrameOutcome
from auralink.engine.inference.pool_backend import Task

_BURST: Final = 100
_STALLED: Final = 60  # pictures that nobody takes
_SIZE: Final = (320, 180)
_PICTURE_BYTES: Final = _SIZE[0] * _SIZE[1] * 3 // 2
_LIMIT_S: Final = 5.0


def _burst(rig: Rig, seed: int) -> Trial:
    trial: Trial = rig.run(partial(_bursting, random.Random(seed)))
    return trial


async def _bursting(chance: random.Random, bed: Bed) -> Trial:
    """A hundred frames at once and then nothing, next to a stream that keeps its pace."""
    act = Act(ms=chance.uniform(1, 4))
    async with bed.streams([lambda number: Task(None, act)]) as (steady,):
        await until(lambda: len(steady.sent) > 10, _LIMIT_S)
        began_s = time.monotonic()
        frames = [request("burst", Task(None, act), ACTOR, DEADLINE_S) for _ in range(_BURST)]
        answered = await asyncio.gather(*(bed.engine.submit(frame) for frame in frames))
        took_s = time.monotonic() - began_s
        await asyncio.sleep(0.2)
    peak = bed.engine.statistics().schedule.waiting_peak
    outcomes = [one.outcome for one in answered]
    coded = outcomes.count(FrameOutcome.CODED)
    dropped = outcomes.count(FrameOutcome.STALE) + outcomes.count(FrameOutcome.REFUSED)
    late = outcomes.count(FrameOutcome.LATE)
    return Trial(
        wrong=expect(
            some_frame_has_no_answer=len(outcomes) != _BURST,
            answers_took_longer_than_the_deadline=took_s > DEADLINE_S + 0.02,
            more_waited_than_may=peak > 4,
            nothing_was_run=not coded and not late,
            others_outcomes=coded + dropped + late != _BURST,
            the_other_stream_failed=bool(steady.lost(FrameOutcome.INVALID, began_s)),
        ),
        recovered_s=took_s,
        figures={"coded": coded, "dropped or refused": dropped, "waiting at most": peak},
    )


def _slow(rig: Rig, seed: int) -> Trial:
    trial: Trial = rig.run(partial(_not_consumed, random.Random(seed)))
    return trial


async def _not_consumed(chance: random.Random, bed: Bed) -> Trial:
    """Pictures come back and whoever asked for them keeps them all."""
    rng_luma = chance.randint(20, 200)
    kept = []
    frame = blank(*_SIZE, luma=rng_luma)
    await bed.engine.submit(request("slow", Task(frame, Act()), ACTOR, 1.0))
    before = psutil.Process().memory_info()
    for number in range(_STALLED):
        task = Task(frame.at(number), Act(ms=0.5, then="picture"))
        answered = await bed.engine.submit(request("slow", task, ACTOR, 1.0))
        if answered.result is not None:
            kept.append(answered.result.frame)
    after = psutil.Process().memory_info()
    shared = after.shared - before.shared
    intact = all(one is not None and int(one.y[0, 0]) == rng_luma for one in kept)
    return Trial(
        wrong=expect(
            pictures_missing=len(kept) < _STALLED * 0.9,
            a_picture_changed_while_it_was_kept=not intact,
            shared_memory_grew_with_every_picture=shared > 12 * _PICTURE_BYTES,
        ),
        figures={"shared memory, pictures": shared / _PICTURE_BYTES},
    )


FAULTS: Final = (
    Fault(
        number="F22",
        name="a consumer keeps every picture that it gets",
        expected="pictures stay whole, shared memory is bounded by a few of them",
        prepare=rig,
        inject=_slow,
    ),
    Fault(
        number="F23",
        name="a stream sends 100 frames at once",
        expected="one waits, the others are dropped or refused at once, each has its answer",
        prepare=rig,
        inject=_burst,
    ),
)
