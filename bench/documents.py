"""Put measured tables into the documents, from the committed results and nothing else.

::

    python -m auralink.bench.documents          # fills README.md and the documents
    python -m auralink.bench.documents --check  # exit 1 if a table is not what the results say
"""

import argparse
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

from auralink.bench import faults, learned, relay_results, soak, tables, thin
from auralink.bench.records import load
from auralink.codecs.errors import InputError

DOCUMENTS: Final = (
    Path("README.md"),
    Path("docs/workers.md"),
    Path("docs/link.md"),
    Path("docs/learned.md"),
)
RESULTS: Final = Path("bench/results")
PROFILES: Final = ("hybrid", "hybrid@rate")


def bits(results: Path) -> str:
    """Mean BD-rates and how they were made."""
    parts = ["Bits for the same quality, SSIM-Y / MS-SSIM-Y / PSNR-Y (BD-rate; negative: fewer):"]
    for name in ("rd.json", "rd_rate.json"):
        result = load(results / name)
        subjects = [subject for subject in PROFILES if subject in result.subjects]
        anchors = [subject for subject in result.subjects if subject not in PROFILES]
        cpu = result.machine.get("cpu", "unknown processor")
        parts += [tables.means(result, subjects, anchors), f"`{result.command}` on {cpu}."]
    return "\n\n".join(parts)


def preset(results: Path) -> str:
    """A fifth of LiveKit's 360p preset."""
    path = results / "thin.json"
    return "\n\n".join(
        (
            "640x360 at 20 frames per second, SSIM-Y mean / 5th percentile (bits spent):",
            thin.table(thin.load(path)),
            "`python -m auralink.bench.thin`",
        )
    )


def injected(results: Path) -> str:
    """What became of each fault."""
    result = faults.load(results / "faults.json")
    cpu = result.machine.get("cpu", "unknown processor")
    cores = result.machine.get("cores", "?")
    return f"{faults.table(result)}\n\n`{result.command}` on {cores} cores of {cpu}."


def relay_moments(results: Path) -> str:
    """What the relay adds, and how soon pictures are there."""
    result = relay_results.load(results / "relay.json")
    return f"{relay_results.moments_table(result)}\n\n{_made(result.command, result.machine)}"


def relay_goals(results: Path) -> str:
    """What was aimed at."""
    return relay_results.goals_table(relay_results.load(results / "relay.json"))


def relay_loss(results: Path) -> str:
    """What viewers saw over bad networks."""
    result = relay_results.load(results / "relay.json")
    where = ", ".join(f"{name} {value}" for name, value in result.settings.items())
    return f"{relay_results.loss_table(result)}\n\n{where}. {_made(result.command, result.machine)}"


def soaked(results: Path) -> str:
    """Whether a relay grows."""
    result = soak.load(results / "soak.json")
    return f"{soak.table(result)}\n\n{_made(result.command, result.machine)}"


def _made(command: str, machine: Mapping[str, str]) -> str:
    cores, cpu = machine.get("cores", "?"), machine.get("cpu", "unknown processor")
    return f"`{command}` on {cores} cores of {cpu}."


BLOCKS: Final[Mapping[str, Callable[[Path], str]]] = {
    "bits": bits,
    "preset": preset,
    "faults": injected,
    "learned-bits": learned.bits,
    "learned-speed": learned.speed,
    "learned-drift": learned.drifted,
    "learned-loss": learned.losses,
    "relay-moments": relay_moments,
    "relay-goals": relay_goals,
    "relay-loss": relay_loss,
    "soak": soaked,
}


def filled(text: str, results: Path) -> str:
    """``text`` with each ``<!-- NAME:begin -->`` block written anew.

    Raises:
        InputError: a block has no end.
    """
    for name, write in BLOCKS.items():
        pattern = re.compile(rf"(<!-- {name}:begin[^>]*-->\n).*?(<!-- {name}:end -->)", re.DOTALL)
        if f"<!-- {name}:begin" in text and not pattern.search(text):
            raise InputError(f"block {name} has a begin and no end")
        found = pattern.search(text)
        if found:
            block = f"{found[1]}\n{write(results)}\n\n{found[2]}"
            text = text[: found.start()] + block + text[found.end() :]
    return text


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m auralink.bench.documents", description=__doc__)
    parser.add_argument("--check", action="store_true")
    given = parser.parse_args(sys.argv[1:] if arguments is None else arguments)
    changed = False
    for path in DOCUMENTS:
        before = path.read_text()
        after = filled(before, RESULTS)
        changed = changed or before != after
        if not given.check:
            path.write_text(after)
    return int(given.check and changed)


if __name__ == "__main__":
    sys.exit(main())
