"""libaom through ctypes: control per frame, exact references, repair without a key, no leaks."""

import ctypes
import sys
from collections.abc import Iterator
from pathlib import Path

import av
import numpy as np
import pytest

from auralink.codecs.base import aom_abi
from auralink.codecs.base.aom import HIERARCHY, AomAv1
from auralink.codecs.base.protocol import BaseUnit, Order
from auralink.codecs.errors import EncoderError, InputError, UnsupportedError
from auralink.codecs.frame import Frame, blank

SIZE = (176, 144)
FAST = 9


def moving(count: int, size: tuple[int, int] = SIZE) -> list[Frame]:
    """A textured picture that pans, with a patch that moves against it."""
    width, height = size
    rng = np.random.default_rng(1)
    texture = rng.normal(128, 400, (height + 160, width + 160))
    for _ in range(3):  # a soft texture, so that fast motion search finds its way
        for axis in (0, 1):
            texture = sum(np.roll(texture, shift, axis) for shift in range(-2, 3)) / 5
    texture = np.clip(texture, 0, 255).astype(np.uint8)
    frames = []
    for i in range(count):
        y = texture[i // 2 : i // 2 + height, i : i + width].copy()
        y[40:72, 100 - i : 132 - i] = texture[:32, 8:40]
        u, v = (np.ascontiguousarray(y[k::2, k::2]) // 4 + 96 for k in (0, 1))
        frames.append(Frame(y=y, u=u, v=v, pts_us=33_333 * i))
    return frames


class Dav1d:
    """PyAV's decoder, one unit in, one luma plane out."""

    def __init__(self) -> None:
        self._context = av.CodecContext.create("libdav1d", "r")
        self._context.thread_count = 1
        self._context.options = {"max_frame_delay": "1"}

    def __call__(self, data: bytes) -> np.ndarray:
        (picture,) = self._context.decode(av.Packet(data))
        return picture.to_ndarray()[: picture.height].copy()


@pytest.fixture
def encoder() -> Iterator[AomAv1]:
    encoder = AomAv1(SIZE, speed=FAST)
    yield encoder
    encoder.close()


def encode(encoder: AomAv1, frames: list[Frame], **wish: int) -> list[BaseUnit]:
    return [encoder.encode(f, Order(number=i, **wish)) for i, f in enumerate(frames)]


def decode(units: list[BaseUnit]) -> dict[int, np.ndarray]:
    decoder = Dav1d()
    return {unit.number: decoder(unit.data) for unit in units}


def psnr(a: np.ndarray, b: np.ndarray) -> float:
    return float(10 * np.log10(255**2 / np.mean((a.astype(float) - b) ** 2)))


@pytest.mark.parametrize("speed", [5, 6, 7, 8, 9])
@pytest.mark.parametrize("screen", [False, True])
def test_every_unit_decodes_to_its_frame(speed: int, screen: bool) -> None:
    encoder = AomAv1(SIZE, speed=speed, screen=screen)
    frames = moving(8)

    units = encode(encoder, frames, quantizer=30)
    pictures = decode(units)

    encoder.close()
    assert [unit.key for unit in units] == [True] + [False] * 7
    assert all(psnr(f.y, pictures[i]) > 32 for i, f in enumerate(frames))


def test_says_what_it_is(encoder: AomAv1) -> None:
    assert encoder.name.startswith("libaom 3.")
    assert encoder.name.endswith("speed 9")
    assert encoder.codec == "av1"
    assert encoder.capabilities.references


def test_the_quantizer_acts_with_the_frame_that_carries_it() -> None:
    frames = moving(9)

    def size_of_last(quantizer: int) -> int:
        encoder = AomAv1(SIZE, speed=FAST)
        encode(encoder, frames[:-1], quantizer=40)
        unit = encoder.encode(frames[-1], Order(number=8, quantizer=quantizer, exact=True))
        encoder.close()
        assert unit.quantizer == quantizer
        return len(unit.data)

    sizes = [size_of_last(quantizer) for quantizer in (10, 20, 30, 40, 50, 63)]

    assert sizes == sorted(sizes, reverse=True)
    assert sizes[0] > 4 * sizes[-1]


def test_layers_have_their_own_quantizers(encoder: AomAv1) -> None:
    units = encode(encoder, moving(5), quantizer=50)

    t0, t1, t2 = (round(50 - offset.below(50)) for offset in HIERARCHY.offsets)
    assert [unit.quantizer for unit in units] == [
        round(50 - HIERARCHY.key.below(50)),
        t2,
        t1,
        t2,
        t0,
    ]
    assert [unit.layer for unit in units] == [0, 2, 1, 2, 0]


def test_a_forced_key_decodes_alone(encoder: AomAv1) -> None:
    frames = moving(8)
    encode(encoder, frames[:6])

    key = encoder.encode(frames[6], Order(number=6, key=True))
    after = encoder.encode(frames[7], Order(number=7))

    assert key.key
    assert key.depends == ()
    assert after.depends == (6,)
    assert decode([key, after])[7].shape == (144, 176)


def test_droppable_units_leave_the_others_bit_exact(encoder: AomAv1) -> None:
    units = encode(encoder, moving(24))
    kept = [unit for unit in units if unit.reference]

    everything, some = decode(units), decode(kept)

    assert len(kept) == 12
    assert all(np.array_equal(everything[number], picture) for number, picture in some.items())


@pytest.mark.parametrize("name_later", [False, True])
def test_a_lost_base_unit_is_repaired_without_a_key(encoder: AomAv1, name_later: bool) -> None:
    frames = moving(24)
    lost, repaired = 8, 13
    everything, receiver = Dav1d(), Dav1d()
    held: set[int] = set()
    sizes = []
    for number, frame in enumerate(frames):
        repair = number == repaired
        order = Order(
            number=number,
            predict_from=frozenset(held) if repair or (name_later and number > repaired) else None,
        )
        unit = encoder.encode(frame, order)
        sizes.append(len(unit.data))
        truth = everything(unit.data)
        usable = number != lost and held.issuperset(unit.depends)
        assert not (repair and unit.key)
        assert usable or lost <= number < repaired
        if usable:
            assert np.array_equal(receiver(unit.data), truth)
            held.add(number)

    assert not {9, 10, 11, 12} <= held  # the loss did hurt
    assert held.issuperset(range(repaired, 24))
    assert sizes[repaired] < 0.7 * sizes[0]


def test_becomes_a_key_when_the_receiver_holds_nothing(encoder: AomAv1) -> None:
    frames = moving(4)
    encode(encoder, frames[:3])

    unit = encoder.encode(frames[3], Order(number=3, predict_from=frozenset()))

    assert unit.key
    assert unit.depends == ()


def test_any_loss_pattern_leaves_usable_units_bit_exact() -> None:
    frames = moving(40)
    rng = np.random.default_rng(3)
    encoder = AomAv1(SIZE, speed=FAST)
    everything, receiver = Dav1d(), Dav1d()
    held: set[int] = set()
    reports: list[int] = []
    for number, frame in enumerate(frames):
        heard = bool(reports) and reports[0] + 3 <= number
        acknowledged = frozenset(n for n in held if n + 3 <= number)
        if heard:
            reports = [lost for lost in reports if lost + 3 > number]
        unit = encoder.encode(
            frame, Order(number=number, predict_from=acknowledged if heard else None)
        )
        truth = everything(unit.data)
        lost = number > 0 and rng.random() < 0.15
        if lost and unit.reference:
            reports.append(number)
        if not lost and held.issuperset(unit.depends):
            assert np.array_equal(receiver(unit.data), truth)
            held.add(number)
    encoder.close()

    assert len(held) > 20


def test_changes_size_at_a_key(encoder: AomAv1) -> None:
    encode(encoder, moving(3))
    units = []
    for number, size in enumerate([(352, 288), (64, 64)], start=3):
        units.append(encoder.encode(blank(*size), Order(number=number, key=True)))

    assert [unit.key for unit in units] == [True, True]
    assert [picture.shape for picture in decode(units).values()] == [(288, 352), (64, 64)]


def test_a_new_size_without_a_key_is_refused_and_ends_the_encoder(encoder: AomAv1) -> None:
    encode(encoder, moving(2))

    with pytest.raises(EncoderError, match="at a key only"):
        encoder.encode(blank(64, 64), Order(number=2))
    with pytest.raises(EncoderError, match="closed"):
        encoder.encode(moving(1)[0], Order(number=3))


@pytest.mark.parametrize("size", [(2, 2), (16, 16), (130, 66)])
def test_codes_small_and_uneven_blocks(size: tuple[int, int]) -> None:
    encoder = AomAv1(size, speed=FAST)

    units = [encoder.encode(blank(*size, luma=50 * i), Order(number=i)) for i in range(4)]

    encoder.close()
    assert decode(units)[3].shape == size[::-1]


def test_closing_twice_is_fine_and_encoding_then_is_an_error(encoder: AomAv1) -> None:
    encoder.close()
    encoder.close()

    with pytest.raises(EncoderError, match="closed"):
        encoder.encode(moving(1)[0], Order(number=0))


def test_a_library_error_ends_the_encoder(encoder: AomAv1, monkeypatch: pytest.MonkeyPatch) -> None:
    frames = moving(2)
    encoder.encode(frames[0], Order(number=0))
    monkeypatch.setattr(aom_abi, "SET_REFERENCES", 99_999)  # a control that does not exist

    with pytest.raises(EncoderError, match="refused the references"):
        encoder.encode(frames[1], Order(number=1))
    with pytest.raises(EncoderError, match="closed"):
        encoder.encode(frames[1], Order(number=1, key=True))


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_handles_are_freed() -> None:
    frame = moving(1)[0]

    def open_and_close(times: int) -> None:
        for i in range(times):
            encoder = AomAv1(SIZE, speed=FAST)
            encoder.encode(frame, Order(number=0))
            if i % 2:
                encoder.close()  # the others are freed with their last reference

    def resident_mb() -> float:
        return int(Path("/proc/self/statm").read_text().split()[1]) * 4096 / 1e6

    open_and_close(5)
    before = resident_mb()
    open_and_close(50)

    assert resident_mb() - before < 15  # one leaked handle has 5 MB or more


def test_refuses_a_speed_that_does_not_exist() -> None:
    with pytest.raises(InputError, match="speed 4"):
        AomAv1(SIZE, speed=4)


def test_refuses_a_size_the_library_refuses() -> None:
    with pytest.raises(EncoderError, match="70000x16"):
        AomAv1((70_000, 16))


def test_says_how_to_get_a_library_when_there_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ctypes.util.find_library", lambda name: None)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)

    with pytest.raises(UnsupportedError, match="pip install imagecodecs"):
        AomAv1(SIZE)


def test_refuses_a_file_that_is_not_libaom(tmp_path: Path) -> None:
    impostor = tmp_path / "libaom.so"
    impostor.write_bytes(b"not a library")

    with pytest.raises(UnsupportedError, match=r"libaom\.so"):
        AomAv1(SIZE, library=impostor)


def test_refuses_another_abi_number(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(aom_abi, "ABI_NUMBER", 28)

    with pytest.raises(UnsupportedError, match="refused ABI 28"):
        aom_abi.load()


def test_refuses_another_configuration_layout(monkeypatch: pytest.MonkeyPatch) -> None:
    class Shifted(ctypes.Structure):
        _fields_ = (("new_member", ctypes.c_uint), *aom_abi.Config._fields_)

    monkeypatch.setattr(aom_abi, "Config", Shifted)

    with pytest.raises(UnsupportedError, match="unknown configuration layout"):
        aom_abi.load()


def test_uses_the_copy_in_the_imagecodecs_wheel(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("imagecodecs")
    monkeypatch.setattr("ctypes.util.find_library", lambda name: None)

    assert "aom" in Path(aom_abi.load().path).name
