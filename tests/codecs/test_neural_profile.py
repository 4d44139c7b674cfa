"""The learned profile from frames to packets to pictures: loss, repair, rate, bad streams."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from auralink.codecs.errors import InputError, UnsupportedError
from auralink.codecs.frame import Frame, blank
from auralink.codecs.neural.networks import NeuralNetworks
from auralink.codecs.video.options import EncoderOptions
from auralink.codecs.video.packetizer import MAX_DATA_BYTES
from auralink.codecs.video.profiles import open_decoder, open_encoder
from auralink.codecs.video.protocol import Coded, Kind, Outcome, Picture, Status, VideoEncoder, Wish
from auralink.codecs.video.receiver import Receiver

from .neural.networks import networks
from .pictures import moving, noisy, psnr

SIZE = (144, 96)
WISH = Wish()


def encoder(fps: float = 30, quantizer: float = 45) -> VideoEncoder:
    options = EncoderOptions(quantizer=quantizer)
    return open_encoder("neural-s", fps=fps, options=options, neural=networks)


def receiver() -> Receiver:
    return Receiver(open_decoder(neural=networks))


def push(to: Receiver, packets: Sequence[bytes]) -> list[Picture]:
    return [picture for packet in packets for picture in to.push(packet)]


def coded(count: int, size: tuple[int, int] = SIZE) -> list[Coded]:
    one = encoder()
    return [one.encode(moving(number, size), WISH) for number in range(count)]


def test_the_decoder_has_the_picture_that_the_encoder_has() -> None:
    one, to = encoder(), receiver()
    for number in range(12):
        frame = moving(number, SIZE)
        unit = one.encode(frame, WISH)
        (picture,) = push(to, unit.packets)
        state = one._states.get(unit.number)
        assert picture.status is Status.DECODED
        assert picture.frame is not None
        assert np.array_equal(picture.frame.y, state.planes.y[:96, :144])
        assert abs(picture.frame.pts_us - frame.pts_us) <= 50
    assert psnr(picture.frame.y, frame.y) > 17


@pytest.mark.parametrize("size", [(1, 1), (17, 33), (160, 16), (95, 97)])
def test_any_size_comes_back(size: tuple[int, int]) -> None:
    to = receiver()
    for unit in coded(3, size):
        (picture,) = push(to, unit.packets)
        assert picture.frame is not None
        assert picture.frame.size == size


def test_packets_keep_their_limit_and_say_what_they_are() -> None:
    one = encoder(quantizer=20)
    units = [one.encode(noisy(number, (320, 240)), WISH) for number in range(3)]

    assert len(units[0].packets) > 4
    assert [unit.kind for unit in units] == [Kind.KEY, Kind.DELTA, Kind.DELTA]
    for unit in units:
        assert unit.conceals
        assert max(map(len, unit.packets)) <= MAX_DATA_BYTES
        assert unit.size == unit.payload_bytes + unit.header_bytes


def test_any_packet_of_a_key_lets_a_stream_go_on() -> None:
    one, to = encoder(quantizer=20), receiver()
    push(to, one.encode(noisy(0, (320, 240)), WISH).packets)
    key = one.encode(noisy(1, (320, 240)), Wish(key=True))
    after = one.encode(noisy(2, (320, 240)), WISH)

    pictures = push(to, [*key.packets[1:], *after.packets])

    assert pictures[0].status is Status.CONCEALED
    assert pictures[0].number == key.number


def test_losses_are_concealed_and_told_until_a_key_restores() -> None:
    one, to, chance = encoder(), receiver(), np.random.default_rng(1)
    statuses = []
    for number in range(40):
        unit = one.encode(moving(number, SIZE), Wish(key=number == 30))
        for packet in unit.packets:
            if number < 2 or number >= 30 or chance.random() > 0.3:
                statuses += [(p.number, p.status) for p in push(to, [packet])]

    before = [status for number, status in statuses if number < 30]
    assert Status.CONCEALED in before
    assert Status.FROZEN not in before
    assert {status for number, status in statuses if number >= 30} == {Status.DECODED}
    assert not to.stuck


def test_a_lost_unit_delays_no_more_than_one() -> None:
    to = receiver()
    units = coded(6)
    released = [[p.number for p in push(to, unit.packets)] for unit in units if unit.number != 2]

    assert released == [[0], [1], [], [3, 4], [5]]


def test_a_report_is_answered_from_an_acknowledged_picture_and_not_by_a_key() -> None:
    one, to = encoder(), receiver()
    report, statuses, kinds = None, [], []
    for number in range(24):
        unit = one.encode(moving(number, SIZE), Wish(report=report))
        report = None
        kinds.append(unit.kind)
        if number != 9:
            statuses += [p.status for p in push(to, unit.packets)]
        if number % 4 == 3:
            report = to.report()

    assert kinds.count(Kind.KEY) == 1
    assert Status.CONCEALED in statuses
    assert statuses[-6:] == [Status.DECODED] * 6


def test_when_no_acknowledged_picture_is_left_a_key_answers() -> None:
    one, to = encoder(), receiver()
    for number in range(90):
        one.encode(moving(number, SIZE), WISH)
    push(to, coded(2)[0].packets)
    report = replace(to.report(), stuck=True)

    assert one.encode(moving(90, SIZE), Wish(report=report)).kind is Kind.KEY


def test_a_scene_that_stays_costs_a_skip_of_a_few_bytes() -> None:
    one, to = encoder(), receiver()
    frame = moving(0, SIZE)
    units = [one.encode(frame.at(33_333 * number), WISH) for number in range(40)]
    pictures = push(to, [packet for unit in units for packet in unit.packets])

    assert units[-1].outcome is Outcome.SKIPPED
    assert units[-1].size <= 6
    assert pictures[-1].status is Status.REPEATED
    assert len(pictures) == 40


def test_a_new_size_starts_with_a_key() -> None:
    one, to = encoder(), receiver()
    push(to, one.encode(moving(0, SIZE), WISH).packets)
    unit = one.encode(moving(1, (64, 80)), WISH)

    assert unit.kind is Kind.KEY
    assert push(to, unit.packets)[0].frame.size == (64, 80)


def test_rate_control_meets_its_target_and_keeps_the_first_key_small() -> None:
    one = encoder()
    units = [
        one.encode(noisy(number, (320, 240)), Wish(bitrate_bps=200_000)) for number in range(90)
    ]

    assert units[0].size * 8 < 200_000 * 0.6 * 1.4
    settled = sum(unit.size for unit in units[30:]) * 8 * 30 / 60
    assert settled == pytest.approx(200_000, rel=0.15)


def test_a_stream_goes_on_with_another_encoder() -> None:
    to, options = receiver(), EncoderOptions(first_unit=70_003)
    first = encoder()
    for number in range(3):
        push(to, first.encode(moving(number, SIZE), WISH).packets)
    second = open_encoder("neural-s", fps=30, options=options, neural=networks)
    statuses = [
        picture.status
        for number in range(3, 20)
        for picture in push(to, second.encode(moving(number, SIZE), WISH).packets)
    ]

    assert statuses == [Status.DECODED] * 17


def test_times_that_go_back_are_refused() -> None:
    one = encoder()
    one.encode(moving(5, SIZE), WISH)

    assert one.encode(moving(5, SIZE), WISH).outcome is Outcome.DROPPED_TIME


def test_pictures_too_large_for_networks_are_the_callers_fault() -> None:
    with pytest.raises(InputError, match="2,088,960"):
        encoder().encode(blank(2048, 1152), WISH)


def test_without_networks_the_error_names_them() -> None:
    with pytest.raises(UnsupportedError, match="neural-s"):
        open_encoder("neural-s", fps=30)

    (picture,) = push(Receiver(open_decoder()), coded(1)[0].packets)
    assert picture.status is Status.FROZEN
    assert "networks of 16" in picture.reason


def test_networks_that_a_stream_names_and_nobody_has_freeze_it() -> None:
    def missing(key: str | int) -> NeuralNetworks:
        raise UnsupportedError(f"no codec {key}")

    (picture,) = push(Receiver(open_decoder(neural=missing)), coded(1)[0].packets)

    assert picture.status is Status.FROZEN
    assert "no codec 16" in picture.reason


def test_one_decoder_follows_a_stream_from_profile_to_profile() -> None:
    to = receiver()
    native = open_encoder("native-vp8", fps=30)
    frames = [moving(number, SIZE) for number in range(4)]
    push(to, native.encode(frames[0], Wish(bitrate_bps=200_000)).packets)
    one = encoder()
    for number in range(3):  # so that numbers go on
        learned = one.encode(frames[number], WISH)
    key = one.encode(frames[3], Wish(key=True))
    native.close()

    (picture,) = push(to, key.packets)

    assert learned.number == 2
    assert picture.status is Status.DECODED
    assert psnr(picture.frame.y, frames[3].y) > 17


def test_a_picture_that_only_repeats_what_was_lost_is_not_believed() -> None:
    """After a loss a skip repeats our own picture, and the report goes on asking."""
    one, to = encoder(), receiver()
    units = [one.encode(f, WISH) for f in _still(26)]
    lost = next(unit for unit in units if unit.number == 3)
    push(to, [p for unit in units if unit is not lost for p in unit.packets])

    assert to.stuck


def _still(count: int) -> list[Frame]:
    frames = [moving(number, SIZE) for number in range(5)]
    return frames + [frames[-1].at(33_333 * number) for number in range(5, count)]
