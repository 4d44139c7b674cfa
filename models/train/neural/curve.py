"""Draws a run's learning curve: ``python -m auralink.models.train.neural.curve RUN``."""

import argparse
import json
from pathlib import Path

CURVE = "curve.json"


def draw(run: Path) -> Path:
    """Traded cost, rate and quality of unseen scenes over core time, a line per quality."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    records = json.loads((run / CURVE).read_text())
    hours = [record["seconds"] / 3600 for record in records]
    figure, axes = plt.subplots(1, 3, figsize=(13, 4))
    for at, first in enumerate(records[0]["points"]):
        points = [record["points"][at] for record in records]
        label = f"quality {first['quality']:g}"
        start = points[0]["cost"]
        axes[0].plot(hours, [point["cost"] / start for point in points], label=label)
        axes[1].plot(hours, [point["psnr"] for point in points], label=label)
        axes[2].semilogy(hours, [point["bits_per_pixel"] for point in points], label=label)
    titles = ("cost of predicted frames, share of the first", "luma PSNR, dB", "bits per pixel")
    for axis, title in zip(axes, titles, strict=True):
        axis.set(xlabel="core-hours", title=title)
        axis.grid(alpha=0.3)
    axes[0].legend()
    target = run / "curve.png"
    figure.savefig(target, dpi=110, bbox_inches="tight")
    plt.close(figure)
    return target


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", type=Path)
    print(draw(parser.parse_args().run))


if __name__ == "__main__":
    main()
