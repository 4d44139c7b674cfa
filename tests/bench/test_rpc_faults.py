"""Faults of the gRPC service: injected into a real server, and able to fail."""

import grpc
import pytest

from auralink.bench.fault import rpc
from auralink.bench.fault.registry import FAULTS
from auralink.bench.fault.rpc_rig import DOCUMENTED, RpcRig, rpc_rig


@pytest.fixture(scope="module")
def rig():
    with rpc_rig() as one:
        yield one


@pytest.mark.parametrize("number", ["F33", "F35", "F36", "F39"])
def test_a_trial_passes(rig: RpcRig, number: str) -> None:
    (fault,) = [one for one in rpc.FAULTS if one.number == number]

    trial = fault.inject(rig, 7)

    assert trial.passed, trial.wrong
    assert trial.figures


def test_all_are_in_the_registry() -> None:
    assert set(rpc.FAULTS) <= set(FAULTS)


def test_bugs_of_the_server_are_no_documented_codes() -> None:
    assert not DOCUMENTED & {grpc.StatusCode.INTERNAL, grpc.StatusCode.UNKNOWN}
