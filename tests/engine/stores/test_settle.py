"""Which of several sessions of a participant stays open.  Pure."""

from auralink.engine.stores.database.statements import settle

from .rows import NOON, after, session


def test_a_new_session_ends_the_one_before() -> None:
    ends, rows = settle([session("new", started_at=after(9))], [("old", "room", "ann", NOON)])

    assert ends == {"old": after(9)}
    assert rows == [session("new", started_at=after(9))]


def test_a_session_that_started_earlier_is_over() -> None:
    ends, (row,) = settle([session("old")], [("new", "room", "ann", after(9))])

    assert ends == {}
    assert (row.ended_at, row.end_reason) == (after(9), "replaced")


def test_of_two_in_one_batch_the_later_stays_open() -> None:
    _, rows = settle([session("b", started_at=after(9)), session("a")], [])

    assert {row.session_id: row.ended_at for row in rows} == {"a": after(9), "b": None}


def test_the_last_row_of_a_session_counts() -> None:
    _, rows = settle([session(frames=1), session(frames=2)], [("s1", "room", "ann", NOON)])

    assert rows == [session(frames=2)]


def test_other_participants_and_calls_are_left_alone() -> None:
    opened = [("x", "room", "bob", NOON), ("y", "room2", "ann", NOON)]

    ends, rows = settle([session("new", started_at=after(9))], opened)

    assert ends == {}
    assert rows[0].ended_at is None


def test_an_ended_session_replaces_nobody() -> None:
    ends, _ = settle(
        [session("short", started_at=after(1), ended_at=after(2))], [("old", "room", "ann", NOON)]
    )

    assert ends == {}
