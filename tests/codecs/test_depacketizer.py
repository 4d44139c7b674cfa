from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from auralink.codecs.video.depacketizer import MAX_HELD_UNITS, Depacketizer
from auralink.codecs.video.depacketizer_unit import UnitReader, join
from auralink.codecs.video.packetizer import Packetizer, Unit
from auralink.codecs.video.parity import ParitySender
from auralink.codecs.video.protocol import Kind

from .streams import delta, key, layered, skip


def written(*units: Unit) -> list[bytes]:
    """One packet each."""
    packetizer = Packetizer()
    return [packetizer.packetize(unit)[0] for unit in units]


def numbers(units: Sequence[Sequence[bytes]]) -> list[int]:
    return [join(unit)[0].number for unit in units]


def push(depacketizer: Depacketizer, *packets: bytes) -> list[int]:
    return [number for packet in packets for number in numbers(depacketizer.push(packet))]


def chain(count: int, first: int = 0) -> list[bytes]:
    return written(key(first), *(delta(first + i, first + i - 1) for i in range(1, count)))


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 1 << 32),
    first=st.sampled_from([0, 1, 65500, 65535, 300_000]),
    loss=st.floats(0, 0.5),
    spread=st.integers(0, 40),
    twice=st.floats(0, 0.5),
    strength=st.sampled_from([0.0, 0.3, 1.0]),
)
def test_what_is_released_can_be_decoded(
    seed: int, first: int, loss: float, spread: int, twice: float, strength: float
) -> None:
    rng = np.random.default_rng(seed)
    stream, sender, sent = layered(rng, first=first, count=120), ParitySender(), []
    for unit, packets in stream:
        sent += packets
        sent += sender.protect(packets, reference=unit.reference, strength=strength)
    arriving = [packet for packet in sent if rng.random() >= loss]
    arriving += [packet for packet in arriving if rng.random() < twice]
    places = np.arange(len(arriving)) % max(1, len(sent)) + rng.integers(
        0, spread + 1, len(arriving)
    )
    depacketizer, reader = Depacketizer(), UnitReader()

    released = [
        unit for i in np.argsort(places, kind="stable") for unit in depacketizer.push(arriving[i])
    ]

    originals = {unit.number % 65536: (unit, packets) for unit, packets in stream}
    held: set[int] = set()
    newest = -1
    for packets in released:
        unit, sent_as = originals[join(packets)[0].number]
        assert packets == sent_as
        assert unit.number > newest
        assert held.issuperset(unit.depends)
        read = reader.read(packets)
        assert (read.kind, read.payload) == (unit.kind, unit.payload)
        assert abs(read.pts_us - unit.pts_us) <= 51
        held = {unit.number} if unit.kind is Kind.KEY else held | {unit.number}
        newest = unit.number
    counted = depacketizer.statistics()
    assert counted.malformed == 0
    assert counted.received == len(arriving)
    assert counted.released == len(released)
    assert counted.held <= MAX_HELD_UNITS


@pytest.mark.parametrize("first", [0, 65533])
def test_releases_everything_in_order_on_a_clean_link(first: int) -> None:
    depacketizer, stream = Depacketizer(), layered(np.random.default_rng(1), first=first, count=90)

    released = [u for _, packets in stream for p in packets for u in depacketizer.push(p)]

    assert released == [packets for _, packets in stream]
    assert not depacketizer.stuck
    assert depacketizer.loss() == 0.0
    assert depacketizer.statistics().lost == 0


def test_survives_the_loss_of_one_packet_in_each_protected_unit() -> None:
    depacketizer, sender, released = Depacketizer(), ParitySender(), []
    stream = layered(np.random.default_rng(2), first=65500, count=90)
    for i, (unit, packets) in enumerate(stream):
        sent = [*packets, *sender.protect(packets, reference=unit.reference, strength=1.0)]
        if unit.reference:
            del sent[i % len(packets)]
        released += [u for packet in sent for u in depacketizer.push(packet)]

    assert released == [packets for _, packets in stream]
    assert depacketizer.statistics().recovered == sum(unit.reference for unit, _ in stream)


def test_holds_a_unit_until_its_reference_arrives() -> None:
    first, second, third = chain(3)
    depacketizer = Depacketizer()

    assert push(depacketizer, first, third) == [0]
    assert depacketizer.stuck
    assert depacketizer.missing() == 1
    assert push(depacketizer, second) == [1, 2]
    assert not depacketizer.stuck


def test_deltas_before_the_first_key_wait_for_it() -> None:
    packets = chain(4, first=70_000)
    depacketizer = Depacketizer()

    assert push(depacketizer, *packets[1:]) == []
    assert depacketizer.missing() == 70_000 % 65536
    assert push(depacketizer, packets[0]) == [n % 65536 for n in range(70_000, 70_004)]


