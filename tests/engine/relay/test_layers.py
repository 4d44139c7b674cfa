"""Which simulcast layer an encoder is worth."""

from auralink.engine.relay.layers import LayerChoice

FULL, HALF, QUARTER = (1280, 720), (640, 360), (320, 180)
STEP_US = 250_000


def watch(
    choice: LayerChoice,
    seconds: float,
    *,
    frame: tuple[int, int],
    coded: tuple[int, int],
    bitrate_bps: float,
    start_s: float = 0.0,
) -> list[tuple[int, int]]:
    """What is asked for in that time."""
    asked = []
    for step in range(round(seconds * 1e6 / STEP_US)):
        now_us = round(start_s * 1e6) + step * STEP_US
        if choice.update(now_us, frame=frame, coded=coded, bitrate_bps=bitrate_bps):
            asked.append(choice.size)
    return asked


def test_pictures_coded_at_half_their_size_for_long_are_asked_for_at_half() -> None:
    choice = LayerChoice(FULL)

    assert watch(choice, 3.5, frame=FULL, coded=HALF, bitrate_bps=8e4) == []
    assert watch(choice, 1.5, frame=FULL, coded=HALF, bitrate_bps=8e4, start_s=3.5) == [HALF]


def test_a_moment_at_half_size_changes_nothing() -> None:
    choice = LayerChoice(FULL)
    for start_s in range(0, 12, 3):
        assert not watch(choice, 2, frame=FULL, coded=HALF, bitrate_bps=8e4, start_s=start_s)
        assert not watch(choice, 1, frame=FULL, coded=FULL, bitrate_bps=8e4, start_s=start_s + 2)

    assert choice.size == FULL


def test_it_does_not_go_up_again_before_there_is_more_to_spend() -> None:
    choice = LayerChoice(FULL)
    watch(choice, 5, frame=FULL, coded=HALF, bitrate_bps=8e4)

    assert not watch(choice, 30, frame=HALF, coded=HALF, bitrate_bps=8e4, start_s=10)
    assert watch(choice, 9, frame=HALF, coded=HALF, bitrate_bps=13e4, start_s=50) == [FULL]


def test_it_goes_down_step_by_step_and_never_below_the_lowest_layer() -> None:
    choice = LayerChoice(FULL)

    assert watch(choice, 5, frame=FULL, coded=HALF, bitrate_bps=4e4) == [HALF]
    assert watch(choice, 5, frame=HALF, coded=QUARTER, bitrate_bps=4e4, start_s=9) == [QUARTER]
    assert not watch(choice, 60, frame=QUARTER, coded=(160, 90), bitrate_bps=2e4, start_s=20)


def test_a_track_with_one_layer_is_asked_for_once() -> None:
    choice = LayerChoice(FULL)
    # The server has nothing smaller: pictures stay as they are.
    assert watch(choice, 60, frame=HALF, coded=QUARTER, bitrate_bps=4e4) == [QUARTER]
