"""The curve of `bench load` as a picture: latency and fallback over the number of streams."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from matplotlib.figure import Figure

_INCHES: Final = (6.4, 3.6)
# After Okabe and Ito: told apart with any colour vision.
_LINES: Final = (
    ("p50", "#56B4E9"),
    ("p95", "#0072B2"),
    ("p99", "#000000"),
)
_FALLBACK: Final = "#D55E00"


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    streams: int
    p50_ms: float
    p95_ms: float
    p99_ms: float
    fallback: float  # share, 0..1


def curve(
    points: Sequence[Point], path: Path, *, title: str, unit: str, deadline_ms: float
) -> None:
    """Write it as PNG."""
    figure = Figure(figsize=_INCHES, layout="constrained")
    axis = figure.subplots()
    streams = [point.streams for point in points]
    for name, colour in _LINES:
        values = [getattr(point, f"{name}_ms") for point in points]
        axis.plot(streams, values, marker="o", markersize=3, color=colour, label=name)
    axis.axhline(deadline_ms, color="#999999", linestyle="--", linewidth=1, label="deadline")
    axis.set_xlabel(f"{unit} streams")
    axis.set_ylabel("ms from capture to answer")
    axis.set_ylim(bottom=0)
    axis.set_title(title, fontsize=10)
    share = axis.twinx()
    fallback = [100 * point.fallback for point in points]
    share.plot(streams, fallback, marker="x", markersize=4, color=_FALLBACK, label="not coded")
    share.set_ylabel("% not coded", color=_FALLBACK)
    share.set_ylim(bottom=0)
    lines = [*axis.get_lines(), *share.get_lines()]
    axis.legend(lines, [str(line.get_label()) for line in lines], fontsize=8, frameon=False)
    figure.savefig(path, dpi=110)