def test_a_key_unit_makes_what_waits_obsolete() -> None:
    packets = written(key(0), delta(1, 0), delta(2, 1), delta(3, 2), key(4), delta(5, 4))
    depacketizer = Depacketizer()

    assert push(depacketizer, packets[0], *packets[2:]) == [0, 4, 5]
    assert not depacketizer.stuck
    assert depacketizer.statistics().late == 2
    assert push(depacketizer, packets[1]) == []
    assert depacketizer.statistics().late == 3


def test_a_unit_that_predicts_from_an_older_released_one_ends_the_wait() -> None:
    packets = written(key(0), delta(1, 0), delta(2, 1), delta(3, 2), delta(4, 0), delta(5, 4))
    depacketizer = Depacketizer()

    assert push(depacketizer, packets[0], packets[1], packets[3]) == [0, 1]
    assert depacketizer.missing() == 2
    assert push(depacketizer, *packets[4:]) == [4, 5]
    assert not depacketizer.stuck


def test_a_lost_unit_without_dependents_blocks_nothing() -> None:
    units = [key(0), delta(1, 0, reference=False), delta(2, 0), delta(3, 2, reference=False)]
    packets = written(*units, delta(4, 2))
    depacketizer = Depacketizer()

    assert push(depacketizer, packets[0], packets[2], packets[4]) == [0, 2, 4]
    assert not depacketizer.stuck
    assert depacketizer.loss() == pytest.approx(2 / 5)


def test_a_waiting_skip_asks_for_nothing() -> None:
    packets = written(key(0), delta(1, 0, reference=False), skip(2, 1), delta(3, 0))
    depacketizer = Depacketizer()

    assert push(depacketizer, packets[0], packets[2]) == [0]
    assert not depacketizer.stuck
    assert push(depacketizer, packets[3]) == [3]


def test_garbage_is_counted_and_harmless() -> None:
    packets = chain(3)
    bad_key = b"\x00\x00\x09" + b"\xff" * 30
    depacketizer = Depacketizer()

    assert push(depacketizer, b"", b"\x45", b"\xff" * 2000, bad_key, *packets) == [0, 1, 2]
    assert depacketizer.statistics().malformed == 4


def test_a_stray_number_neither_sticks_nor_spoils_the_loss_figure() -> None:
    packets = chain(200)
    depacketizer = Depacketizer()
    push(depacketizer, *packets[:10])

    stray = b"\x44" + (30_000).to_bytes(2, "big") + b"payload"
    assert push(depacketizer, stray, *packets[10:]) == list(range(10, 200))

    assert not depacketizer.stuck
    assert depacketizer.loss() == 0.0


def test_a_sender_that_starts_anew_is_followed_at_its_key_unit() -> None:
    depacketizer = Depacketizer()
    push(depacketizer, *chain(50, first=20_000))

    assert push(depacketizer, *chain(5)) == [0, 1, 2, 3, 4]
    assert not depacketizer.stuck
    assert depacketizer.loss() == 0.0


def test_what_waits_is_bounded() -> None:
    depacketizer, packetizer = Depacketizer(), Packetizer()
    packetizer.packetize(key(0))
    for number in range(1, 500):
        for packet in packetizer.packetize(delta(number, number - 1, payload=bytes(20_000)))[:-1]:
            depacketizer.push(packet)

    assert depacketizer.statistics().held <= MAX_HELD_UNITS
    assert depacketizer._held_bytes <= 512_000
    assert depacketizer._held_bytes == sum(held.size for held in depacketizer._held.values())


@settings(max_examples=30)
@given(loss=st.floats(0.0, 0.6), seed=st.integers(0))
def test_the_loss_figure_is_the_link_s(loss: float, seed: int) -> None:
    rng, depacketizer = np.random.default_rng(seed), Depacketizer()
    packets = written(key(0), *(delta(i, 0, reference=False) for i in range(1, 200)))
    arrives = rng.random(200) >= loss
    arrives[[0, -1]] = True
    for packet, there in zip(packets, arrives, strict=True):
        if there:
            depacketizer.push(packet)
            if rng.random() < 0.1:
                depacketizer.push(packet)

    assert depacketizer.loss() == pytest.approx(1 - arrives.mean())
    assert depacketizer.loss() == 0.0


def test_fragments_still_on_their_way_are_not_lost() -> None:
    packets = Packetizer().packetize(key(0, bytes(20_000)))
    depacketizer = Depacketizer()
    for packet in packets[:7]:
        depacketizer.push(packet)

    assert depacketizer.loss() == 0.0

    for packet in packets[9:]:
        depacketizer.push(packet)

    assert depacketizer.loss() == pytest.approx(2 / (len(packets) - 7))
