"""Encoder, packets, receiver and decoder together, on real base codecs."""

import itertools
from collections.abc import Iterator

import numpy as np
import pytest

from auralink.codecs.base.hierarchy import Hierarchy
from auralink.codecs.base.protocol import BaseEncoder, BaseUnit, Capabilities, Order
from auralink.codecs.errors import EncoderError, UnsupportedError
from auralink.codecs.frame import Frame, blank
from auralink.codecs.video.base_session import BaseSettings
from auralink.codecs.video.options import EncoderOptions
from auralink.codecs.video.profiles import BASE_PROFILES, open_base, open_decoder, open_encoder
from auralink.codecs.video.protocol import (
    Coded,
    Hidden,
    Kind,
    Outcome,
    Picture,
    Plane,
    Restoration,
    Status,
    VideoEncoder,
    Wish,
)
from auralink.codecs.video.receiver import Receiver

from .pictures import moving, noisy, psnr

FAST = EncoderOptions(preset=10)


def code(encoder: VideoEncoder, frames: list[Frame], wish: Wish = Wish()) -> list[Coded]:  # noqa: B008
    return [encoder.encode(frame, wish) for frame in frames]


def play(coded: list[Coded], receiver: Receiver | None = None) -> Iterator[Picture]:
    receiver = receiver or Receiver(open_decoder())
    for unit in coded:
        for packet in unit.packets:
            yield from receiver.push(packet)


@pytest.mark.parametrize("profile", BASE_PROFILES)
def test_every_profile_gives_the_pictures_back(profile: str) -> None:
    frames = [moving(i) for i in range(24)]
    encoder = open_encoder(profile, fps=30, options=FAST)

    coded = code(encoder, frames, Wish(bitrate_bps=400_000))
    pictures = list(play(coded))

    assert [unit.outcome for unit in coded] == [Outcome.CODED] * 24
    assert [picture.status for picture in pictures] == [Status.DECODED] * 24
    for frame, picture in zip(frames, pictures, strict=True):
        assert picture.frame is not None
        assert abs(picture.frame.pts_us - frame.pts_us) <= 100
        assert psnr(picture.frame.y, frame.y) > 24


@pytest.mark.parametrize(
    "size", [(1, 1), (1, 40), (2, 2), (8, 8), (15, 17), (65, 33), (177, 143), (4096, 2304)]
)
def test_any_size_comes_back_as_it_was(size: tuple[int, int]) -> None:
    count = 1 if size[0] > 1000 else 3
    encoder = open_encoder("hybrid", fps=30, options=EncoderOptions(preset=11, screen=False))

    pictures = list(play(code(encoder, [noisy(i, size) for i in range(count)])))

    assert [p.frame.size for p in pictures if p.frame] == [size] * count
    assert psnr(pictures[-1].frame.y, noisy(count - 1, size).y) > 22  # type: ignore[union-attr]


def test_the_picture_size_may_change_at_any_frame() -> None:
    sizes = [(176, 144)] * 3 + [(8, 8)] * 2 + [(144, 176)] * 3
    frames = [moving(i, size) for i, size in enumerate(sizes)]

    coded = code(open_encoder("hybrid", fps=30, options=FAST), frames)
    pictures = list(play(coded))

    assert [i for i, unit in enumerate(coded) if unit.kind is Kind.KEY] == [0, 3, 5]
    assert [picture.frame.size for picture in pictures if picture.frame] == sizes


def test_time_that_repeats_or_goes_back_is_dropped_by_name() -> None:
    encoder = open_encoder("hybrid", fps=30, options=FAST)
    times = [0, 33_333, 33_333, 10_000, 66_666]

    coded = code(encoder, [moving(i).at(us) for i, us in enumerate(times)])

    assert [unit.outcome for unit in coded] == [
        Outcome.CODED,
        Outcome.CODED,
        Outcome.DROPPED_TIME,
        Outcome.DROPPED_TIME,
        Outcome.CODED,
    ]


def test_a_still_scene_costs_a_few_bytes_a_frame() -> None:
    still = moving(0)
    frames = [still.at(i * 33_333) for i in range(60)]

    coded = code(open_encoder("hybrid", fps=30, options=FAST), frames, Wish(bitrate_bps=300_000))
    pictures = list(play(coded))

    skipped = [unit for unit in coded if unit.outcome is Outcome.SKIPPED]
    assert len(skipped) >= 50
    assert max(unit.size for unit in skipped) <= 5
    assert pictures[-1].status is Status.REPEATED
    assert pictures[-1].frame is not None
    assert abs(pictures[-1].frame.pts_us - frames[-1].pts_us) <= 100


