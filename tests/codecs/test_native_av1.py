import numpy as np
import pytest

from auralink.bench.clips import Clip, synthetic
from auralink.bench.metrics import psnr
from auralink.codecs.base.dav1d import Dav1dDecoder
from auralink.codecs.base.protocol import BaseUnit, Order
from auralink.codecs.base.pyav_av1 import open_encoder
from auralink.codecs.base.scheduling import policies
from auralink.codecs.errors import DecoderError


@pytest.fixture(scope="module")
def clip() -> Clip:
    return synthetic(128, 96, 20)


@pytest.fixture(scope="module")
def units(clip: Clip) -> list[BaseUnit]:
    """Constant quality, a key at 0 and at 10."""
    encoder = open_encoder(clip.fps, preset=12)
    made = [
        encoder.encode(frame, Order(number=n, quantizer=40, key=n == 10))
        for n, frame in enumerate(clip.frames)
    ]
    encoder.close()
    return made


def test_decodes_one_frame_per_unit(clip: Clip, units: list[BaseUnit]) -> None:
    decoder = Dav1dDecoder()

    frames = [decoder.decode(u.data, f.pts_us) for u, f in zip(units, clip.frames, strict=True)]

    assert [frame.pts_us for frame in frames] == [frame.pts_us for frame in clip.frames]
    assert min(psnr(a.y, b.y) for a, b in zip(clip.frames, frames, strict=True)) > 28
    assert [unit.number for unit in units if unit.key] == [0, 10]


def test_constant_quality_reopens_only_for_a_quantizer_far_away(clip: Clip) -> None:
    encoder = open_encoder(clip.fps, preset=12)
    quantizers = [40, 41, 43, 44, 46, 47, 48]

    keys = [
        encoder.encode(frame, Order(number=n, quantizer=quantizer)).key
        for n, (frame, quantizer) in enumerate(zip(clip.frames, quantizers, strict=False))
    ]

    assert [number for number, key in enumerate(keys) if key] == [0, 3, 6]


def test_a_bit_rate_is_followed_without_reopening(clip: Clip) -> None:
    encoder = open_encoder(clip.fps, preset=12)

    units = [
        encoder.encode(frame, Order(number=n, bitrate_bps=60_000 + 100 * n))
        for n, frame in enumerate(clip.frames)
    ]

    assert sum(unit.key for unit in units) == 1
    assert not encoder.capabilities.quantizer


def test_opening_leaves_no_real_time_thread(clip: Clip) -> None:
    before = set(policies().values())

    encoder = open_encoder(clip.fps, preset=12)
    encoder.encode(clip.frames[0], Order(number=0))

    assert set(policies().values()) == before


def test_prints_nothing(clip: Clip, capfd: pytest.CaptureFixture[str]) -> None:
    encoder = open_encoder(clip.fps, preset=12)
    unit = encoder.encode(clip.frames[0], Order(number=0))
    encoder.close()
    decoder = Dav1dDecoder()
    decoder.decode(unit.data, 0)
    with pytest.raises(DecoderError):
        decoder.decode(b"garbage" * 20, 0)

    printed = capfd.readouterr()

    assert "error" not in printed.err.lower()


def test_garbage_between_units_harms_no_other_unit(units: list[BaseUnit]) -> None:
    clean, disturbed = Dav1dDecoder(), Dav1dDecoder()
    noise = np.random.default_rng(2)

    for unit in units:
        with pytest.raises(DecoderError):
            disturbed.decode(noise.bytes(90), 0)
        with pytest.raises(DecoderError):
            disturbed.decode(b"", 0)
        assert disturbed.decode(unit.data, 0).same_pixels(clean.decode(unit.data, 0))


def test_recovers_with_the_next_key_after_a_lost_one(units: list[BaseUnit]) -> None:
    whole, harmed = Dav1dDecoder(), Dav1dDecoder()
    expected = [whole.decode(unit.data, 0) for unit in units]

    with pytest.raises(DecoderError):
        harmed.decode(units[0].data[:40], 0)
    with pytest.raises(DecoderError):
        harmed.decode(units[1].data, 0)
    recovered = [harmed.decode(unit.data, 0) for unit in units[10:]]

    assert all(a.same_pixels(b) for a, b in zip(expected[10:], recovered, strict=True))


def test_a_size_bomb_is_refused(units: list[BaseUnit]) -> None:
    with pytest.raises(DecoderError):
        Dav1dDecoder(max_pixels=100 * 90).decode(units[0].data, 0)
