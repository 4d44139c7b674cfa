"""Limits in memory, in virtual time."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from auralink.engine.stores.local_window import LocalWindows
from auralink.engine.stores.protocols import Decision, Limit

MINUTE = Limit(amount=5, per_s=60)


def hit(windows: LocalWindows, now: float, key: str = "ann", limit: Limit = MINUTE) -> Decision:
    return windows.hit(key, limit, now, shared=False)


def test_admits_the_amount_and_no_more() -> None:
    windows = LocalWindows()

    decisions = [hit(windows, 10.0 + i) for i in range(8)]

    assert [one.allowed for one in decisions] == [True] * 5 + [False] * 3
    assert [one.remaining for one in decisions] == [4, 3, 2, 1, 0, 0, 0, 0]


def test_refused_hits_do_not_keep_a_client_locked_out() -> None:
    windows = LocalWindows()
    for _ in range(5):
        hit(windows, 0.0)
    for i in range(1_000):
        assert not hit(windows, i * 0.05).allowed

    assert hit(windows, 120.0).remaining == 4


def test_who_waits_as_told_is_admitted() -> None:
    windows = LocalWindows()
    now = 0.0
    for _ in range(40):
        decision = hit(windows, now)
        now += decision.retry_after_s + 1e-6
        assert decision.allowed or decision.retry_after_s > 0
        if not decision.allowed:
            assert hit(windows, now).allowed


def test_keys_and_limits_count_by_themselves() -> None:
    windows = LocalWindows()
    for _ in range(5):
        hit(windows, 0.0)

    assert hit(windows, 0.0, key="bob").allowed
    assert hit(windows, 0.0, limit=Limit(amount=6)).allowed
    assert not hit(windows, 0.0).allowed


def test_a_flood_of_keys_takes_bounded_memory() -> None:
    windows = LocalWindows(capacity=100)

    for i in range(10_000):
        hit(windows, 0.0, key=f"client-{i}")

    assert len(windows) == 100


@given(
    st.lists(st.floats(0, 40), min_size=1, max_size=200),
    st.integers(1, 20),
    st.integers(1, 30),
)
def test_two_windows_never_admit_more_than_twice_the_amount(
    gaps: list[float], amount: int, per_s: int
) -> None:
    """What an approximation by two counts guarantees for any placement of hits."""
    windows, limit = LocalWindows(), Limit(amount=amount, per_s=per_s)
    now, admitted = 0.0, []
    for gap in gaps:
        now += gap
        decision = hit(windows, now, limit=limit)
        assert 0 <= decision.remaining < amount or decision.remaining == 0
        assert decision.retry_after_s <= 2 * per_s
        if decision.allowed:
            admitted.append(now)
    for begin in admitted:
        assert sum(begin <= at < begin + per_s for at in admitted) <= 2 * amount


@pytest.mark.parametrize("amount", [1, 2, 100])
def test_a_steady_client_gets_the_rate_of_the_limit(amount: int) -> None:
    windows, limit = LocalWindows(), Limit(amount=amount, per_s=10)

    admitted = sum(hit(windows, i * 0.01, limit=limit).allowed for i in range(100_000))

    assert admitted == pytest.approx(100 * amount, rel=0.02)
