"""What `auralink.bench.rpc` found: plain values that go to JSON."""

import dataclasses
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from auralink.bench import tables


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    seconds: float = 5.0
    rounds: int = 3
    out: Path | None = None

    @property
    def command(self) -> str:
        return f"python -m auralink.bench.rpc --seconds {self.seconds:g} --rounds {self.rounds}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Peak:
    """As fast as it goes; the worst and the best round.

    Attributes:
        server_us: processor time of the server per frame, all rounds together.
    """

    shape: str
    worst_per_s: float
    best_per_s: float
    server_us: float
    fell_back: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Latency:
    """At a fixed rate, all rounds together; milliseconds from when a frame was due.

    Attributes:
        refused: because a connection had its hundred calls under way; the rest is of the others.
    """

    per_s: float
    samples: int
    refused: int
    p50_ms: float
    p95_ms: float
    p99_ms: float
    max_ms: float


@dataclass(frozen=True, slots=True, kw_only=True)
class RpcResult:
    command: str
    machine: dict[str, str]
    frame_bytes: int
    sessions: int
    peaks: tuple[Peak, ...]
    latency: Latency


@dataclass(frozen=True, slots=True, kw_only=True)
class Round:
    answered: int
    fell_back: int
    elapsed_s: float
    cpu_s: float = 0.0


def peak_of(shape: str, rounds: Sequence[Round]) -> Peak:
    rates = [one.answered / one.elapsed_s for one in rounds]
    return Peak(
        shape=shape,
        worst_per_s=min(rates),
        best_per_s=max(rates),
        server_us=1e6 * sum(one.cpu_s for one in rounds) / sum(one.answered for one in rounds),
        fell_back=sum(one.fell_back for one in rounds),
    )


def latency_of(per_s: float, waits: Sequence[float]) -> Latency:
    answered = sorted(wait for wait in waits if math.isfinite(wait))

    def at(share: float) -> float:
        return answered[min(len(answered) - 1, int(share * len(answered)))]

    return Latency(
        per_s=per_s,
        samples=len(answered),
        refused=len(waits) - len(answered),
        p50_ms=at(0.5),
        p95_ms=at(0.95),
        p99_ms=at(0.99),
        max_ms=answered[-1],
    )


def table(result: RpcResult) -> str:
    """Markdown."""
    rows = [
        [
            peak.shape,
            f"{peak.worst_per_s:.0f}",
            f"{peak.best_per_s:.0f}",
            f"{peak.server_us:.0f}",
            str(peak.fell_back),
        ]
        for peak in result.peaks
    ]
    peaks = tables.markdown(
        ["shape", "frames/s, worst", "best", "server, us each", "fell back"], rows
    )
    late = result.latency
    figures = (late.p50_ms, late.p95_ms, late.p99_ms, late.max_ms)
    row = [
        f"{late.per_s:.0f}",
        str(late.samples),
        str(late.refused),
        *(f"{value:.1f}" for value in figures),
    ]
    head = ["unary/s", "samples", "refused", "p50, ms", "p95", "p99", "max"]
    return f"{peaks}\n\n{tables.markdown(head, [row])}"


def save(result: RpcResult, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    tree = json.loads(
        json.dumps(dataclasses.asdict(result)), parse_float=lambda t: round(float(t), 2)
    )
    path.write_text(json.dumps({"schema": 1, **tree}, indent=1) + "\n", "utf-8")
