"""Rate-quality curves as one picture: a small plot per clip, the same colours in all."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from auralink.bench.bdrate import decibels
from auralink.bench.loss import Result as LossResult
from auralink.bench.loss import means
from auralink.bench.rate import BIN_S, Kept
from auralink.bench.rate import Result as RateResult
from auralink.bench.records import ClipResult, Result

_COLUMNS: Final = 4
_INCHES: Final = (3.4, 2.7)  # of one small plot
# After Okabe and Ito: told apart with any colour vision.  Vermilion is kept for what is tested.
_COLOURS: Final = ("#000000", "#999999", "#E69F00", "#009E73", "#56B4E9", "#0072B2", "#CC79A7")
_TESTED: Final = ("#D55E00", "#8B1A1A")
_DISTINCT: Final = (*_TESTED, *_COLOURS)
_MARKERS: Final = "osv^DPX"
_SSIM_TICKS: Final = (0.5, 0.7, 0.8, 0.85, 0.9, 0.93, 0.95, 0.97, 0.98, 0.99, 0.995, 0.998, 0.999)
_RATE_TICKS: Final = (5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000)


def curves(result: Result, path: Path, *, tested: Sequence[str] = ()) -> None:
    """Write SSIM over bit rate for every clip and subject as PNG; ``tested`` ones stand out."""
    columns = min(_COLUMNS, len(result.clips))
    rows = math.ceil(len(result.clips) / columns)
    figure = Figure(figsize=(_INCHES[0] * columns, _INCHES[1] * rows + 0.6), layout="constrained")
    grid = figure.subplots(rows, columns, squeeze=False)
    axes = [axis for row in grid for axis in row]
    styles = _styles(result.subjects, tested)
    for axis, clip in zip(axes, result.clips, strict=False):
        _small_plot(axis, clip, styles)
    for axis in axes[len(result.clips) :]:
        axis.set_axis_off()
    figure.supxlabel("kbit/s, key frame included", fontsize=9)
    figure.supylabel("SSIM of luma", fontsize=9)
    lines = {line.get_label(): line for axis in axes for line in axis.get_lines()}
    figure.legend(
        list(lines.values()),
        [str(label) for label in lines],
        loc="outside upper center",
        ncols=2 * columns,
        frameon=False,
        fontsize=9,
    )
    figure.savefig(path)  # a bare Figure draws by Agg: no display, no global state


def _styles(subjects: Sequence[str], tested: Sequence[str]) -> dict[str, dict[str, Any]]:
    others = [subject for subject in subjects if subject not in tested]
    styles: dict[str, dict[str, Any]] = {
        subject: {
            "color": _COLOURS[i % len(_COLOURS)],
            "marker": _MARKERS[i % len(_MARKERS)],
            "markersize": 3.5,
            "linewidth": 1.2,
        }
        for i, subject in enumerate(others)
    }
    for i, subject in enumerate(tested):
        colour = _TESTED[i % len(_TESTED)]
        styles[subject] = {"color": colour, "marker": "*", "markersize": 6, "linewidth": 2.0}
    return styles


def _small_plot(axis: Axes, clip: ClipResult, styles: Mapping[str, Mapping[str, Any]]) -> None:
    for curve in clip.curves:
        axis.plot(
            [point.kbps for point in curve.points],
            [decibels(point.ssim) for point in curve.points],
            label=curve.subject,
            **styles[curve.subject],
        )
    size = f"{clip.width}x{clip.height}"
    axis.set_title(clip.clip if size in clip.clip else f"{clip.clip}, {size}", fontsize=8)
    axis.set_xscale("log")
    axis.xaxis.set_major_locator(FixedLocator(_RATE_TICKS))
    axis.xaxis.set_minor_locator(NullLocator())
    axis.xaxis.set_major_formatter(FuncFormatter(lambda rate, _: f"{rate:g}"))
    axis.yaxis.set_major_locator(FixedLocator([decibels(value) for value in _SSIM_TICKS]))
    axis.yaxis.set_major_formatter(FuncFormatter(lambda db, _: f"{1 - 10 ** (-db / 10):.3g}"))
    axis.tick_params(labelsize=7)
    axis.grid(visible=True, linewidth=0.4, alpha=0.6)


def losses(result: LossResult, path: Path) -> None:
    """Write what was seen under loss as PNG: quality, its worst twentieth, frozen time."""
    panels = (
        ("SSIM of luma, mean over clips", lambda seen: seen.ssim),
        ("5th percentile", lambda seen: seen.ssim_p5),
        ("frozen, % of display instants", lambda seen: 100 * seen.freeze_ratio),
    )
    groups = list(means(result))
    patterns = list(dict.fromkeys(pattern for _, pattern, _ in groups))
    subjects = list(dict.fromkeys(subject for subject, _, _ in groups))
    figure = Figure(figsize=(4.2 * len(panels), 3.6), layout="constrained")
    for axis, (title, value) in zip(figure.subplots(1, len(panels)), panels, strict=True):
        for i, subject in enumerate(subjects):
            found = {
                pattern: sum(map(value, group)) / len(group)
                for name, pattern, group in groups
                if name == subject
            }
            axis.plot(
                [patterns.index(pattern) for pattern in found],
                list(found.values()),
                label=subject,
                color=_DISTINCT[i % len(_DISTINCT)],
                marker=_MARKERS[i % len(_MARKERS)],
                markersize=4,
                linewidth=1.2,
            )
        axis.set_title(title, fontsize=9)
        axis.set_xticks(range(len(patterns)), patterns, rotation=30, fontsize=7)
        axis.tick_params(axis="y", labelsize=7)
        axis.grid(visible=True, linewidth=0.4, alpha=0.6)
    handles, labels = figure.axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=8, frameon=False, fontsize=8)
    figure.savefig(path)


def timelines(result: RateResult, path: Path) -> None:
    """Write bit rate over time against the target as PNG: a row per size, a column per target."""
    sizes = list(dict.fromkeys(kept.size for kept in result.kept))
    patterns = list(dict.fromkeys(kept.pattern for kept in result.kept))
    clips = list(dict.fromkeys(kept.clip for kept in result.kept))
    columns = min(_COLUMNS, len(patterns))
    rows = math.ceil(len(patterns) / columns) * len(sizes)
    figure = Figure(figsize=(3.4 * columns, 2.0 * rows + 0.6), layout="constrained")
    grid = figure.subplots(rows, columns, squeeze=False)
    axes = iter([axis for row in grid for axis in row])
    for size in sizes:
        for pattern in patterns:
            axis = next(axes)
            group = [kept for kept in result.kept if (kept.size, kept.pattern) == (size, pattern)]
            _timeline(axis, group, clips)
            axis.set_title(f"{size}, {pattern}", fontsize=8)
        for _ in range(-len(patterns) % columns):
            next(axes).set_axis_off()
    figure.supxlabel("seconds", fontsize=9)
    figure.supylabel("kbit/s", fontsize=9)
    handles, labels = figure.axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=6, frameon=False, fontsize=9)
    figure.savefig(path)


def _timeline(axis: Axes, group: Sequence[Kept], clips: Sequence[str]) -> None:
    for kept in group:
        seconds = [BIN_S * (i + 0.5) for i in range(len(kept.timeline.kbps))]
        if kept is group[0]:
            target = kept.timeline.target_kbps
            axis.plot(seconds, target, color="#000000", linewidth=2.2, alpha=0.35, label="target")
        colour = _DISTINCT[clips.index(kept.clip) % len(_DISTINCT)]
        axis.plot(seconds, kept.timeline.kbps, color=colour, linewidth=1, label=kept.clip)
    axis.set_ylim(bottom=0)
    axis.tick_params(labelsize=7)
    axis.grid(visible=True, linewidth=0.4, alpha=0.6)
