"""`bench load`, small: that it measures, not how fast this machine is."""

import asyncio
import json
from pathlib import Path

import pytest

from auralink.bench import load, load_records
from auralink.bench.load_backends import null_stage
from auralink.bench.load_histogram import Histogram
from auralink.bench.load_traffic import Bin, Phase, Traffic
from auralink.codecs.errors import InputError
from auralink.engine.inference.engine import InferenceEngine

ROOT = Path(__file__).resolve().parents[2]


def test_quantiles_come_from_the_counts() -> None:
    histogram = Histogram()
    for value in range(1, 101):
        histogram.enter(float(value))

    assert histogram.quantile(0.5) == pytest.approx(50, abs=0.1)
    assert histogram.quantile(0.99) == pytest.approx(99, abs=0.1)
    assert histogram.count == 100
    assert Histogram().quantile(0.99) == 0.0


def test_what_is_out_of_range_counts_at_the_edges() -> None:
    histogram = Histogram()
    histogram.enter(-1.0)
    histogram.enter(1e9)

    assert histogram.quantile(0.1) <= 0.05
    assert histogram.quantile(1.0) == pytest.approx(400)


def test_recovery_is_when_the_last_fallback_was() -> None:
    def phase(bad: set[int]) -> Phase:
        bins = {number: Bin(coded=9, other=number in bad) for number in range(40)}
        return Phase(seconds=4.0, bins=bins)

    assert load._recovery_ms(phase(set())) == 0.0
    assert load._recovery_ms(phase({0, 3})) == 400.0
    assert load._recovery_ms(phase({39})) is None


async def test_arrivals_do_not_wait_for_answers() -> None:
    async with null_stage(1) as stage, InferenceEngine(stage.backend) as engine:
        phase = await Traffic(engine, stage, seed=3).run(audio=40, video=0, seconds=0.5)

        assert engine.statistics().open == 0
    # 40 streams at 50 a second are four times what one worker can do; all are sent all the same.
    assert phase.audio.frames == pytest.approx(1_000, abs=60)
    assert phase.audio.coded.count + phase.audio.refused.count == phase.audio.frames
    assert phase.rss


def test_a_small_run_writes_its_record_and_its_picture(tmp_path: Path) -> None:
    out = tmp_path / "load_null.json"
    options = load.Options(step_s=0.2, overload_s=0.3, calm_s=0.3, times=(2,), workers=1, out=out)

    result = asyncio.run(load.run(options))

    tree = json.loads(out.read_text("utf-8"))
    assert tree["schema"] == load_records.SCHEMA
    assert tree["command"].startswith("python -m auralink.bench.load --backend null --workers 1")
    assert len(tree["curve"]) == len(result.curve) >= 1
    assert tree["overloads"][0]["times"] == 2
    assert out.with_suffix(".png").read_bytes().startswith(b"\x89PNG")
    read = load_records.load(out)
    assert [step.streams for step in read.curve] == [step.streams for step in result.curve]
    assert read.machine == result.machine
    assert "| 2x | sound |" in load_records.table(result)
    assert "streams carried by 1 workers" in load_records.summary(result)


def test_no_backend_is_called_that() -> None:
    with pytest.raises(InputError, match="no backend is called 'gpu'"):
        asyncio.run(load.run(load.Options(backend="gpu")))


def test_options_come_from_the_command_line() -> None:
    options = load.parse(["--backend", "restore-s", "--overload-seconds", "3", "--seed", "5"])

    assert (options.backend, options.overload_s, options.seed) == ("restore-s", 3.0, 5)
    assert options.out == Path("bench/results/load_restore-s.json")


def test_a_record_of_another_kind_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "other.json"
    path.write_text(f'{{"schema": {load_records.SCHEMA}, "curve": []}}')

    with pytest.raises(InputError, match=r"other.json is not a result of `bench load`"):
        load_records.load(path)

    path.write_text('{"schema": 1, "curve": []}')
    with pytest.raises(InputError, match=r"other.json is of another schema: measure again"):
        load_records.load(path)


@pytest.mark.parametrize("backend", ["null", "restore-s"])
def test_the_document_says_what_the_record_says(backend: str) -> None:
    text = (ROOT / "docs" / "inference.md").read_text("utf-8")
    record = load_records.load(ROOT / "bench" / "results" / f"load_{backend}.json")

    assert load_records.report(record) in text
