"""The measurement of the gRPC service measures what it says."""

import json
import math
from pathlib import Path

import pytest

from auralink.bench import rpc
from auralink.bench.rpc_records import Options, Round, latency_of, peak_of, table


def test_every_shape_is_measured_against_a_real_server(tmp_path: Path) -> None:
    out = tmp_path / "rpc.json"

    result = rpc.run(Options(seconds=0.3, rounds=1, out=out))

    assert [peak.shape for peak in result.peaks] == ["bare", "unary", "bidirectional"]
    assert all(peak.worst_per_s > 0 and peak.server_us > 0 for peak in result.peaks)
    assert sum(peak.fell_back for peak in result.peaks) == 0
    assert result.latency.samples > 0
    assert json.loads(out.read_text("utf-8"))["command"] == result.command
    assert "| unary |" in table(result)


def test_rates_are_of_rounds_and_processor_time_of_all() -> None:
    rounds = [
        Round(answered=100, fell_back=0, elapsed_s=1.0, cpu_s=0.1),
        Round(answered=300, fell_back=2, elapsed_s=1.0, cpu_s=0.1),
    ]

    peak = peak_of("unary", rounds)

    assert (peak.worst_per_s, peak.best_per_s, peak.fell_back) == (100, 300, 2)
    assert peak.server_us == pytest.approx(500)


def test_refused_calls_are_counted_and_not_averaged() -> None:
    latency = latency_of(10.0, [3.0, math.inf, 1.0, 2.0])

    assert (latency.samples, latency.refused) == (3, 1)
    assert latency.max_ms == 3.0
