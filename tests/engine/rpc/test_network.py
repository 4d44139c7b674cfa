"""What samples say about a link: properties that any sound estimator has, and known cases."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from auralink.engine.rpc.network import Class, Sample, analyse, classify, recommend

SECOND = 1_000_000


def samples_of(
    *kbps: float, rtt_ms: float = 50, loss: float = 0, step_s: float = 1
) -> list[Sample]:
    return [
        Sample(
            at_us=index * SECOND,
            bandwidth_kbps=value,
            rtt_ms=50,
            loss_percent=loss,
        )
        for index, value in enumerate(kbps)
    ]


SAMPLES = st.lists(
    st.builds(
        Sample,
        at_us=st.integers(0, 40 * SECOND),
        bandwidth_kbps=st.integers(0, 100_000),
        rtt_ms=st.integers(0, 2_000),
        loss_percent=st.floats(0, 100),
    ),
    min_size=1,
    max_size=60,
)


@given(SAMPLES)
def test_figures_stay_within_what_was_seen(samples: list[Sample]) -> None:
    result = analyse(samples, window_s=30)
    seen = [sample.bandwidth_kbps for sample in samples]

    assert min(seen) <= result.available_kbps <= max(seen)
    assert 0 <= result.predicted_kbps <= max(seen) + 1e-6
    assert 0 <= result.stability <= 1
    assert result.quality is classify(result.available_kbps)
    assert recommend(result)


@given(SAMPLES, st.randoms(use_true_random=False))
def test_order_does_not_count(samples: list[Sample], random: object) -> None:
    shuffled = list(samples)
    random.shuffle(shuffled)  # type: ignore[attr-defined]

    assert analyse(shuffled, window_s=30) == analyse(samples, window_s=30)


@given(SAMPLES, st.integers(0, 10**15))
def test_the_hour_does_not_count(samples: list[Sample], shift_us: int) -> None:
    later = [replace(sample, at_us=sample.at_us + shift_us) for sample in samples]

    assert analyse(later, window_s=30) == analyse(samples, window_s=30)


@given(SAMPLES, st.sampled_from([0.25, 2.0, 8.0]))
def test_twice_the_bandwidth_is_twice_the_figures(samples: list[Sample], factor: float) -> None:
    before = analyse(samples, window_s=30)
    scaled = [replace(one, bandwidth_kbps=one.bandwidth_kbps * factor) for one in samples]
    after = analyse(scaled, window_s=30)

    assert after.available_kbps == pytest.approx(before.available_kbps * factor)
    assert after.predicted_kbps == pytest.approx(before.predicted_kbps * factor)
    assert after.stability == pytest.approx(before.stability)


@given(SAMPLES, st.floats(0, 100))
def test_more_loss_is_never_more_stable(samples: list[Sample], loss: float) -> None:
    worse = [replace(sample, loss_percent=max(sample.loss_percent, loss)) for sample in samples]

    before, after = analyse(samples, window_s=30), analyse(worse, window_s=30)
    assert after.stability <= before.stability + 1e-9


def test_a_steady_link_is_as_it_is() -> None:
    result = analyse(samples_of(*[3_000] * 20), window_s=30)

    assert result.available_kbps == result.predicted_kbps == 3_000
    assert result.stability == 1
    assert not result.aggressive


def test_one_burst_moves_nothing() -> None:
    result = analyse(samples_of(*[3_000] * 8, 90_000, *[3_000] * 3), window_s=30)

    assert result.available_kbps == 3_000
    assert result.predicted_kbps <= 3_000 * 1.3


def test_a_falling_link_is_followed_down() -> None:
    falling = analyse(samples_of(*range(4_000, 2_000, -200)), window_s=30)

    assert falling.predicted_kbps < 2_200
    assert falling.available_kbps > falling.predicted_kbps


def test_a_link_that_rises_is_not_believed_to_go_on() -> None:
    rising = analyse(samples_of(*range(2_000, 4_000, 200)), window_s=30)

    assert rising.predicted_kbps <= 3_800


def test_what_lies_before_the_window_is_forgotten() -> None:
    old = samples_of(100, 100, 100)
    new = [replace(one, at_us=one.at_us + 100 * SECOND) for one in samples_of(9_000, 9_000)]

    assert analyse(old + new, window_s=30) == analyse(new, window_s=30)


@pytest.mark.parametrize(
    ("kbps", "expected"),
    [
        (999.9, Class.POOR),
        (1_000, Class.FAIR),
        (4_999, Class.FAIR),
        (5_000, Class.GOOD),
        (10_000, Class.GOOD),
        (10_001, Class.EXCELLENT),
    ],
)
def test_classes_have_the_bounds_of_the_contract(kbps: float, expected: Class) -> None:
    assert classify(kbps) is expected


def test_loss_as_of_a_bad_link_asks_for_aggressive_compression() -> None:
    lossy = analyse(samples_of(*[3_000] * 10, loss=12), window_s=30)

    assert lossy.stability == 0
    assert lossy.aggressive
    assert "aggressive" in recommend(lossy)


def test_a_dead_link_is_predicted_dead() -> None:
    result = analyse(samples_of(3_000, 3_000, 3_000, 3_000, 0), window_s=30)

    assert result.predicted_kbps == 0


def test_nothing_is_known_without_samples() -> None:
    result = analyse([], window_s=30)

    assert result.quality is Class.UNKNOWN
    assert not result.aggressive
    assert "no samples" in recommend(result)
