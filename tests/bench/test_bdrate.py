import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from auralink.bench.bdrate import RatePoint, _area, _pchip, bd_rate, decibels, monotone, rate_at

ANCHOR = [RatePoint(r, q) for r, q in ((100, 30.0), (210, 33.1), (400, 35.9), (800, 38.2))]


def cheaper(points: list[RatePoint], factor: float) -> list[RatePoint]:
    return [RatePoint(point.rate * factor, point.quality) for point in points]


@pytest.mark.parametrize("factor", [0.2, 0.8, 1.0, 1.5, 4.0])
def test_uniformly_cheaper_is_just_that_much_cheaper(factor: float) -> None:
    delta = bd_rate(ANCHOR, cheaper(ANCHOR, factor))

    assert delta is not None
    assert delta.percent == pytest.approx(100 * (factor - 1))
    assert (delta.low, delta.high, delta.share) == (30.0, 38.2, 1.0)


@given(factors=st.lists(st.floats(0.3, 3), min_size=4, max_size=4))
def test_swapping_the_sides_inverts_the_ratio(factors: list[float]) -> None:
    test = [RatePoint(p.rate * f, p.quality) for p, f in zip(ANCHOR, factors, strict=True)]
    test = [
        RatePoint(r, p.quality) for r, p in zip(sorted(p.rate for p in test), test, strict=True)
    ]

    there, back = bd_rate(ANCHOR, test), bd_rate(test, ANCHOR)

    if there and back and len(monotone(test)) == 4:
        assert (1 + there.percent / 100) * (1 + back.percent / 100) == pytest.approx(1)


def test_other_quality_samples_of_one_curve_make_no_difference() -> None:
    curve = [RatePoint(math.exp(quality / 4), quality) for quality in (30, 31, 33, 36, 40)]
    other = [RatePoint(math.exp(quality / 4), quality) for quality in (28, 32, 35, 37, 39)]

    delta = bd_rate(curve, other)

    assert delta is not None
    assert delta.percent == pytest.approx(0, abs=1e-9)
    assert (delta.low, delta.high) == (30, 39)
    assert delta.share == pytest.approx(0.9)


def test_curves_that_share_no_quality_cannot_be_compared() -> None:
    better = [RatePoint(point.rate, point.quality + 10) for point in ANCHOR]

    assert bd_rate(ANCHOR, better) is None
    assert bd_rate(ANCHOR, ANCHOR[:1]) is None
    assert bd_rate([], ANCHOR) is None


def test_points_that_cost_more_for_less_are_left_out() -> None:
    points = [RatePoint(100, 30), RatePoint(150, 29), RatePoint(90, 28), RatePoint(200, 30)]

    assert monotone(points) == [RatePoint(90, 28), RatePoint(100, 30)]


def test_the_rate_for_a_quality_is_read_off_the_curve() -> None:
    assert rate_at(ANCHOR, 33.1) == pytest.approx(210)
    assert rate_at(ANCHOR, 29) is None
    assert rate_at(ANCHOR, 39) is None


def test_interpolates_like_the_published_method() -> None:
    # Values of scipy.interpolate.PchipInterpolator([0, 1, 3, 4, 7], [0, 2, 2.5, 6, 6.2]).
    x, y = [0.0, 1, 3, 4, 7], [0.0, 2, 2.5, 6, 6.2]
    at = np.array([0.25, 0.9, 2.0, 3.5, 5.0, 6.9])

    assert _pchip(x, y, at) == pytest.approx(EXPECTED_VALUES, abs=1e-9)
    assert _area(x, y, 0.5, 6) == pytest.approx(EXPECTED_AREA, abs=1e-9)


EXPECTED_VALUES = [
    0.6529771959,
    1.9278445946,
    2.2425232610,
    4.2950686608,
    6.1211159211,
    6.1998503127,
]
EXPECTED_AREA = 21.8443940949


def test_similarity_in_decibels() -> None:
    assert decibels(0.9) == pytest.approx(10)
    assert decibels(0.999) == pytest.approx(30)
    assert decibels(1.0) == pytest.approx(60)
