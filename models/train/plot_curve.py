"""Draws a run's learning curve: ``python -m auralink.models.train.plot_curve runs/restore-s``."""

import argparse
import json
from pathlib import Path

import matplotlib as mpl

mpl.use("Agg")
from matplotlib import pyplot as plt

CURVE = "curve.json"  # as `train_restore` names it; importing that would need torch


def draw(run: Path) -> Path:
    """Gains over pixels seen, one line for each base scale and metric."""
    points = json.loads((run / CURVE).read_text())
    seen = [point["gigapixels"] for point in points]
    figure, axes = plt.subplots(figsize=(7, 4.5))
    for index, gain in enumerate(points[-1]["gains"]):
        for metric, style in (("ssim_db", "-"), ("psnr_db", "--")):
            gains = [point["gains"][index][metric] for point in points]
            axes.plot(
                seen, gains, f"C{index}{style}", label=f"×{gain['scale']} {metric[:4].upper()}"
            )
    axes.set(xlabel="gigapixels seen", ylabel="gain over Lanczos, dB", title=run.name)
    axes.grid(alpha=0.3)
    axes.legend()
    target = run / "curve.png"
    figure.savefig(target, dpi=120, bbox_inches="tight")
    plt.close(figure)
    return target


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", type=Path)
    print(draw(parser.parse_args().run))


if __name__ == "__main__":
    main()
