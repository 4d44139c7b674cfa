"""Faults of stores: each family injects something real, and a trial can fail."""

from dataclasses import replace
from pathlib import Path

import pytest

from auralink.bench import faults
from auralink.bench.fault import database, redis, redis_answers, scrape
from auralink.bench.fault.values import Fault
from auralink.codecs.errors import InputError
from auralink.engine.stores.redis.limiter import SharedLimiter

from ..engine.stores.servers import missing

ROOT = Path(__file__).resolve().parents[2]
QUICK = [
    fault
    for fault in (*redis.FAULTS, *database.FAULTS, *scrape.FAULTS)
    if fault.number in ("F7", "F40", "F45") or "cut" in fault.name
]


@pytest.mark.parametrize("fault", QUICK, ids=lambda fault: fault.number)
def test_a_trial_on_real_servers_passes(fault: Fault[object]) -> None:
    try:
        with fault.prepare() as rig:
            trial = fault.inject(rig, 1)
    except InputError as absent:
        missing("a server", str(absent))

    assert trial.wrong == ""


def test_a_limiter_that_admits_too_many_fails_its_trial(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(SharedLimiter, "__init__", _alone(SharedLimiter.__init__))
    (crowd,) = [one for one in redis_answers.FAULTS if one.number == "F40"]
    try:
        with crowd.prepare() as rig:
            trials = [crowd.inject(rig, seed) for seed in range(4)]
    except InputError as absent:
        missing("a server", str(absent))

    assert any(trial.wrong == "too many admitted" for trial in trials)


def _alone(init):  # type: ignore[no-untyped-def]
    """Each replica counts for itself alone."""

    def without_redis(self, redis, *, replicas):  # type: ignore[no-untyped-def]
        init(self, None, replicas=replicas)

    return without_redis


def test_the_handbook_says_what_the_results_say() -> None:
    result = replace(faults.load(ROOT / "bench" / "results" / "faults_stores.json"), not_run=())
    handbook = (ROOT / "docs" / "operations.md").read_text("utf-8")
    block = handbook.partition("<!-- store-faults:begin -->")[2]

    made = f"`{result.command}` on {result.machine['cores']} cores of {result.machine['cpu']}."
    assert block.partition("<!-- store-faults:end -->")[0].strip() == (
        f"{faults.table(result)}\n\n{made}"
    )
    numbers = {found.number for found in result.found}
    assert numbers == {f"F{n}" for n in (*range(1, 11), 40, 45, 48)}