def test_ordinary_packets_have_at_most_nine_bytes_of_header() -> None:
    frames = [moving(i).at(i * 33_333 + (i * 7919) % 2000) for i in range(40)]  # jittered capture

    coded = code(open_encoder("hybrid", fps=30, options=FAST), frames, Wish(bitrate_bps=80_000))

    ordinary = [unit for unit in coded if unit.kind is Kind.DELTA and len(unit.packets) == 1]
    assert len(ordinary) > 30
    assert max(unit.header_bytes for unit in ordinary) <= 9


def test_packets_never_exceed_a_thousand_bytes() -> None:
    coded = code(
        open_encoder("hybrid", fps=30, options=EncoderOptions(preset=10, quantizer=5)),
        [noisy(i, (320, 240)) for i in range(4)],
    )

    assert sum(len(unit.packets) for unit in coded) > 40
    assert max(len(packet) for unit in coded for packet in unit.packets) <= 1000


def test_a_rate_too_low_for_full_size_gets_a_smaller_base() -> None:
    encoder = open_encoder("hybrid", fps=30, options=FAST)
    frames = [noisy(i, (320, 240)) for i in range(90)]

    coded = code(encoder, frames, Wish(bitrate_bps=12_000))
    networks = Marker()
    pictures = list(play(coded, Receiver(open_decoder(networks))))

    sizes = [unit.base_size for unit in coded if unit.packets]
    assert sizes[0] == (320, 240)
    assert sizes[-1] < (320, 240)
    assert {p.frame.size for p in pictures if p.frame} == {(320, 240)}
    assert pictures[-1].restored
    assert networks.fresh == 1  # once, at the key that changed the size


def test_without_the_right_model_the_picture_is_softer_but_there() -> None:
    encoder = open_encoder("hybrid", fps=30, options=FAST)
    coded = code(encoder, [noisy(i, (320, 240)) for i in range(60)], Wish(bitrate_bps=12_000))

    for networks in (None, Marker(model_id=7), Marker(works=False)):
        last = list(play(coded, Receiver(open_decoder(networks))))[-1]
        assert not last.restored
        assert last.frame is not None
        assert last.frame.size == (320, 240)


def test_a_decoder_without_networks_says_what_one_elsewhere_must_know() -> None:
    encoder = open_encoder("hybrid", fps=30, options=FAST)
    coded = code(encoder, [noisy(i, (320, 240)) for i in range(90)], Wish(bitrate_bps=12_000))
    networks = Marker()

    pictures = list(play(coded, Receiver(open_decoder())))
    inside = list(play(coded, Receiver(open_decoder(networks))))

    told = [picture.plain for picture in pictures if picture.plain is not None]
    assert [bool(picture.plain) for picture in pictures] == [one.restored for one in inside]
    assert sum(plain.key for plain in told) == networks.fresh
    assert {plain.model_id for plain in told} == {1}
    assert all(0 < plain.quantizer <= 255 and 0.4 < plain.scale < 0.7 for plain in told)
    assert not any(picture.plain for picture in inside)


class Marker:
    """Networks that turn the luma white, to be seen at the other end."""

    def __init__(self, model_id: int = 1, *, works: bool = True) -> None:
        self._model_id = model_id
        self._works = works
        self.fresh = 0

    @property
    def model_id(self) -> int:
        return self._model_id

    def restore(
        self,
        current: Plane,
        previous_output: Plane,
        hidden: Hidden | None,
        *,
        quantizer: int,
        scale: float,
        reference: bool,
    ) -> Restoration | None:
        assert 0 < quantizer <= 255
        assert scale == pytest.approx(2 / 3, abs=0.02) or scale == pytest.approx(0.5, abs=0.02)
        self.fresh += hidden is None
        if not self._works:
            return None
        state = np.zeros((1, 1, 1, 1), np.float32)
        return Restoration(luma=np.full_like(current, 255), hidden=state)


class Fragile:
    """A base encoder that dies at a given frame."""

    def __init__(self, inner: BaseEncoder, dies_at: int) -> None:
        self._inner = inner
        self._dies_at = dies_at

    @property
    def name(self) -> str:
        return self._inner.name

    @property
    def codec(self) -> str:
        return self._inner.codec

    @property
    def capabilities(self) -> Capabilities:
        return self._inner.capabilities

    @property
    def hierarchy(self) -> Hierarchy:
        return self._inner.hierarchy

    def encode(self, frame: Frame, order: Order) -> BaseUnit:
        if order.number == self._dies_at and not order.key:
            raise EncoderError("died, as it was told to")
        return self._inner.encode(frame, order)

    def close(self) -> None:
        self._inner.close()


def test_an_encoder_that_dies_is_replaced_and_costs_one_key() -> None:
    def fragile(size: tuple[int, int], settings: BaseSettings) -> BaseEncoder:
        return Fragile(open_base(size, settings), dies_at=7)

    coded = code(
        open_encoder("hybrid", fps=30, options=FAST, base=fragile), [moving(i) for i in range(15)]
    )
    pictures = list(play(coded))

    assert [i for i, unit in enumerate(coded) if unit.kind is Kind.KEY] == [0, 7]
    assert [picture.status for picture in pictures] == [Status.DECODED] * 15


