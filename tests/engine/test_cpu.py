"""The share of processors that is busy."""

import time

import pytest

from auralink.engine.cpu import CpuShare, Times, machine_times


class Machine:
    """Two processors."""

    def __init__(self) -> None:
        self.now = 0.0
        self.busy = 0.0

    def run(self, seconds: float, share: float) -> None:
        self.now += seconds
        self.busy += 2 * seconds * share

    def times(self) -> Times:
        return Times(self.busy, 2 * self.now)


@pytest.fixture
def machine() -> Machine:
    return Machine()


@pytest.fixture
def share(machine: Machine) -> CpuShare:
    return CpuShare(lambda: machine.now, machine.times)


def test_the_first_look_is_believed_and_bursts_are_smoothed(
    machine: Machine, share: CpuShare
) -> None:
    assert share() == 0
    machine.run(1, 0.25)
    assert share() == pytest.approx(0.25)
    machine.run(1, 1.0)
    assert 0.3 < share() < 0.7
    for _ in range(10):
        machine.run(1, 1.0)
        share()
    assert share() == pytest.approx(1.0, abs=0.01)


def test_many_who_ask_do_not_disturb_one_another(machine: Machine, share: CpuShare) -> None:
    machine.run(1, 0.5)
    seen = set()
    for _ in range(5):
        seen.add(share())
        machine.run(0.1, 0.0)
    assert seen == {0.5}


def test_after_a_long_silence_only_what_was_then_counts(machine: Machine, share: CpuShare) -> None:
    machine.run(1, 1.0)
    share()
    machine.run(60, 0.1)
    assert share() == pytest.approx(0.1, abs=0.01)


def test_the_machine_counts_forward() -> None:
    first = machine_times()
    sum(range(100_000))
    assert 0 <= first.busy <= first.total
    deadline = time.monotonic() + 5
    while machine_times().total <= first.total and time.monotonic() < deadline:
        sum(range(100_000))
    assert machine_times().total > first.total
