"""Rows that wait: bounded, and every one of them written, dropped or still here."""

from hypothesis import given
from hypothesis import strategies as st

from auralink.engine.stores.database.buffer import RowBuffer

from .rows import interval

ROWS = [interval(i) for i in range(50)]


def test_the_oldest_make_room() -> None:
    buffer = RowBuffer(3)

    for row in ROWS[:5]:
        buffer.add(row)

    assert buffer.oldest(10) == ROWS[2:5]
    assert buffer.dropped == 2


def test_a_batch_stays_until_it_is_written() -> None:
    buffer = RowBuffer(10)
    for row in ROWS[:5]:
        buffer.add(row)

    assert buffer.oldest(2) == ROWS[:2]  # the write fails
    assert buffer.oldest(3) == ROWS[:3]
    buffer.written()

    assert buffer.oldest(10) == ROWS[3:5]
    assert buffer.dropped == 0


@given(st.lists(st.sampled_from(["add", "take", "written", "failed"]), max_size=50))
def test_no_row_is_lost_or_counted_twice(steps: list[str]) -> None:
    buffer = RowBuffer(4)
    added = written = 0
    taken: int | None = None
    for step in steps:
        match step:
            case "add":
                buffer.add(ROWS[added])
                added += 1
            case "take":
                taken = len(buffer.oldest(3))
            case "written" if taken is not None:
                buffer.written()
                written, taken = written + taken, None
            case "failed":
                taken = None
        if taken is None and step == "written":
            assert written + buffer.dropped + len(buffer) == added
        assert len(buffer) <= 4
