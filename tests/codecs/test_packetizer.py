import pytest
from hypothesis import given
from hypothesis import strategies as st

from auralink.codecs.errors import BitstreamError, EncoderError, InputError
from auralink.codecs.video.depacketizer_unit import UnitReader, join
from auralink.codecs.video.packetizer import MAX_DATA_BYTES, Packetizer, Unit
from auralink.codecs.video.protocol import Kind
from auralink.codecs.video.syntax_packet import Packet, parse_packet

from .streams import config, delta, key, skip, time_of


def header_bytes(packet: bytes) -> int:
    parsed = parse_packet(packet)
    assert isinstance(parsed, Packet)
    return parsed.start


@given(size=st.integers(1, 200_000), number=st.integers(0, 1 << 20))
def test_splits_any_unit_into_nearly_equal_packets_and_back(size: int, number: int) -> None:
    unit = key(number, bytes(i % 251 for i in range(size)))

    packets = Packetizer().packetize(unit)

    assert max(map(len, packets)) <= MAX_DATA_BYTES
    assert max(map(len, packets)) - min(map(len, packets)) <= 1
    read = UnitReader().read(packets)
    assert (read.payload, read.config, read.pts_us) == (unit.payload, unit.config, unit.pts_us)


@given(
    start=st.integers(0, 70_000),
    distances=st.lists(
        st.sets(st.integers(1, 255), min_size=1, max_size=3).map(sorted), min_size=1, max_size=30
    ),
    jitter=st.lists(st.integers(-20_000, 20_000), min_size=30, max_size=30),
    reference=st.booleans(),
)
def test_reads_back_dependencies_and_times(
    start: int, distances: list[list[int]], jitter: list[int], reference: bool
) -> None:
    packetizer, reader = Packetizer(), UnitReader()
    offset = start - reader.read(packetizer.packetize(key(start))).number

    for i, (wanted, shift) in enumerate(zip(distances, jitter, strict=False), 1):
        depends = tuple(sorted({max(start, start + i - d) for d in wanted}))
        unit = Unit(
            kind=Kind.DELTA,
            number=start + i,
            reference=reference,
            depends=depends,
            pts_us=max(0, time_of(start + i) + shift),
            payload=b"x",
        )
        packets = packetizer.packetize(unit)
        read = reader.read(packets)

        assert header_bytes(packets[0]) <= 9
        assert read.number + offset == unit.number
        assert tuple(sorted(d + offset for d in read.depends)) == depends
        assert (read.kind, read.reference, read.payload) == (Kind.DELTA, reference, b"x")
        assert abs(read.pts_us - unit.pts_us) <= 51


@pytest.mark.parametrize("fps", [10, 15, 24, 25, 29.97, 30, 60])
def test_a_constant_frame_rate_costs_three_bytes(fps: float) -> None:
    packetizer, interval_ns = Packetizer(), round(1e9 / fps)
    first = config(5_000_000, interval_ns=interval_ns)
    packetizer.packetize(
        Unit(kind=Kind.KEY, number=0, reference=True, pts_us=5_000_000, config=first, payload=b"k")
    )

    def size(number: int) -> int:
        unit = Unit(
            kind=Kind.DELTA,
            number=number,
            reference=True,
            depends=(number - (2 if number % 2 == 0 else 1),),
            pts_us=5_000_000 + round(number * 1e6 / fps),
            payload=b"x",
        )
        return header_bytes(packetizer.packetize(unit)[0])

    sizes = [size(number) for number in range(1, 3000)]

    assert max(sizes) <= 4
    assert sum(sizes) <= 3 * len(sizes) + 3


def test_halving_the_frame_rate_costs_two_bytes_once() -> None:
    packetizer, reader = Packetizer(), UnitReader()
    reader.read(packetizer.packetize(key(0)))
    sizes = []
    for number in range(1, 20):
        pts_us = time_of(2 * number)
        unit = Unit(
            kind=Kind.DELTA,
            number=number,
            reference=True,
            depends=(number - 1,),
            pts_us=pts_us,
            payload=b"x",
        )
        packets = packetizer.packetize(unit)
        sizes.append(header_bytes(packets[0]))

        assert abs(reader.read(packets).pts_us - pts_us) <= 51

    assert sizes == [5] + [3] * 18


def test_a_skip_is_three_to_five_bytes() -> None:
    packetizer, reader = Packetizer(), UnitReader()
    reader.read(packetizer.packetize(key(0)))

    sizes = [len(packetizer.packetize(skip(number, 0))[0]) for number in range(1, 200)]

    assert set(sizes) == {3, 4}


def test_numbers_count_on_over_the_wrap() -> None:
    packetizer, reader = Packetizer(), UnitReader()
    reader.read(packetizer.packetize(key(65534)))

    read = [reader.read(packetizer.packetize(delta(n, n - 1))) for n in range(65535, 65540)]

    assert [unit.number for unit in read] == list(range(65535, 65540))
    assert read[2].depends == (65536,)


def test_refuses_a_unit_that_contradicts_itself() -> None:
    good = key(7)
    wrong = [
        Unit(kind=Kind.KEY, number=7, reference=True, pts_us=0, payload=b"x"),
        Unit(kind=Kind.KEY, number=7, reference=True, pts_us=1, config=good.config, payload=b"x"),
        delta(7),
        delta(7, 7),
        delta(300, 1),
        delta(7, 6, payload=b""),
        delta(7, 6, 5, 4, 3),
        delta(7, 6),  # 6 was never written
        Unit(kind=Kind.PARITY, number=7, reference=True, depends=(6,), pts_us=0, payload=b"x"),
        Unit(kind=Kind.SKIP, number=7, reference=True, depends=(6,), pts_us=0, payload=b"x"),
    ]
    for unit in wrong:
        with pytest.raises(InputError):
            Packetizer().packetize(unit)


def test_refuses_a_unit_of_more_than_256_packets_and_forgets_it() -> None:
    packetizer = Packetizer()
    with pytest.raises(EncoderError, match="256 are allowed"):
        packetizer.packetize(key(1, bytes(260_000)))

    with pytest.raises(InputError, match="not in use"):
        packetizer.packetize(delta(2, 1))


def test_joins_only_all_packets_of_one_unit_in_order() -> None:
    packetizer = Packetizer()
    packets = packetizer.packetize(key(1, bytes(3000)))
    other = packetizer.packetize(delta(2, 1))

    for wrong in ((), packets[:-1], packets[::-1], (*packets[:-1], other[0]), (b"\xc0" * 9,)):
        with pytest.raises(BitstreamError):
            join(wrong)


def test_a_delta_before_any_key_is_refused_and_leaves_no_trace() -> None:
    packetizer, reader = Packetizer(), UnitReader()
    opening, next_one = packetizer.packetize(key(1)), packetizer.packetize(delta(2, 1))

    with pytest.raises(BitstreamError, match="not read"):
        reader.read(next_one)

    assert reader.config is None
    assert reader.read(opening).number == 1
    assert reader.read(next_one).number == 2
