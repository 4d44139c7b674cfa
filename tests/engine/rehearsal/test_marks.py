"""Numbers in pictures: read back after lossy coding, at other sizes, not where there are none."""

import numpy as np
import pytest

from auralink.codecs.base.native import open_decoder, open_encoder
from auralink.codecs.base.protocol import Order
from auralink.codecs.frame import Frame
from auralink.codecs.resample import Resampler
from auralink.engine.rehearsal import marks

SIZE = (640, 360)


def marked(number: int) -> Frame:
    luma = np.random.default_rng(1).integers(60, 180, (SIZE[1], SIZE[0]), np.uint8)
    chroma = np.full((SIZE[1] // 2, SIZE[0] // 2), 128, np.uint8)
    marks.draw(luma, number)
    return Frame(y=luma, u=chroma, v=chroma, pts_us=number * 33_333)


@pytest.mark.parametrize("number", [0, 1, 2, 255, 4_095, marks.NUMBERS - 1])
def test_a_number_is_read_back(number: int) -> None:
    assert marks.read(marked(number).y, SIZE[0]) == number


def test_numbers_go_around() -> None:
    assert marks.read(marked(marks.NUMBERS + 5).y, SIZE[0]) == 5
    assert marks.follow(marks.NUMBERS - 3, 5) == marks.NUMBERS + 5
    assert marks.follow(marks.NUMBERS + 5, marks.NUMBERS - 3) == marks.NUMBERS - 3


@pytest.mark.parametrize("size", [(320, 180), (426, 240), (1280, 720)])
def test_numbers_survive_another_size(size: tuple[int, int]) -> None:
    resampler = Resampler()

    for number in (0, 1_234, 8_000):
        assert marks.read(resampler.resize(marked(number), *size).y, SIZE[0]) == number


def test_numbers_survive_vp8_at_a_low_rate() -> None:
    encoder, decoder = open_encoder("vp8", 30), open_decoder("vp8")
    try:
        for number in range(1_000, 1_060):
            order = Order(number=number, bitrate_bps=150_000, key=number == 1_000)
            unit = encoder.encode(marked(number), order)
            shown = decoder.decode(unit.data, 0)
            assert marks.read(shown.y, SIZE[0]) == number
    finally:
        encoder.close()
        decoder.close()


def test_a_grey_picture_has_no_number() -> None:
    assert marks.read(np.full((360, 640), 128, np.uint8), 640) is None


def test_from_a_number_to_the_next_one_bit_changes() -> None:
    for number in range(200):
        before, after = marked(number).y, marked(number + 1).y
        assert np.count_nonzero(before != after) == 2 * 16 * 16
