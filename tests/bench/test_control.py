"""The measurement of the control plane, and the wrong tokens of its faults."""

import random
import time

import pytest

from auralink.bench.control import ControlResult, Latency, table
from auralink.bench.fault.control import FAULTS, _token
from auralink.bench.fault.control_rig import SECRET
from auralink.engine.service.auth.tokens import TokenVerifier, verification_key
from auralink.engine.service.errors import Unauthenticated


def test_the_table_has_a_row_per_path_and_the_flips() -> None:
    latency = Latency(
        what="config", per_s=500, samples=100, failed=1, p50_ms=1.25, p99_ms=9.5, max_ms=20.0
    )
    result = ControlResult(
        command="", machine={}, latencies=(latency,), frames=10, coded=9, flips_ms=(12.4, 30.0)
    )

    text = table(result)

    assert "| config | 500 | 100 | 1 | 1.2 | 9.5 | 20.0 |" in text
    assert "10, coded 9" in text
    assert "12, 30" in text


@pytest.mark.parametrize("seed", range(200))
def test_every_token_of_the_trials_is_wrong(seed: int) -> None:
    key = verification_key("main", "HS256", SECRET.encode())
    verifier = TokenVerifier([key], issuer="auralink", audience="auralink-aic")

    with pytest.raises(Unauthenticated):
        verifier.verify(_token(random.Random(seed)), time.time())


def test_faults_of_the_control_plane_are_tried_twenty_times() -> None:
    assert {fault.number for fault in FAULTS} == {"F29", "F32", "F37", "F41", "F42", "F43", "F47"}
    assert all(fault.trials >= 20 and fault.expected for fault in FAULTS)
