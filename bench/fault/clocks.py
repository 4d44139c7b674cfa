"""F28: the wall clock of an engine jumps, and its process stands still for half a minute."""

import contextlib
import random
import re
import signal
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import psutil

from auralink.bench.fault.control_rig import MAIN, Engine, engine, token
from auralink.bench.fault.values import Fault, Trial, expect
from auralink.codecs.errors import UnsupportedError

_HOUR_S: Final = 3600.0
# Of a processor, in the second after; at rest it is a hundredth of that.
_STORM_S: Final = 0.8
_LIMIT: Final = 12
_CONFIG: Final = "/api/v1/aic/config"


@dataclass(frozen=True, slots=True)
class Clocked:
    """An engine whose wall clock is off by what a file says."""

    engine: Engine
    file: Path

    def jump(self, seconds: float) -> None:
        partial = self.file.with_suffix(".part")
        partial.write_text(str(seconds))
        partial.replace(self.file)  # the engine reads it at any moment


# A process's own clock can be changed, the machine's is everybody's.
_PROGRAM: Final = """
import pathlib, sys, time
real, file = time.time, pathlib.Path({file!r})
time.time = lambda: real() + float(file.read_text())
"""


@contextlib.contextmanager
def _clocked() -> Iterator[Clocked]:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "offset"
        file.write_text("0")
        program = _PROGRAM.format(file=str(file)) + MAIN
        limit = {"AURALINK_LIMITS__REQUESTS_PER_MINUTE": str(_LIMIT)}
        with engine("--no-grpc", program=program, **limit) as one:
            if not one.until("ready"):
                raise UnsupportedError(f"auralink serve did not start: {one.lines[-500:]}")
            yield Clocked(one, file)


def _jumped(rig: Clocked, seed: int) -> Trial:
    if seed % 10 == 9:
        return _stood_still(rig.engine, 30.0)
    chance = random.Random(seed)
    offset_s = (_HOUR_S, -_HOUR_S, -10.0)[seed % 3]
    rig.jump(0.0)
    # Nobody was counted under that name before.
    subject = f"ann{chance.getrandbits(60):x}"
    old = {"Authorization": f"Bearer {token(subject=subject)}"}
    spent = [rig.engine.ask(_CONFIG, **old).status for _ in range(_LIMIT + 1)]
    other = {"Authorization": f"Bearer {token(subject=subject + 'b')}"}
    rig.jump(offset_s)
    began_s, before_s = time.monotonic(), _processor_s(rig.engine)
    after = rig.engine.ask(_CONFIG, **other)
    fresh = token(subject=subject, now=time.time() + offset_s)
    limited = rig.engine.ask(_CONFIG, Authorization=f"Bearer {fresh}")
    probes = [rig.engine.ask(path).status for path in ("/liveness", "/readiness")]
    recovered_s = time.monotonic() - began_s
    time.sleep(max(0.0, 1.0 - recovered_s))
    storm_s = _processor_s(rig.engine) - before_s
    page = rig.engine.ask("/metrics").body
    rig.jump(0.0)
    # An hour later a token has ended; an hour before it was not made yet.
    wanted = 200 if offset_s == -10.0 else 401
    return Trial(
        wrong=expect(
            limit_not_reached_before=spent != [200] * _LIMIT + [429],
            token_judged_wrongly=after.status != wanted,
            limit_forgotten=limited.status != 429,
            locked_out_for_longer=_retry_after_s(limited.head) > 60,
            probes_failed=probes != [200, 200],
            timers_in_a_storm=storm_s > _STORM_S,
            negative_figures=bool(_negative(page)),
        ),
        recovered_s=recovered_s,
        figures={"processor in the second after, s": storm_s},
    )


def _stood_still(one: Engine, seconds: float) -> Trial:
    one.process.send_signal(signal.SIGSTOP)
    time.sleep(seconds)
    before_s = _processor_s(one)
    one.process.send_signal(signal.SIGCONT)
    began_s = time.monotonic()
    probes = [one.ask(path).status for path in ("/liveness", "/readiness")]
    recovered_s = time.monotonic() - began_s
    time.sleep(max(0.0, 1.0 - recovered_s))
    storm_s = _processor_s(one) - before_s
    return Trial(
        wrong=expect(
            probes_failed=probes != [200, 200],
            timers_in_a_storm=storm_s > _STORM_S,
            negative_figures=bool(_negative(one.ask("/metrics").body)),
        ),
        recovered_s=recovered_s,
        figures={"processor in the second after, s": storm_s},
    )


def _processor_s(one: Engine) -> float:
    times = psutil.Process(one.process.pid).cpu_times()
    return float(times.user + times.system)


def _retry_after_s(head: bytes) -> int:
    found = re.search(rb"retry-after: (\d+)", head.lower())
    return int(found[1]) if found else 0


def _negative(page: bytes) -> list[str]:
    lines = page.decode().splitlines()
    return [line for line in lines if not line.startswith("#") and " -" in line]


FAULTS: Final = (
    Fault(
        number="F28",
        name="the wall clock jumps by an hour or back by ten seconds; 30 s of SIGSTOP",
        expected="alive and ready; tokens end by the clock, limits do not; no storm of timers, "
        "no negative figure",
        prepare=_clocked,
        inject=_jumped,
    ),
)