def test_a_key_on_request_comes_with_the_next_frame() -> None:
    encoder = open_encoder("hybrid", fps=30, options=FAST)
    kinds = [encoder.encode(moving(i), Wish(key=i == 5)).kind for i in range(10)]

    assert [i for i, kind in enumerate(kinds) if kind is Kind.KEY] == [0, 5]


@pytest.mark.parametrize("engine", ["svt", "aom", "pyav"])
def test_a_lost_reference_freezes_the_picture_until_it_is_repaired(engine: str) -> None:
    options = EncoderOptions(preset=10, engine=engine)  # type: ignore[arg-type]
    encoder = open_encoder("hybrid", fps=30, options=options)
    receiver = Receiver(open_decoder())
    wish, shown = Wish(), []
    kinds: list[Kind] = []
    for i in range(40):
        unit = encoder.encode(moving(i), wish)
        kinds.append(unit.kind)
        lost = i == 16
        arrived = [p for packet in unit.packets for p in receiver.push(packet)] if not lost else []
        shown.append(arrived[-1] if arrived else None)
        report = receiver.report() if i % 4 == 3 else None
        wish = Wish(report=report)

    frozen = [i for i, picture in enumerate(shown) if picture is None]
    assert frozen[0] == 16
    assert len(frozen) <= 8, "repaired with the first frame after the report"
    assert all(p.status is Status.DECODED for p in shown if p)
    assert kinds[1:].count(Kind.KEY) == (0 if engine == "aom" else 1)
    last = shown[-1]
    assert last is not None
    assert last.frame is not None
    assert psnr(last.frame.y, moving(39).y) > 24


def test_the_decoder_never_raises_on_bad_bytes() -> None:
    random = np.random.default_rng(5)
    coded = code(open_encoder("hybrid", fps=30, options=FAST), [moving(i) for i in range(12)])
    decoder = open_decoder()
    for unit in coded * 20:
        packets = [bytearray(packet) for packet in unit.packets]
        for packet in packets:
            for at in random.integers(0, len(packet), random.integers(0, 4)):
                packet[at] ^= 1 << random.integers(0, 8)
        picture = decoder.decode([bytes(packet) for packet in packets])
        assert picture.status in Status
        assert picture.status is not Status.FROZEN or picture.reason


def test_an_unknown_profile_is_named() -> None:
    with pytest.raises(UnsupportedError, match="hybird"):
        open_encoder("hybird", fps=30)


def test_blank_pictures_are_coded_like_any_other() -> None:
    coded = code(open_encoder("hybrid", fps=30, options=FAST), [blank(64, 64, i) for i in range(3)])

    assert list(play(coded))[-1].frame is not None


def test_repeated_losses_change_to_the_engine_that_repairs_cheaply() -> None:
    encoder = open_encoder("hybrid", fps=30, options=FAST)
    receiver = Receiver(open_decoder())
    report, keys = None, []
    for i in range(90):
        unit = encoder.encode(moving(i), Wish(bitrate_bps=200_000, report=report))
        keys += [i] if unit.kind is Kind.KEY else []
        if i not in (16, 32, 48, 64, 80):
            for packet in unit.packets:
                receiver.push(packet)
        report = receiver.report() if i % 4 == 3 else None

    assert len(keys) == 3, "the first, one repair, and one repair that changes the engine"
    assert "libaom" in encoder.name  # type: ignore[attr-defined]


@pytest.mark.parametrize(("call_s", "tried_again"), [(0.001, True), (5.0, False)])
def test_a_call_codes_a_key_again_only_if_that_saves_time(call_s: float, tried_again: bool) -> None:
    keys: list[int] = []

    class Counted:
        def __init__(self, inner: BaseEncoder) -> None:
            self._inner = inner
            self.name, self.codec = inner.name, inner.codec
            self.hierarchy, self.capabilities = inner.hierarchy, inner.capabilities

        def encode(self, frame: Frame, order: Order) -> BaseUnit:
            unit = self._inner.encode(frame, order)
            keys.append(len(unit.data))
            return unit

        def close(self) -> None:
            self._inner.close()

    def opened(size: tuple[int, int], settings: BaseSettings) -> BaseEncoder:
        return Counted(open_base(size, settings))

    ticks = itertools.count(step=call_s)
    encoder = open_encoder("hybrid", fps=30, options=FAST, base=opened, clock=ticks.__next__)
    coded = encoder.encode(noisy(0), Wish(bitrate_bps=40_000))
    encoder.close()

    assert coded.outcome is Outcome.CODED
    assert (len(keys) > 1) is tried_again
