"""Rate-quality curves as one picture: a small plot per clip, the same colours in all."""

import math
from pathlib import Path
from typing import Final

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from auralink.bench.bdrate import decibels
from auralink.bench.results import ClipResult, Result

_COLUMNS: Final = 4
_INCHES: Final = (3.4, 2.7)  # of one small plot
# Okabe and Ito's colours: told apart with any colour vision.
_COLOURS: Final = (
    "#000000",
    "#E69F00",
    "#56B4E9",
    "#009E73",
    "#CC79A7",
    "#0072B2",
    "#F0E442",
    "#D55E00",
)
_MARKERS: Final = "osv^DPX*"
_SSIM_TICKS: Final = (0.5, 0.7, 0.8, 0.85, 0.9, 0.93, 0.95, 0.97, 0.98, 0.99, 0.995, 0.998)
_RATE_TICKS: Final = (5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000)


def curves(result: Result, path: Path) -> None:
    """Write SSIM over bit rate for every clip and subject as PNG."""
    columns = min(_COLUMNS, len(result.clips))
    rows = math.ceil(len(result.clips) / columns)
    figure = Figure(figsize=(_INCHES[0] * columns, _INCHES[1] * rows + 0.6), layout="constrained")
    grid = figure.subplots(rows, columns, squeeze=False)
    axes = [axis for row in grid for axis in row]
    for axis, clip in zip(axes, result.clips, strict=False):
        _small_plot(axis, clip, result.subjects)
    for axis in axes[len(result.clips) :]:
        axis.set_axis_off()
    figure.supxlabel("kbit/s, key frame included", fontsize=9)
    figure.supylabel("SSIM of luma", fontsize=9)
    lines = {line.get_label(): line for axis in axes for line in axis.get_lines()}
    figure.legend(
        list(lines.values()),
        [str(label) for label in lines],
        loc="outside lower center",
        ncols=max(1, min(8, len(lines))),
        frameon=False,
        fontsize=9,
    )
    figure.savefig(path)  # a bare Figure draws by Agg: no display, no global state


def _small_plot(axis: Axes, clip: ClipResult, subjects: tuple[str, ...]) -> None:
    for curve in clip.curves:
        style = subjects.index(curve.subject)
        axis.plot(
            [point.kbps for point in curve.points],
            [decibels(point.ssim) for point in curve.points],
            label=curve.subject,
            color=_COLOURS[style % len(_COLOURS)],
            marker=_MARKERS[style % len(_MARKERS)],
            markersize=3.5,
            linewidth=1.3,
        )
    axis.set_title(f"{clip.clip}, {clip.width}x{clip.height}", fontsize=8)
    axis.set_xscale("log")
    axis.xaxis.set_major_locator(FixedLocator(_RATE_TICKS))
    axis.xaxis.set_minor_locator(NullLocator())
    axis.xaxis.set_major_formatter(FuncFormatter(lambda rate, _: f"{rate:g}"))
    axis.yaxis.set_major_locator(FixedLocator([decibels(value) for value in _SSIM_TICKS]))
    axis.yaxis.set_major_formatter(FuncFormatter(lambda db, _: f"{1 - 10 ** (-db / 10):.3g}"))
    axis.tick_params(labelsize=7)
    axis.grid(visible=True, linewidth=0.4, alpha=0.6)
