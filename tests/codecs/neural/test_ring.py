"""States by number: both ends keep the same ones, whatever got lost between them."""

from auralink.codecs.neural.ring import NEWEST, REACH, Ring


def test_the_newest_few_are_kept_and_every_eighth_for_longer() -> None:
    ring: Ring[int] = Ring()
    for number in range(200):
        ring.keep(number, number)

    kept = ring.numbers()
    assert kept[:NEWEST] == list(range(199, 199 - NEWEST, -1))
    assert kept[NEWEST:] == [n for n in range(184, 199 - REACH, -8) if n < 192]
    assert ring.newest == 199
    assert ring.get(190) is None
    assert ring.get(160) == 160


def test_an_end_that_missed_some_keeps_no_others_than_the_one_that_did_not() -> None:
    whole: Ring[int] = Ring()
    holed: Ring[int] = Ring()
    for number in range(300):
        whole.keep(number, number)
        if number % 3 and number % 8:
            holed.keep(number, number)
            assert set(holed.numbers()) <= set(whole.numbers())


def test_cleared_is_empty() -> None:
    ring: Ring[int] = Ring()
    ring.keep(5, 5)
    ring.clear()

    assert ring.newest is None
    assert ring.numbers() == []
