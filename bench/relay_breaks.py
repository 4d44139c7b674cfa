"""What a relay makes of what breaks: signal connections that are cut, a link that gets narrow."""

import time
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any, Final

from auralink.bench.relay_calls import HALVES, SETTLE_S, Condition
from auralink.bench.relay_half import half
from auralink.engine.rehearsal.seen import Smoothness, Spread, read_published, read_seen, smoothness
from auralink.engine.rehearsal.stage import FAR_ROOM, NEAR_ROOM, RESTORED_TRACK, Stage

NARROW_BPS: Final = 100_000
NOTICE_S: Final = 2.0  # in which the sender shall have noticed that its link got narrow
_CONDITION: Final = Condition(rtt_ms=50)
_CUTS: Final = 3
_LOOK_S: Final = 6.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Breaks:
    """One call: undisturbed, then cuts, then a narrow link.

    Attributes:
        resume_s: of each half and cut, until all its signal connections were resumed.
        calm, cut: what the viewer saw before the first cut, and from there until a second after
            the last one.
        narrow: what it saw from `NOTICE_S` after the link became narrow.
        dropped: share of packets that the full queue of the narrow link dropped in that time.
    """

    resume_s: tuple[float, ...]
    calm: Smoothness
    cut: Smoothness
    narrow: Smoothness
    dropped: float


def breaks(stage: Stage, *, rate_bps: int) -> Breaks:
    """
    Raises:
        UnsupportedError: somebody did not do what was asked.
    """
    stage.link.shape(_CONDITION.shape(rate_bps))
    with ExitStack() as leaving:
        halves = [half(stage, role, side, rate_bps) for role, side in HALVES]
        viewer, seen, _ = stage.viewer("far", FAR_ROOM, RESTORED_TRACK, keep=False)
        publisher, published = stage.publisher(stage.near, NEAR_ROOM)
        for person in (*halves, publisher, viewer):
            leaving.callback(person.leave)
        viewer.fact("first_us")
        time.sleep(SETTLE_S)
        times = [_now_us()]
        time.sleep(SETTLE_S)
        times.append(_now_us())
        resumed = []
        for _ in range(_CUTS):
            resumed += [float(one.ask("cut", "resumed_s")) for one in halves]
            time.sleep(1.0)
        times.append(_now_us())
        stage.link.shape(_CONDITION.shape(NARROW_BPS))
        time.sleep(NOTICE_S)
        times.append(_now_us())
        before = stage.link.carried.there
        time.sleep(_LOOK_S)
        times.append(_now_us())
        after = stage.link.carried.there
    captured, shown = read_published(published), read_seen(seen)
    calm, cut, narrow = (
        smoothness(shown, captured, times[one], times[one + 1]) for one in (0, 1, 3)
    )
    return Breaks(
        resume_s=tuple(resumed),
        calm=calm,
        cut=cut,
        narrow=narrow,
        dropped=(after.dropped - before.dropped) / max(1, after.sent - before.sent),
    )


def read(tree: dict[str, Any]) -> Breaks:
    """From what `dataclasses.asdict` made of it."""
    seen = {
        name: Smoothness(**tree[name] | {"latency_ms": Spread(**tree[name]["latency_ms"])})
        for name in ("calm", "cut", "narrow")
    }
    return Breaks(**tree | seen | {"resume_s": tuple(tree["resume_s"])})


def _now_us() -> int:
    return time.monotonic_ns() // 1000
