"""``auralink info``: what an ``.aic`` file consists of."""

from dataclasses import asdict, fields
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from auralink.engine.cli.terminal import (
    Facts,
    Json,
    kilobits,
    out,
    print_error,
    print_facts,
    print_json,
)
from auralink.engine.media.facts import StreamFacts, examine


def info(
    source: Annotated[Path, typer.Argument(metavar="FILE.aic")],
    json: Json = False,
) -> int:
    """Show frames, kinds, sizes and bytes by section of an .aic file.

    Exits 2 if it is cut off, after what there is to say about the part before.
    """
    facts, broken = examine(source)
    if json:
        print_json(_as_json(facts) | {"broken": str(broken) if broken else None})
    else:
        print_facts(_as_facts(facts))
        out().print(_sections(facts))
    if broken is None:
        return 0
    print_error(str(broken), ("the figures are those of the part before",))
    return 2


def _as_facts(facts: StreamFacts) -> Facts:
    kinds = ", ".join(
        f"{count} {kind} ({facts.bytes_by_kind[kind]:,} B)" for kind, count in facts.kinds.items()
    )
    rate, fps = facts.bitrate_bps, facts.fps
    rows = [
        ("file", f"{facts.path}, {facts.file_bytes:,} bytes"),
        ("units", f"{facts.units} in {facts.packets} packets: {kinds}"),
        ("referenced", f"{facts.references} of {facts.units}; the others may be dropped"),
        ("largest", f"{facts.largest_unit:,} bytes in one unit"),
        ("duration", f"{facts.duration_s:.2f} s" + (f" at {fps:.2f} fps" if fps else "")),
        ("bit rate", kilobits(rate) if rate else "one unit"),
    ]
    if facts.quantizers:
        low, middle, high = _spread(facts.quantizers)
        rows.append(("quantizer", f"{low} to {high}, median {middle} (AV1 base_q_idx, 0 to 255)"))
    if facts.levels:
        low, middle, high = _spread(facts.levels)
        rows.append(("quality", f"{low} to {high}, median {middle} (of networks, 0 to 255)"))
    for config in facts.configs:
        base = f"base {config.base_width}x{config.base_height}"
        model = f", model {config.model_id}" if config.model_id else ""
        rows.append(
            ("stream", f"{config.profile.label} {config.width}x{config.height}, {base}{model}")
        )
    if facts.damaged_units:
        rows.append(("damaged", f"{facts.damaged_units} units"))
    return rows


def _sections(facts: StreamFacts) -> Table:
    table = Table(box=None, header_style="dim", padding=(0, 2))
    table.add_column("section")
    table.add_column("bytes", justify="right")
    table.add_column("of the wire", justify="right")
    wire = max(1, facts.sections.wire)
    for name, size in asdict(facts.sections).items():
        if size:
            share = "only in the file" if name == "framing" else f"{size / wire:.1%}"
            table.add_row(name, f"{size:,}", share)
    return table


def _spread(values: list[int]) -> tuple[int, int, int]:
    ordered = sorted(values)
    return ordered[0], ordered[len(ordered) // 2], ordered[-1]


def _as_json(facts: StreamFacts) -> dict[str, object]:
    plain = {
        field.name: getattr(facts, field.name)
        for field in fields(facts)
        if not field.name.startswith("_")
    }
    return plain | {
        "configs": [asdict(config) | {"profile": config.profile.label} for config in facts.configs],
        "wire_bytes": facts.sections.wire,
        "duration_s": facts.duration_s,
        "bitrate_bps": facts.bitrate_bps,
        "fps": facts.fps,
    }
