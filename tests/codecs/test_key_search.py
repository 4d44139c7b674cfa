"""A key is brought to its limit from tries on both sides of it, cliffs included."""

import math
from itertools import pairwise

import pytest

from auralink.codecs.video.rate.key_search import KeySearch

LIMIT = 18_000


def page_of_text(quantizer: float) -> int:
    """Bits of a PDF page at 480x360, measured; text is wiped out from about 53 on."""
    points = ((40, 148_000), (45, 134_000), (53, 77_000), (57, 37_000), (59, 23_000), (63, 4_600))
    for (low, more), (high, less) in pairwise(points):
        if quantizer <= high:
            share = (quantizer - low) / (high - low)
            return round(math.exp(math.log(more) * (1 - share) + math.log(less) * share))
    return points[-1][1]


@pytest.mark.parametrize("first", [(40, 63), (63, 40), (45, 63), (53, 63)])
def test_ends_close_below_the_limit_where_a_straight_line_is_far_off(
    first: tuple[int, int],
) -> None:
    search = KeySearch(LIMIT)
    for quantizer in first:
        search.tried(quantizer, page_of_text(quantizer))

    third = round(search.next(1.0))
    search.tried(third, page_of_text(third))
    last = round(search.next(1.0, last=True))

    assert 0.3 * LIMIT < page_of_text(last) <= 1.3 * LIMIT


def test_believes_the_guess_until_both_sides_are_known() -> None:
    search = KeySearch(LIMIT)

    assert search.next(44.0) == 44.0
    search.tried(44, 2 * LIMIT)
    search.tried(50, LIMIT + 1)
    assert search.next(55.0, last=True) == 55.0


def test_keeps_the_closest_try_of_either_side() -> None:
    search = KeySearch(LIMIT)
    for quantizer, bits in ((30, 90_000), (62, 2_000), (50, 36_000), (58, 9_000)):
        search.tried(quantizer, bits)

    assert search.next(1.0) == pytest.approx(54.0)
    assert search.next(1.0, last=True) == pytest.approx(56.0)


def test_neighbours_leave_only_the_coarser_one() -> None:
    search = KeySearch(LIMIT)
    search.tried(51, LIMIT * 3)
    search.tried(52, LIMIT // 2)

    assert search.next(1.0) == 52
