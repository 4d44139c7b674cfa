"""F15 and F18: inference that stalls, and workers that die."""

import asyncio
import math
import random
import time
from collections.abc import Callable, Collection, Sequence
from functools import partial
from typing import Final, final

from auralink.bench.fault.acting import CRASHES, ERRORS, STALLS, Act
from auralink.bench.fault.rig import Bed, Rig, Stream, rig, until
from auralink.bench.fault.values import Fault, Trial, expect
from auralink.engine.inference.breaker_config import BreakerConfig
from auralink.engine.inference.outcome import FrameOutcome
from auralink.engine.inference.pool_backend import Task

_STREAMS: Final = 3
_SETTLED: Final = 8  # frames of each stream before the fault
_AFTER_S: Final = 0.5
_LIMIT_S: Final = 5.0
_TRIES: Final = 10
_PATIENCE_S: Final = 1.5
# A few failed frames must not open the breaker where workers are what is tested.
_LENIENT: Final = BreakerConfig(least_calls=20, window_calls=20, failed_share=0.9)
_STRICT: Final = BreakerConfig(least_calls=5, window_calls=10, open_us=500_000)


@final
class _Faulty:
    """Orders of a stream that sends one bad frame when it is told to."""

    def __init__(self, act: Act) -> None:
        self._act = act
        self._armed = False
        self.at_s = 0.0  # when the last bad frame was sent

    def arm(self) -> None:
        self._armed = True

    def __call__(self, number: int) -> Task:
        del number
        if not self._armed:
            return Task(None, Act())
        self._armed = False
        self.at_s = time.monotonic()
        return Task(None, self._act)


def _sound(number: int) -> Task:
    del number
    return Task(None, Act())


def _hit(kinds: Collection[str], rig: Rig, seed: int) -> Trial:
    chance = random.Random(seed)
    act = Act(ms=chance.uniform(0, 5), then=chance.choice(sorted(kinds)))
    trial: Trial = rig.run(partial(_one_bad_frame, act, chance.random()), breaker=_LENIENT)
    return trial


async def _one_bad_frame(act: Act, pause: float, bed: Bed) -> Trial:
    faulty = _Faulty(act)
    kills = act.then not in ERRORS
    async with bed.streams([faulty, *[_sound] * (_STREAMS - 1)]) as streams:
        await until(lambda: all(len(stream.sent) >= _SETTLED for stream in streams), _LIMIT_S)
        await asyncio.sleep(pause / 30)
        before = _marks(bed, streams[0])
        struck_s = await _strike(
            faulty, lambda: _marks(bed, streams[0])[not kills] > before[not kills]
        )
        recovered = await until(
            lambda: all(_coded_since(stream, faulty.at_s) for stream in streams), _LIMIT_S
        )
        await asyncio.sleep(_AFTER_S)
    replaced = bed.pool.statistics().lost - before[0]
    failed = max(stream.lost(FrameOutcome.INVALID, faulty.at_s) for stream in streams)
    return Trial(
        wrong=expect(
            not_noticed_within_a_second=struck_s is None or struck_s > 1.0,
            no_recovery=recovered is None,
            another_number_of_workers_replaced=replaced != int(kills),
            several_frames_of_a_stream_failed=failed > 1,
        ),
        recovered_s=max(_outage_s(stream, faulty.at_s) for stream in streams),
        figures={
            "noticed after, ms": 1e3 * (struck_s or 0.0),
            "answers after their deadline, ms": max(map(_lateness_ms, streams)),
            "fell back, frames of the faulty stream": _fell_back(streams[:1], faulty.at_s),
            "fell back, frames of another stream": _fell_back(streams[1:], faulty.at_s),
        },
    )


async def _strike(faulty: _Faulty, struck: Callable[[], bool]) -> float | None:
    """Send the bad frame, again if admission refused it; seconds until it was noticed."""
    for _ in range(_TRIES):
        faulty.arm()
        if await until(struck, _PATIENCE_S) is not None:
            return time.monotonic() - faulty.at_s
    return None


def _marks(bed: Bed, stream: Stream) -> tuple[int, int]:
    """Workers lost so far, and failed frames of a stream."""
    return bed.pool.statistics().lost, stream.lost(FrameOutcome.INVALID, 0)


def _loop(rig: Rig, seed: int) -> Trial:
    chance = random.Random(seed)
    act = Act(then=chance.choice(sorted(CRASHES)))
    trial: Trial = rig.run(partial(_crash_loop, act), breaker=_STRICT)
    return trial


async def _crash_loop(act: Act, bed: Bed) -> Trial:
    """Every frame of one stream kills a worker, until it is mended."""
    mended = False

    def poison(number: int) -> Task:
        del number
        return Task(None, Act() if mended else act)

    async with bed.streams([poison, _sound]) as streams:
        opened_s = await until(lambda: bool(streams[1].lost(FrameOutcome.BREAKER, 0)), 2 * _LIMIT_S)
        mended, mended_s = True, time.monotonic()
        recovered_s = await until(
            lambda: all(_coded_since(stream, mended_s) for stream in streams), 2 * _LIMIT_S
        )
    return Trial(
        wrong=expect(breaker_did_not_open=opened_s is None, no_recovery=recovered_s is None),
        recovered_s=recovered_s,
        figures={
            "breaker open after, s": opened_s or 0.0,
            "answers after their deadline, ms": max(map(_lateness_ms, streams)),
        },
    )


def _outage_s(stream: Stream, since_s: float) -> float:
    """Until the first frame that was coded again."""
    coded = [one.at_s for one in stream.sent if one.coded and one.at_s >= since_s]
    return min(coded, default=math.inf) - since_s


def _coded_since(stream: Stream, since_s: float) -> bool:
    return any(one.coded for one in stream.sent if one.at_s >= since_s)


def _fell_back(streams: Sequence[Stream], since_s: float) -> float:
    """Of the stream with most of them."""
    return max(
        sum(not one.coded for one in stream.sent if one.at_s >= since_s) for stream in streams
    )


def _lateness_ms(stream: Stream) -> float:
    return max(max(0.0, one.late_ms) for one in stream.sent)


_WHOLE: Final = ("lock held", "stopped")

FAULTS: Final = (
    Fault(
        number="F15",
        name="a call hangs in native code",
        expected="worker replaced within a second, at most one frame of each stream fails",
        prepare=rig,
        inject=partial(_hit, [kind for kind in STALLS if kind not in _WHOLE]),
    ),
    Fault(
        number="F15",
        name="a whole worker stands still (SIGSTOP, or native code that keeps the lock)",
        expected="worker replaced within a second, at most one frame of each stream fails",
        prepare=rig,
        inject=partial(_hit, _WHOLE),
    ),
    Fault(
        number="F18",
        name="a worker dies: SIGSEGV, SIGABRT, SIGKILL as for memory, exit",
        expected="replaced, at most one frame of each stream fails",
        prepare=rig,
        inject=partial(_hit, list(CRASHES)),
    ),
    Fault(
        number="F18",
        name="inference raises, or finds no memory",
        expected="one frame fails, the worker stays",
        prepare=rig,
        inject=partial(_hit, list(ERRORS)),
    ),
    Fault(
        number="F18",
        name="crash loop: every frame of a stream kills its worker",
        expected="the breaker opens, the engine lives; golden vectors close it again",
        prepare=rig,
        inject=_loop,
    ),
)
