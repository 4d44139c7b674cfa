"""What a viewer saw, against what was captured.  Pure.

A picture is new when its number is higher than any before.  A freeze is a time longer than
`FREEZE_US` without a new picture.
"""

import itertools
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

FREEZE_US: Final = 200_000


@dataclass(frozen=True, slots=True)
class Shown:
    """One picture that a viewer got."""

    number: int
    at_us: int
    size: tuple[int, int]
    offset: int  # of the picture in its file; negative: not kept


@dataclass(frozen=True, slots=True, kw_only=True)
class Spread:
    p50: float
    p95: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Smoothness:
    """
    Attributes:
        fps: new pictures per second.
        latency_ms: from capture to the viewer's program.
        freezes: times longer than 200 ms without a new picture.
        longest_ms: time without a new picture, edges of the window included.
        frozen: share of the time that lies in freezes.
    """

    fps: float
    latency_ms: Spread
    freezes: int
    longest_ms: float
    frozen: float


def read_published(path: Path) -> dict[int, int]:
    """Microseconds of capture by number."""
    lines = (line.split() for line in path.read_text().splitlines())
    return {int(number): int(at_us) for number, at_us in lines}


def read_seen(path: Path) -> list[Shown]:
    """New pictures in their order."""
    found: list[Shown] = []
    for line in path.read_text().splitlines():
        number, at_us, width, height, offset = map(int, line.split())
        if not found or number > found[-1].number:
            found.append(Shown(number, at_us, (width, height), offset))
    return found


def within(shown: Sequence[Shown], start_us: int, end_us: int) -> list[Shown]:
    return [one for one in shown if start_us <= one.at_us < end_us]


def smoothness(
    shown: Sequence[Shown], published: dict[int, int], start_us: int, end_us: int
) -> Smoothness:
    """Of a stretch of time; ``shown`` may be longer than it."""
    inside = within(shown, start_us, end_us)
    edges = [start_us, *(one.at_us for one in inside), end_us]
    # What hung at the edges of the stretch had begun before or ended after it.
    gaps = [after - before for before, after in itertools.pairwise(edges)]
    freezes = [gap for gap in gaps if gap > FREEZE_US]
    latencies = [
        (one.at_us - published[one.number]) / 1e3 for one in inside if one.number in published
    ]
    return Smoothness(
        fps=len(inside) * 1e6 / (end_us - start_us),
        latency_ms=spread(latencies),
        freezes=len(freezes),
        longest_ms=max(gaps) / 1e3,
        frozen=sum(freezes) / (end_us - start_us),
    )


def spread(values: Sequence[float]) -> Spread:
    if not values:
        return Spread(p50=float("nan"), p95=float("nan"))
    ordered = sorted(values)
    return Spread(p50=statistics.median(ordered), p95=ordered[round(0.95 * (len(ordered) - 1))])
