"""Preset by measured time."""

import pytest

from auralink.codecs.video.speed import NOMINAL_MS, SpeedControl

PIXELS = 640 * 360


def control(
    *, pinned: int | None = None, budget_ms: float = 33.3, slowest: int = 4
) -> SpeedControl:
    return SpeedControl(
        pinned=pinned, pixels=PIXELS, budget_ms=budget_ms, screen=False, slowest=slowest
    )


def nominal(preset: int) -> float:
    return NOMINAL_MS[preset] * PIXELS / 1e6


def test_less_time_means_a_faster_preset() -> None:
    presets = [control(budget_ms=ms).preset for ms in (200.0, 33.3, 16.7, 8.0, 1.0)]

    assert presets == sorted(presets)
    assert presets[0] == 4
    assert presets[-1] == max(NOMINAL_MS)


def test_a_machine_half_as_fast_gets_a_faster_preset_at_once() -> None:
    speed = control()
    before = speed.preset

    changed = [speed.observe(2.2 * nominal(speed.preset)) for _ in range(200)]

    assert any(changed)
    assert speed.preset > before


def test_single_slow_frames_change_nothing() -> None:
    speed = control()
    usual = nominal(speed.preset)

    assert not any(speed.observe(usual * (3 if i % 40 == 39 else 0.9)) for i in range(300))


def test_a_machine_that_stood_still_for_two_seconds_changes_nothing() -> None:
    speed = control()
    usual = 0.8 * nominal(speed.preset)
    for _ in range(100):
        speed.observe(usual)

    assert not speed.observe(2_000.0)
    assert not any(speed.observe(usual) for _ in range(100))


def test_a_faster_machine_waits_for_a_key() -> None:
    speed = control(budget_ms=20.0)
    before = speed.preset
    for _ in range(300):
        assert not speed.observe(0.3 * nominal(speed.preset))
    assert speed.preset == before

    assert speed.at_key(pixels=PIXELS, screen=False) < before


def test_a_pinned_preset_stays_whatever_it_takes() -> None:
    speed = control(pinned=6)

    assert not any(speed.observe(500.0) for _ in range(300))
    assert speed.at_key(pixels=4 * PIXELS, screen=True) == 6


@pytest.mark.parametrize("slowest", [3, 5, 8])
def test_never_slower_than_allowed(slowest: int) -> None:
    assert control(budget_ms=10_000, slowest=slowest).preset == slowest
