"""The estimator on emulated links: finds the rate, keeps the queue short, gets over changes."""

import random
from collections.abc import Callable
from statistics import fmean

import pytest

from auralink.engine.link.budget import Budget, Share, allot
from auralink.engine.link.delay_estimate import DelayEstimate
from auralink.engine.link.netem import LinkSettings, Netem

STEP_US = 1_000
FRAME_US = 33_333
REPORT_US = 250_000


def run(
    capacity: list[tuple[float, float]],
    *,
    seconds: float,
    seed: int,
    loss: float = 0.0,
    jitter_ms: float = 0.0,
    drift: float = 0.0,
    want_bps: float = 2_000_000,
) -> tuple[list[tuple[float, float]], list[float]]:
    """A sender that fills its budget over a link.

    Args:
        capacity: from second, bit/s.

    Returns:
        ``(second, budget in bit/s)`` at every report, and the queue's delay in ms at every report.
    """
    rng = random.Random(seed)
    settings = LinkSettings(rate_bps=capacity[0][1], delay_ms=40, jitter_ms=jitter_ms, loss=loss)
    link = Netem(settings, seed=seed)
    estimate = DelayEstimate(start_bps=100_000)
    budget = Budget(most_bps=round(want_bps), start_bps=100_000)
    sent: dict[int, int] = {}
    history: list[tuple[float, float]] = []
    queues: list[float] = []
    number = got = expected = 0
    changes = capacity[1:]
    debt = 0.0
    for now_us in range(0, round(seconds * 1e6), STEP_US):
        if changes and now_us >= changes[0][0] * 1e6:
            link.change(
                now_us,
                LinkSettings(
                    rate_bps=changes.pop(0)[1], delay_ms=40, jitter_ms=jitter_ms, loss=loss
                ),
            )
        if now_us % FRAME_US < STEP_US:
            debt += budget.total_bps * FRAME_US / 8e6 * rng.uniform(0.7, 1.3)
            while debt > 0:
                size = min(1_000, max(100, round(debt)))
                link.send(now_us, number.to_bytes(4, "big") + bytes(size - 4))
                sent[number] = round(now_us * (1 + drift)) + 77_000_000
                number += 1
                expected += 1
                debt -= size
        for at_us, data in link.poll(now_us):
            got += 1
            key = int.from_bytes(data[:4], "big")
            estimate.packet(sent.pop(key), at_us, len(data))
        if now_us % REPORT_US == 0 and now_us:
            lost = max(0.0, 1 - got / expected) if expected else 0.0
            got = expected = 0
            budget.hear(now_us, estimate_bps=estimate.rate_bps, loss=min(lost, loss * 2 + 0.001))
            history.append((now_us / 1e6, budget.total_bps))
            queues.append(link.queued_ms)
    return history, queues


def mean(history: list[tuple[float, float]], start: float, end: float) -> float:
    rates = [rate for at, rate in history if start <= at < end]
    return sum(rates) / len(rates)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("rate", [200_000, 600_000])
def test_finds_a_link_and_keeps_its_queue_short(rate: float, seed: int) -> None:
    history, queues = run([(0, rate)], seconds=60, seed=seed)

    assert 0.7 * rate < mean(history, 40, 60) < 1.1 * rate
    assert sorted(queues[100:])[int(len(queues[100:]) * 0.95)] < 300


@pytest.mark.parametrize("seed", range(3))
def test_follows_a_link_down_and_up_again(seed: int) -> None:
    history, queues = run([(0, 600_000), (30, 150_000), (60, 600_000)], seconds=110, seed=seed)

    assert mean(history, 20, 30) > 400_000
    assert mean(history, 36, 60) < 160_000
    assert max(queues[4 * 36 : 4 * 60]) < 600
    assert mean(history, 95, 110) > 350_000


def test_random_loss_below_a_tenth_is_no_congestion() -> None:
    history, _ = run([(0, 1_000_000)], seconds=40, seed=5, loss=0.02, want_bps=300_000)

    assert mean(history, 30, 40) > 250_000


def test_jitter_and_drifting_clocks_are_no_congestion() -> None:
    history, _ = run(
        [(0, 2_000_000)], seconds=40, seed=6, jitter_ms=8, drift=200e-6, want_bps=300_000
    )

    assert mean(history, 30, 40) > 200_000


def losing(budget: Budget, seconds: int, lost: Callable[[float], float], seed: int) -> list[int]:
    """The budget after each report; packets of 1,000 bytes that are lost at random."""
    rng, history = random.Random(seed), []
    for now_us in range(0, seconds * 1_000_000, 250_000):
        share = lost(budget.total_bps)
        packets = max(1, round(budget.total_bps / 4 / 8_000))
        missing = sum(rng.random() < share for _ in range(packets))
        budget.hear(now_us, estimate_bps=1e6, loss=missing / packets)
        history.append(budget.total_bps)
    return history


@pytest.mark.parametrize("seed", range(5))
def test_loss_that_less_sending_cures_shrinks_the_budget(seed: int) -> None:
    capacity = 200_000
    budget = Budget(most_bps=500_000, start_bps=500_000)

    history = losing(budget, 40, lambda rate: max(0.0, 1 - capacity / rate), seed)

    assert fmean(history[60:]) < 1.3 * capacity


@pytest.mark.parametrize("loss", [0.05, 0.1, 0.2])
@pytest.mark.parametrize("seed", range(5))
def test_loss_that_less_sending_does_not_cure_is_the_links_own(loss: float, seed: int) -> None:
    budget = Budget(most_bps=300_000, start_bps=300_000)

    history = losing(budget, 40, lambda rate: loss, seed)

    assert fmean(history[40:]) > 225_000


def test_a_link_that_no_longer_loses_is_believed_again() -> None:
    budget = Budget(most_bps=300_000, start_bps=300_000)
    losing(budget, 20, lambda rate: 0.2, 1)
    losing(budget, 40, lambda rate: 0.0, 2)

    history = losing(budget, 40, lambda rate: max(0.0, 1 - 150_000 / rate), 3)

    assert fmean(history[60:]) < 200_000


def test_a_receiver_that_falls_silent_is_sent_less() -> None:
    budget = Budget(most_bps=500_000, start_bps=500_000)
    budget.hear(1, estimate_bps=500_000, loss=0)
    before = budget.total_bps
    for now_us in range(0, 10_000_000, 250_000):
        budget.tick(now_us)

    assert budget.total_bps < before / 2


def test_time_stamps_that_jump_start_the_estimate_afresh() -> None:
    estimate = DelayEstimate(start_bps=100_000)
    for index in range(200):
        estimate.packet(index * 10_000, index * 10_000, 200)
    for index in range(200):
        estimate.packet(10**12 + index * 10_000, 2_000_000 + index * 10_000, 200)

    assert estimate.rate_bps >= 100_000


@pytest.mark.parametrize(
    ("total", "audio", "shares", "given"),
    [
        (100, 20, {1: Share()}, {1: 80}),
        (100, 20, {1: Share(), 2: Share()}, {1: 40, 2: 40}),
        (100, 0, {1: Share(weight=3), 2: Share()}, {1: 75, 2: 25}),
        (100, 0, {1: Share(most_bps=10), 2: Share()}, {1: 10, 2: 90}),
        (100, 0, {1: Share(most_bps=10), 2: Share(most_bps=20)}, {1: 10, 2: 20}),
        (10, 20, {1: Share()}, {1: 0}),
        (100, 20, {}, {}),
    ],
)
def test_bits_are_shared(
    total: int, audio: int, shares: dict[int, Share], given: dict[int, int]
) -> None:
    assert allot(total, audio, shares) == given
