"""The fault bench itself: it must be able to fail, and what it injects must be real."""

import contextlib
import json
import random
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from auralink.bench import faults
from auralink.bench.fault.mutations import ALL, bundled
from auralink.bench.fault.outputs import SPOILS, spoiled
from auralink.bench.fault.registry import FAULTS, NOT_RUN
from auralink.bench.fault.values import Fault, Trial, expect
from auralink.models.errors import ModelError
from auralink.models.guard import Fault as Refusal
from auralink.models.live import prepare
from auralink.models.runtime import OnnxNetworks
from auralink.models.store import Model, Store

from ..models.pictures import pattern


@contextlib.contextmanager
def nothing() -> Iterator[None]:
    yield


def lame(rig: None, seed: int) -> Trial:
    return Trial(
        wrong=expect(seed_is_odd=seed % 2 == 1), recovered_s=seed / 10, figures={"seed": seed}
    )


LAME = Fault(
    number="F0", name="lame", expected="even seeds", prepare=nothing, inject=lame, trials=4
)


def test_a_trial_that_fails_is_counted_and_its_seed_kept(tmp_path: Path) -> None:
    found = faults.examine(LAME, 4, 10, lambda text: None)
    result = faults.Result(command="x", machine={}, found=(found,))

    assert (found.passed, found.trials) == (2, 4)
    assert [failure.seed for failure in found.failures] == [11, 13]
    assert found.failures[0].wrong == "seed is odd"
    assert (found.recovered_p50_s, found.recovered_most_s) == (1.15, 1.3)
    assert found.figures == {"seed": (11.5, 13)}
    assert not result.passed
    faults.save(result, tmp_path / "faults.json")
    assert json.loads((tmp_path / "faults.json").read_text())["found"][0]["passed"] == 2
    assert "| F0 | lame | 2 of 4 | 1.15 | 1.30 |" in faults.table(result)


def test_faults_that_are_not_asked_for_keep_their_results(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = replace(LAME, number="F1", name="also lame", trials=2)
    monkeypatch.setattr(faults, "FAULTS", (LAME, other))
    out = tmp_path / "faults.json"
    faults.run(faults.Options(out=out))

    result = faults.run(faults.Options(only=("F0",), trials=1, out=out))

    assert [(one.number, one.trials) for one in result.found] == [("F0", 1), ("F1", 2)]
    assert faults.load(out) == result


def test_what_is_not_run_is_listed() -> None:
    text = faults.table(faults.Result(command="x", machine={}))

    assert all(f"| {one.number} |" in text for one in NOT_RUN)
    assert "not run: no GPU here" in text


def test_faults_are_there_in_numbers() -> None:
    numbers = {fault.number for fault in FAULTS}

    assert numbers >= {"F11", "F12", "F13", "F14", "F15", "F16", "F17", "F18", "F22", "F23"}
    assert all(fault.trials >= 20 for fault in FAULTS)
    assert not numbers & {one.number for one in NOT_RUN}


def test_a_thousand_spoiled_model_files_are_refused(tmp_path: Path) -> None:
    entry = bundled(tmp_path)
    chance = random.Random(11)
    prepare(entry)

    for number in range(1000):
        mutation = ALL[number % len(ALL)]
        try:
            prepare(mutation(entry, chance))
        except ModelError:
            continue
        pytest.fail(f"mutation {number}, {mutation.__name__}, was accepted")


@pytest.mark.parametrize("kind", [kind for kind in SPOILS if kind != "frozen"])
def test_spoiled_networks_run_and_the_guard_refuses_them(kind: str) -> None:
    entry = Store.bundled().find("restore-s", "fp32")
    networks = OnnxNetworks(Model(entry=entry, content=spoiled(SPOILS[kind])))
    picture = pattern(64, 48)

    made = networks.restore(picture, picture, None, quantizer=190, scale=0.5, reference=True)

    assert made is None
    assert set(networks.faults) <= {Refusal.RANGE, Refusal.SHAPE, Refusal.FAR, Refusal.RUNTIME}


def test_an_unknown_fault_is_an_error(capsys: pytest.CaptureFixture[str]) -> None:
    assert faults.main(["--only", "F99"]) == 2
    assert "no fault F99" in capsys.readouterr().err


def test_a_fault_of_real_processes_passes(tmp_path: Path) -> None:
    out = tmp_path / "faults.json"

    code = faults.main(["--only", "F18", "--trials", "1", "--seed", "2", "--out", str(out)])

    found = json.loads(out.read_text())["found"]
    assert code == 0, found
    assert [one["passed"] for one in found] == [1, 1, 1]
