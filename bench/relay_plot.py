"""What viewers saw under loss as one picture: a column per round trip, a row per figure."""

from collections.abc import Callable
from pathlib import Path
from typing import Final

from matplotlib.figure import Figure

from auralink.bench.relay_calls import SUBJECTS, Seen
from auralink.bench.relay_results import Result, ordered

# After Okabe and Ito, as in the other plots; what is tested is vermilion.
_COLOURS: Final = {"relay": "#D55E00", "vp8": "#0072B2"}
_ROWS: Final[tuple[tuple[str, Callable[[Seen], float]], ...]] = (
    ("SSIM of luma, mean", lambda one: one.ssim),
    ("new pictures per second", lambda one: one.smooth.fps),
    ("longest time without one, ms", lambda one: one.smooth.longest_ms),
)


def losses(result: Result, path: Path) -> None:
    """Solid: random loss; dashed: in bursts."""
    seen = ordered(result)
    rtts = list(dict.fromkeys(one.condition.rtt_ms for one in seen))
    if not rtts:
        return
    figure = Figure(figsize=(3.2 * len(rtts) + 0.6, 7.5), layout="constrained")
    grid = figure.subplots(len(_ROWS), len(rtts), squeeze=False, sharex=True, sharey="row")
    for row, (title, value) in zip(grid, _ROWS, strict=True):
        for axis, rtt_ms in zip(row, rtts, strict=True):
            for subject in SUBJECTS:
                for bursty, style in ((False, "-o"), (True, "--s")):
                    points = [
                        (100 * one.condition.loss, value(one))
                        for one in seen
                        if one.subject == subject
                        and one.condition.rtt_ms == rtt_ms
                        and (one.condition.burst is not None) is bursty
                    ]
                    how = "bursts" if bursty else "random"
                    axis.plot(
                        [x for x, _ in points],
                        [y for _, y in points],
                        style,
                        color=_COLOURS[subject],
                        label=f"{subject}, {how}",
                        markersize=4,
                        linewidth=1.2,
                    )
            axis.grid(visible=True, linewidth=0.4, alpha=0.6)
            axis.tick_params(labelsize=7)
        row[0].set_ylabel(title, fontsize=8)
    for axis, rtt_ms in zip(grid[0], rtts, strict=True):
        axis.set_title(f"round trip {rtt_ms:g} ms", fontsize=9)
    for axis in grid[-1]:
        axis.set_xlabel("loss, %", fontsize=8)
    handles, labels = grid[0][0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=4, frameon=False, fontsize=8)
    figure.savefig(path)
