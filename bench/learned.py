"""Tables of the learned codec's document, from the committed results."""

import json
from pathlib import Path

from auralink.bench import drift, tables
from auralink.bench.records import load

PROFILE = "neural-s"


def bits(results: Path) -> str:
    """Mean BD-rates against the anchors, and each clip's."""
    result = load(results / "rd_neural.json")
    anchors = [subject for subject in result.subjects if subject != PROFILE]
    return f"{tables.means(result, [PROFILE], anchors)}\n\n`{result.command}`"


def speed(results: Path) -> str:
    """Milliseconds of processor time, and times VP8."""
    result = json.loads((results / "speed_neural.json").read_text("utf-8"))
    rows = [
        [
            timing["subject"],
            f"{timing['width']}x{timing['height']}",
            f"{timing['stages_ms']['encode']:.1f}",
            f"{timing['stages_ms']['decode']:.1f}",
            f"{timing['ratio_to_vp8']:.0f}",
        ]
        for timing in result["timings"]
    ]
    heads = ["codec", "size", "encode, ms", "decode, ms", "times VP8"]
    cpu = result["machine"].get("cpu", "unknown processor")
    return f"{tables.markdown(heads, rows)}\n\n`{result['command']}` on one core of {cpu}."


def losses(results: Path) -> str:
    """What viewers see when packets are lost, at the same bits."""
    result = json.loads((results / "loss_neural.json").read_text("utf-8"))
    rows = [
        [
            seen["pattern"],
            seen["subject"],
            f"{seen['ssim']:.3f}",
            f"{seen['ssim_p5']:.3f}",
            f"{seen['longest_freeze_ms']:.0f}",
            f"{seen['keys']} / {seen['repairs']} / {seen['resent']}",
            f"{seen['kbps']:.0f}",
        ]
        for seen in sorted(result["seen"], key=lambda seen: float(seen["loss"] > 0))
    ]
    heads = ["loss", "profile", "SSIM", "p5", "longest hold, ms"]
    heads += ["keys / repairs / resent", "kbit/s"]
    return f"{tables.markdown(heads, rows)}\n\n`{result['command']}`"


def drifted(results: Path) -> str:
    """How far a decoder in 8 bits parts from an encoder in floats."""
    result = drift.load(results / "drift.json")
    return f"{drift.table(result)}\n\n`{result.command}`"
