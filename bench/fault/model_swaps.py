"""F12 and F13: models that are exchanged while they serve, for good ones and bad ones."""

import asyncio
import contextlib
import random
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Final

import numpy as np
import psutil

from auralink.bench.fault.mutations import ALL, bundled
from auralink.bench.fault.rig import RESTORE, Bed, Rig, Sent, Stream, rig, until
from auralink.bench.fault.values import Fault, Trial, expect
from auralink.codecs.frame import Frame, blank
from auralink.engine.inference.outcome import FrameOutcome
from auralink.engine.inference.pool_backend import Task
from auralink.engine.inference.services import RestoreOrder
from auralink.models.errors import ModelError
from auralink.models.live import prepare
from auralink.models.manifest import Entry
from auralink.models.store import Store

_SWAPS: Final = 5  # per trial, so that 20 make a hundred
_WARM_TRIALS: Final = 4  # then memory is what it will be
_STREAMS: Final = 2
_LIMIT_S: Final = 5.0
_FREED_S: Final = 5.0
_MOST_GROWTH: Final = 0.05
_ORDER: Final = RestoreOrder(quantizer=190, scale=0.5, reference=True)


@dataclass(frozen=True, slots=True)
class _Swapping:
    rig: Rig
    entries: tuple[Entry, ...]
    bad: Entry  # good, in a folder of its own
    memory: list[int]  # of the workers after each trial, bytes


@contextlib.contextmanager
def _swapping() -> Iterator[_Swapping]:
    store = Store.bundled()
    with tempfile.TemporaryDirectory() as folder, rig() as workers:
        entries = (store.find(RESTORE, "int8"), store.find(RESTORE, "fp32"))
        yield _Swapping(workers, entries, bundled(Path(folder)), [])


def _good_swaps(swapping: _Swapping, seed: int) -> Trial:
    trial: Trial = swapping.rig.run(partial(_swapped, swapping, random.Random(seed)))
    return trial


async def _swapped(swapping: _Swapping, chance: random.Random, bed: Bed) -> Trial:
    async with bed.streams([_orders] * _STREAMS, RESTORE, deadline_s=0.1) as streams:
        await until(lambda: all(len(stream.sent) > 10 for stream in streams), _LIMIT_S)
        began_s = time.monotonic()
        for at in range(_SWAPS):
            entry = swapping.entries[(at + 1) % 2]
            version = f"1.0.{chance.randrange(1000)}"
            await asyncio.to_thread(bed.pool.swap, replace(entry, version=version))
            await asyncio.sleep(chance.uniform(0, 0.1))
        freed_s = await _freed(bed)
        swapped_s = time.monotonic()
        await asyncio.sleep(0.2)
    swapping.memory.append(_held_bytes(bed))
    growth = swapping.memory[-1] / max(swapping.memory[:_WARM_TRIALS]) - 1
    lost = _lost(streams, began_s)
    during, before = (
        _slowest_ms(streams, since, to) for since, to in ((began_s, swapped_s), (0, began_s))
    )
    return Trial(
        wrong=expect(
            **{f"frames_lost_{'_and_'.join(sorted(set(lost)))}": bool(lost)},
            old_sessions_not_freed=freed_s is None,
            memory_grew=growth > _MOST_GROWTH,
        ),
        recovered_s=freed_s,
        figures={
            "frames lost": len(lost),
            "frames refused at once": _refused_frames(streams, began_s),
            "memory of the workers, growth in %": growth * 100,
            "slowest frame during swaps, ms": during,
            "slowest frame before, ms": before,
        },
    )


def _bad_swaps(swapping: _Swapping, seed: int) -> Trial:
    trial: Trial = swapping.rig.run(partial(_refused, swapping, random.Random(seed), seed))
    return trial


async def _refused(swapping: _Swapping, chance: random.Random, seed: int, bed: Bed) -> Trial:
    mutation = ALL[seed % len(ALL)]
    before = bed.pool.entry
    async with bed.streams([_orders] * _STREAMS, RESTORE, deadline_s=0.1) as streams:
        await until(lambda: all(len(stream.sent) > 5 for stream in streams), _LIMIT_S)
        began_s, said = time.monotonic(), ""
        entry = mutation(swapping.bad, chance)
        try:
            await asyncio.to_thread(bed.pool.swap, entry)
        except ModelError as error:
            said = str(error)
        await asyncio.sleep(0.2)
    lost = _lost(streams, began_s)
    return Trial(
        wrong=expect(
            **{f"accepted_{mutation.__name__}": not said},
            another_model_serves=bed.pool.entry != before,
            **{f"frames_lost_{'_and_'.join(sorted(set(lost)))}": bool(lost)},
            error_not_passed_on=said != await asyncio.to_thread(_said, entry),
        ),
        figures={
            "frames lost": len(lost),
            "frames refused at once": _refused_frames(streams, began_s),
        },
    )


def _said(entry: Entry) -> str:
    """What loading says in this process."""
    try:
        prepare(entry)
    except ModelError as error:
        return str(error)
    return ""


def _orders(number: int) -> Task:
    return Task(_frame(number), replace(_ORDER, key=number % 30 == 0))


def _frame(number: int) -> Frame:
    frame = blank(320, 180, number)
    y = frame.y + np.uint8(number % 50 + 60)
    return Frame(y=y, u=frame.u, v=frame.v, pts_us=number)


async def _freed(bed: Bed) -> float | None:
    """Seconds until no worker keeps an old generation; None if that takes too long."""
    started = time.monotonic()
    while any(model.draining for model in await asyncio.to_thread(bed.pool.models)):
        if time.monotonic() - started > _FREED_S:
            return None
        await asyncio.sleep(0.01)
    return time.monotonic() - started


def _lost(streams: Sequence[Stream], since_s: float) -> list[str]:
    """Why frames sent since then were not coded.

    Those that admission refused at once are counted apart: on a machine with other work it does so
    at any time, swap or not.
    """
    return [
        one.answered.outcome.value
        for stream in streams
        for one in stream.sent
        if one.at_s >= since_s and not one.coded and not _is_refused(one)
    ]


def _is_refused(one: Sent) -> bool:
    return one.answered.outcome is FrameOutcome.REFUSED


def _refused_frames(streams: Sequence[Stream], since_s: float) -> int:
    return sum(stream.lost(FrameOutcome.REFUSED, since_s) for stream in streams)


def _held_bytes(bed: Bed) -> int:
    return sum(psutil.Process(pid).memory_info().rss for pid in bed.pool.pids())


def _slowest_ms(streams: Sequence[Stream], since_s: float, to_s: float) -> float:
    return max(
        (
            one.answered.total_us / 1e3
            for stream in streams
            for one in stream.sent
            if since_s <= one.at_s < to_s
        ),
        default=0.0,
    )


FAULTS: Final = (
    Fault(
        number="F12",
        name="swap to a good model while two streams are served",
        expected="no frame lost, old sessions freed within 5 s, memory within 5 % after 100",
        prepare=_swapping,
        inject=_good_swaps,
    ),
    Fault(
        number="F13",
        name="swap to a bad model while two streams are served",
        expected="refused in the words of the check, no frame lost",
        prepare=_swapping,
        inject=_bad_swaps,
        trials=24,
    ),
)
