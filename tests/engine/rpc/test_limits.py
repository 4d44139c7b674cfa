"""Bounds of one stream and of all: frame numbers, frames a second, streams."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from auralink.engine.rpc.failures import OldFrame, RepeatedFrame
from auralink.engine.rpc.limits import WINDOW, FrameRate, ReplayWindow
from auralink.engine.rpc.requests import Media, StreamKey
from auralink.engine.rpc.table import StreamTable
from auralink.engine.service.errors import Limited


def key(session: int | str, tenant: str = "a") -> StreamKey:
    return StreamKey(tenant=tenant, session=str(session), participant="", media=Media.VIDEO)


@given(st.lists(st.integers(1, 3 * WINDOW), max_size=200))
def test_a_frame_number_is_taken_once_and_never_an_old_one(numbers: list[int]) -> None:
    window, taken = ReplayWindow(), set[int]()

    for number in numbers:
        old = taken and number <= max(taken) - WINDOW
        try:
            window.take(number)
        except RepeatedFrame:
            assert number in taken
        except OldFrame:
            assert old
        else:
            assert number not in taken
            assert not old
            taken.add(number)


def test_the_window_reaches_back_exactly_as_far_as_it_says() -> None:
    window = ReplayWindow()
    window.take(5_000)

    window.take(5_000 - WINDOW + 1)
    with pytest.raises(OldFrame):
        window.take(5_000 - WINDOW)


def test_the_largest_number_costs_no_more_than_the_window() -> None:
    window = ReplayWindow()
    window.take(1)
    window.take((1 << 63) - 1)

    with pytest.raises(RepeatedFrame):
        window.take((1 << 63) - 1)
    with pytest.raises(OldFrame):
        window.take(1)


def test_frames_without_a_number_are_always_taken() -> None:
    window = ReplayWindow()

    window.take(0)
    window.take(0)


def test_a_seconds_worth_may_come_at_once_and_no_more() -> None:
    rate = FrameRate(200)
    for _ in range(200):
        rate.take(10.0)

    with pytest.raises(Limited) as refused:
        rate.take(10.0)

    assert refused.value.retry_after_s == pytest.approx(1 / 200)


@given(st.lists(st.floats(0, 0.02), min_size=1, max_size=600))
def test_no_more_than_the_rate_over_any_time(gaps: list[float]) -> None:
    rate, now_s, taken = FrameRate(100), 0.0, 0
    for gap in gaps:
        now_s += gap
        try:
            rate.take(now_s)
        except Limited:
            continue
        taken += 1

    assert taken <= 100 + now_s * 100 + 1


def test_a_clock_that_goes_back_gives_no_frames_away() -> None:
    rate = FrameRate(2)
    rate.take(10.0)
    rate.take(5.0)

    with pytest.raises(Limited):
        rate.take(5.0)


def test_a_table_never_holds_more_than_it_may() -> None:
    table = StreamTable[int](8, 30.0, lambda value: False)

    def enter(number: int) -> bool:
        one = key(number, tenant=f"t{number % 5}")
        try:
            table.check_room(one)
        except Limited:
            return False
        table.add(one, number, 0.0)
        return True

    assert sum(enter(number) for number in range(100_000)) == 8
    assert len(table) == 8


def test_one_tenant_leaves_half_of_the_table_to_others() -> None:
    table = StreamTable[int](8, 30.0, lambda value: False)
    for number in range(4):
        table.check_room(key(number))
        table.add(key(number), number, 0.0)

    with pytest.raises(Limited, match="of this tenant"):
        table.check_room(key(4))
    table.check_room(key(4, tenant="b"))


def test_idle_streams_leave_and_those_at_work_or_asked_for_stay() -> None:
    busy = {3}
    table = StreamTable[int](8, 30.0, lambda value: value in busy)
    for number in (1, 2, 3):
        table.add(key(number), number, 0.0)
    table.get(key(2), 20.0)

    assert table.take_idle(29.9) == []
    assert table.take_idle(30.0) == [1]
    busy.clear()
    assert set(table.take_idle(50.0)) == {2, 3}
    assert len(table) == 0


def test_nobody_finds_another_tenants_stream_by_its_name() -> None:
    table = StreamTable[int](8, 30.0, lambda value: False)
    table.add(key("call", tenant="a"), 1, 0.0)

    assert table.get(key("call", tenant="b"), 0.0) is None
