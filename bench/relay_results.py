"""What the relay's measurements found: the record, its file, its tables."""

import dataclasses
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from auralink.bench import relay_breaks, tables
from auralink.bench.relay_breaks import NARROW_BPS, NOTICE_S, Breaks
from auralink.bench.relay_calls import Condition, Seen
from auralink.bench.relay_moments import Added, Moments
from auralink.engine.rehearsal.seen import Smoothness, Spread


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    command: str
    machine: dict[str, str]
    settings: dict[str, str] = field(default_factory=dict)
    added: Added | None = None
    moments: Moments | None = None
    breaks: Breaks | None = None
    seen: tuple[Seen, ...] = ()
    failed: dict[str, str] = field(default_factory=dict)


def ordered(result: Result) -> list[Seen]:
    """By round trip, random before bursty, loss, subject."""
    return sorted(
        result.seen,
        key=lambda one: (
            one.condition.rtt_ms,
            one.condition.burst or 0,
            one.condition.loss,
            one.subject,
        ),
    )


def loss_table(result: Result) -> str:
    """Markdown: one row per condition and subject."""
    rows = [
        [
            one.condition.label,
            one.subject,
            f"{one.kbps:.0f}",
            f"{one.ssim:.3f} / {one.ssim_p5:.3f}",
            f"{one.psnr_db:.1f}",
            f"{one.smooth.fps:.1f}",
            f"{one.smooth.freezes}",
            f"{one.smooth.longest_ms:.0f}",
            f"{one.smooth.frozen:.0%}",
            f"{one.smooth.latency_ms.p50:.0f} / {one.smooth.latency_ms.p95:.0f}",
        ]
        for one in ordered(result)
    ]
    rows += [[label, "", f"failed: {why}", *[""] * 7] for label, why in result.failed.items()]
    heads = ["round trip, loss", "codec", "kbit/s", "SSIM mean / p5", "PSNR", "fps", "freezes"]
    heads += ["longest, ms", "frozen", "latency, ms p50 / p95"]
    return tables.markdown(heads, rows)


def moments_table(result: Result) -> str:
    rows = []
    if (found := result.added) is not None:
        rows += [
            ["latency added, p50 / p95", f"{found.added_ms.p50:.0f} / {found.added_ms.p95:.0f} ms"],
            ["the same call direct", f"{found.direct_ms.p50:.0f} / {found.direct_ms.p95:.0f} ms"],
        ]
        rows += [
            [f"of it {name}", f"{took.p50:.1f} / {took.p95:.1f} ms"]
            for name, took in found.stages_ms.items()
        ]
        rows += [[f"CPU: {name}", f"{share:.0%} of a core"] for name, share in found.cpu.items()]
    if (soon := result.moments) is not None:
        joins = sorted(soon.join_s)
        rows += [
            [
                "picture after a join, median / worst",
                f"{joins[len(joins) // 2]:.2f} / {joins[-1]:.2f} s",
            ],
            ["picture after the far server is back", f"{soon.restart_s:.2f} s"],
        ]
    if (broken := result.breaks) is not None:
        rows += _breaks_rows(broken)
    return tables.markdown(["", ""], rows)


def _breaks_rows(found: Breaks) -> list[list[str]]:
    resumed = sorted(found.resume_s)
    calm, cut, narrow = found.calm, found.cut, found.narrow
    return [
        [
            "signal connections resumed after a cut, median / worst",
            f"{resumed[len(resumed) // 2]:.2f} / {resumed[-1]:.2f} s",
        ],
        ["pictures per second before, and meanwhile", f"{calm.fps:.1f}, {cut.fps:.1f}"],
        [
            "longest without a picture before, and meanwhile",
            f"{calm.longest_ms:.0f}, {cut.longest_ms:.0f} ms",
        ],
        [
            f"latency p95 before, {NOTICE_S:g} s after the link got {NARROW_BPS / 1e3:g} kbit/s",
            f"{calm.latency_ms.p95:.0f}, {narrow.latency_ms.p95:.0f} ms",
        ],
        [
            "then: pictures per second, longest without one, dropped by its queue",
            f"{narrow.fps:.1f}, {narrow.longest_ms:.0f} ms, {found.dropped:.1%} of packets",
        ],
    ]


def goals_table(result: Result) -> str:
    """What was aimed at, and whether it was reached."""
    rows: list[list[str]] = []

    def row(goal: str, measured: float, most: float, unit: str) -> None:
        digits = 0 if unit == "ms" else 2
        found = f"{measured:.{digits}f} {unit}"
        rows.append(
            [f"{goal}: at most {most:g} {unit}", found, "yes" if measured <= most else "no"]
        )

    if result.added is not None:
        row("latency added without a network, p95", result.added.added_ms.p95, 60, "ms")
    for one in ordered(result):
        if one.subject == "relay" and one.condition.loss == 0.1:
            row(f"freeze, {one.condition.label}", one.smooth.longest_ms, 500, "ms")
    if result.moments is not None:
        row("picture after a join, worst", max(result.moments.join_s), 1, "s")
        row("picture after the server is back", result.moments.restart_s, 3, "s")
    if result.breaks is not None:
        row("signal connections resumed, worst", max(result.breaks.resume_s), 2, "s")
    return tables.markdown(["goal", "measured", "reached"], rows)


def save(result: Result, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    ready = dataclasses.replace(result, seen=tuple(ordered(result)))
    tree = {"schema": 1, **_rounded(dataclasses.asdict(ready))}
    path.write_text(json.dumps(tree, indent=1) + "\n", "utf-8")


def load(path: Path | None) -> Result:
    """What was measured before; an empty result if nothing was."""
    if path is None or not path.is_file():
        return Result(command="", machine={})
    tree = json.loads(path.read_text("utf-8"))
    added_tree, moments_tree = tree["added"], tree["moments"]
    return Result(
        command=tree["command"],
        machine=tree["machine"],
        settings=tree["settings"],
        added=None if added_tree is None else _read_added(added_tree),
        moments=None
        if moments_tree is None
        else Moments(**moments_tree | {"join_s": tuple(moments_tree["join_s"])}),
        breaks=relay_breaks.read(tree["breaks"]) if tree.get("breaks") else None,
        seen=tuple(_read_seen(one) for one in tree["seen"]),
        failed=tree["failed"],
    )


def _read_added(tree: dict[str, Any]) -> Added:
    spreads = {name: Spread(**tree[name]) for name in ("added_ms", "direct_ms")}
    stages = {name: Spread(**one) for name, one in tree.get("stages_ms", {}).items()}
    return Added(**tree | spreads | {"stages_ms": stages})


def _read_seen(tree: dict[str, Any]) -> Seen:
    smooth = tree["smooth"]
    return Seen(
        **tree
        | {
            "condition": Condition(**tree["condition"]),
            "smooth": Smoothness(**smooth | {"latency_ms": Spread(**smooth["latency_ms"])}),
            "sizes": tuple(tree["sizes"]),
        }
    )


def _rounded(value: Any) -> Any:
    if isinstance(value, float):
        return float(f"{value:.5g}")
    if isinstance(value, dict):
        return {key: _rounded(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_rounded(one) for one in value]
    return value
