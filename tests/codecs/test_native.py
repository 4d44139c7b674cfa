import numpy as np
import pytest

from auralink.bench.clips import Clip, synthetic
from auralink.bench.metrics import psnr
from auralink.codecs.base.native import NativeCodec, open_decoder, open_encoder
from auralink.codecs.base.protocol import BaseUnit, Order
from auralink.codecs.base.pyav_codec import PyavEncoder
from auralink.codecs.errors import DecoderError, EncoderError, InputError, UnsupportedError
from auralink.codecs.frame import blank

CODECS: tuple[NativeCodec, ...] = ("vp8", "vp9", "h264")

# 60 kbit/s for 160x96 at 30 fps shows the pattern with some blur.
RATE = 60_000


@pytest.fixture(scope="module")
def clip() -> Clip:
    return synthetic(160, 96, 24)


def coded(encoder: PyavEncoder, clip: Clip, keys: frozenset[int] = frozenset()) -> list[BaseUnit]:
    return [
        encoder.encode(frame, Order(number=number, bitrate_bps=RATE, key=number in keys))
        for number, frame in enumerate(clip.frames)
    ]


@pytest.mark.parametrize("codec", CODECS)
def test_gives_one_unit_per_frame_and_one_frame_per_unit(codec: NativeCodec, clip: Clip) -> None:
    encoder, decoder = open_encoder(codec, clip.fps), open_decoder(codec)

    units = coded(encoder, clip)
    frames = [decoder.decode(u.data, f.pts_us) for u, f in zip(units, clip.frames, strict=True)]

    assert [frame.pts_us for frame in frames] == [frame.pts_us for frame in clip.frames]
    assert np.mean([psnr(a.y, b.y) for a, b in zip(clip.frames, frames, strict=True)]) > 26
    assert np.mean([psnr(a.u, b.u) for a, b in zip(clip.frames, frames, strict=True)]) > 28


@pytest.mark.parametrize("codec", CODECS)
def test_makes_key_units_first_and_on_request_only(codec: NativeCodec, clip: Clip) -> None:
    units = coded(open_encoder(codec, clip.fps), clip, frozenset({9}))

    assert [unit.number for unit in units if unit.key] == [0, 9]
    assert [unit.depends for unit in units[:3]] == [(), (0,), (1,)]
    assert units[9].depends == ()
    assert all(unit.reference and unit.layer == 0 for unit in units)


@pytest.mark.parametrize("codec", CODECS)
def test_a_receiver_can_start_at_a_requested_key(codec: NativeCodec, clip: Clip) -> None:
    units = coded(open_encoder(codec, clip.fps), clip, frozenset({9}))
    whole, late = open_decoder(codec), open_decoder(codec)

    from_start = [whole.decode(unit.data, 0) for unit in units][9:]
    from_key = [late.decode(unit.data, 0) for unit in units[9:]]

    assert all(a.same_pixels(b) for a, b in zip(from_start, from_key, strict=True))


@pytest.mark.parametrize("codec", CODECS)
def test_keeps_a_rate_that_moves_little_and_reopens_for_one_that_moves_much(
    codec: NativeCodec, clip: Clip
) -> None:
    encoder = open_encoder(codec, clip.fps)
    rates = [RATE] * 8 + [round(RATE * 1.09)] * 8 + [RATE * 2] * 8

    keys = [
        encoder.encode(frame, Order(number=n, bitrate_bps=rate)).key
        for n, (frame, rate) in enumerate(zip(clip.frames, rates, strict=True))
    ]

    assert [number for number, key in enumerate(keys) if key] == [0, 16]


@pytest.mark.parametrize("codec", CODECS)
def test_takes_another_size_with_a_key_unit(codec: NativeCodec, clip: Clip) -> None:
    encoder, decoder = open_encoder(codec, clip.fps), open_decoder(codec)
    small = synthetic(96, 64, 2)

    sizes = []
    for number, frame in enumerate([*clip.frames[:2], *small.frames]):
        unit = encoder.encode(frame, Order(number=number, bitrate_bps=RATE))
        sizes.append((unit.key, decoder.decode(unit.data, 0).size))

    assert sizes == [
        (True, (160, 96)),
        (False, (160, 96)),
        (True, (96, 64)),
        (False, (96, 64)),
    ]


@pytest.mark.parametrize("codec", CODECS)
def test_a_coarser_constant_quantizer_costs_fewer_bytes(codec: NativeCodec, clip: Clip) -> None:
    sizes = [
        sum(len(unit.data) for unit in coded(open_encoder(codec, clip.fps, quantizer=q), clip))
        for q in (20, 40, 60)
    ]

    assert sizes == sorted(sizes, reverse=True)
    assert sizes[0] > 2 * sizes[2]


@pytest.mark.parametrize("codec", CODECS)
def test_a_decoder_survives_garbage(codec: NativeCodec, clip: Clip) -> None:
    units = coded(open_encoder(codec, clip.fps), clip, frozenset({6}))
    decoder = open_decoder(codec)
    noise = np.random.default_rng(1)

    decoder.decode(units[0].data, 0)
    for data in (b"", b"\0", noise.bytes(60), noise.bytes(2000)):
        with pytest.raises(DecoderError):
            decoder.decode(data, 0)
    after = [decoder.decode(unit.data, 0) for unit in units[6:9]]

    assert min(psnr(a.y, b.y) for a, b in zip(clip.frames[6:9], after, strict=True)) > 20


@pytest.mark.parametrize("codec", CODECS)
def test_a_decoder_refuses_pictures_beyond_its_bound(codec: NativeCodec, clip: Clip) -> None:
    unit = coded(open_encoder(codec, clip.fps), clip)[0]

    with pytest.raises(DecoderError):
        open_decoder(codec, max_pixels=80 * 48).decode(unit.data, 0)


def test_repeated_capture_times_are_no_error(clip: Clip) -> None:
    encoder = open_encoder("vp8", clip.fps)

    units = [
        encoder.encode(clip.frames[0].at(0), Order(number=n, bitrate_bps=RATE)) for n in range(3)
    ]

    assert len(units) == 3


def test_odd_sizes_are_left_to_the_caller() -> None:
    with pytest.raises(InputError, match="even size"):
        open_encoder("vp8", 30).encode(blank(33, 32), Order(number=0))


def test_a_closed_encoder_says_so_and_closes_twice(clip: Clip) -> None:
    encoder, decoder = open_encoder("vp8", clip.fps), open_decoder("vp8")
    unit = encoder.encode(clip.frames[0], Order(number=0, bitrate_bps=RATE))

    for codec in (encoder, decoder):
        codec.close()
        codec.close()

    with pytest.raises(EncoderError, match="closed"):
        encoder.encode(clip.frames[0], Order(number=1))
    with pytest.raises(DecoderError, match="closed"):
        decoder.decode(unit.data, 0)


def test_a_missing_library_is_named() -> None:
    from auralink.codecs.base.pyav_codec import video_context

    with pytest.raises(UnsupportedError, match="no_such_codec"):
        video_context("no_such_codec", "r")
