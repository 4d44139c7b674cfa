import numpy as np
import pytest
import reedsolo
from hypothesis import given
from hypothesis import strategies as st

from auralink.codecs.video import parity_field
from auralink.codecs.video.packetizer import Packetizer
from auralink.codecs.video.parity import ParitySender, block_parity, xor_parity
from auralink.codecs.video.parity_receiver import HISTORY_UNITS, ParityReceiver
from auralink.codecs.video.protocol import MAX_PACKET_BYTES
from auralink.codecs.video.syntax_packet import BlockParity, GroupParity, parse_packet

from .streams import delta, key, layered


def feed(receiver: ParityReceiver, packets: list[bytes]) -> list[bytes]:
    return [new.data for packet in packets for new in receiver.receive(parse_packet(packet))]


def singles(first: int, count: int, size: int = 50) -> list[bytes]:
    packetizer, rng = Packetizer(), np.random.default_rng(first)
    packetizer.packetize(key(first))
    units = [
        delta(first + 2 * i, first + 2 * i - 2, payload=rng.bytes(size + i))
        for i in range(count + 1)
    ]
    return [packetizer.packetize(unit)[0] for unit in units[1:]]


def test_the_field_agrees_with_reedsolo() -> None:
    reedsolo.init_tables(parity_field.POLYNOMIAL)
    products = parity_field._products()

    for a in range(256):
        assert products[a].tolist() == [reedsolo.gf_mul(a, b) for b in range(256)]
    inverses = parity_field._inverses().tolist()
    assert inverses[1:] == [reedsolo.gf_inverse(a) for a in range(1, 256)]


@given(
    count=st.integers(2, 40), rows=st.integers(1, 20), size=st.integers(1, 30), seed=st.integers(0)
)
def test_any_k_blocks_of_k_plus_m_restore_the_data(
    count: int, rows: int, size: int, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    data = rng.integers(0, 256, (count, size), np.uint8)
    parity = [parity_field.parity_row(row, data) for row in range(rows)]
    kept = set(rng.choice(count + rows, count, replace=False).tolist())

    restored = parity_field.restore(
        count,
        {j: data[j] for j in range(count) if j in kept},
        {i: parity[i] for i in range(rows) if count + i in kept},
    )

    assert sorted(restored) == [j for j in range(count) if j not in kept]
    assert all(np.array_equal(block, data[j]) for j, block in restored.items())


@given(
    payload=st.integers(1000, 30_000),
    rows=st.integers(1, 20),
    seed=st.integers(0),
    more=st.booleans(),
)
def test_rebuilds_a_large_unit_from_any_k_packets(
    payload: int, rows: int, seed: int, more: bool
) -> None:
    rng = np.random.default_rng(seed)
    data = Packetizer().packetize(key(65535, rng.bytes(payload)))
    sent = [*data, *block_parity(data, rows)]
    order = rng.permutation(len(sent))[: len(data) - (not more)]

    received = [sent[i] for i in order]
    rebuilt = feed(ParityReceiver(), received)

    if more:
        assert set(rebuilt) == set(data) - set(received)
    else:
        assert rebuilt == []


@given(count=st.integers(1, 8), seed=st.integers(0))
def test_rebuilds_one_packet_of_a_group_whatever_the_order(count: int, seed: int) -> None:
    packets = singles(65530, count)
    rng = np.random.default_rng(seed)
    lost = packets[int(rng.integers(count))]
    received = [packet for packet in packets if packet != lost] + [xor_parity(packets)]

    rebuilt = feed(ParityReceiver(), [received[i] for i in rng.permutation(count)])

    assert rebuilt == [lost]


def test_a_rebuilt_packet_solves_the_next_group() -> None:
    a, b, c = singles(10, 3)

    rebuilt = feed(ParityReceiver(), [c, xor_parity([a, b]), xor_parity([b, c])])

    assert rebuilt == [b, a]


@pytest.mark.parametrize("strength", [0.05, 0.1, 0.25, 0.4, 0.5, 0.7, 1.0])
def test_the_share_of_parity_follows_the_strength(strength: float) -> None:
    sender, protected, parity = ParitySender(), 0, 0
    for unit, packets in layered(np.random.default_rng(3), first=0, count=1000):
        added = sender.protect(packets, reference=unit.reference, strength=strength)
        assert all(len(packet) <= MAX_PACKET_BYTES for packet in added)
        protected += len(packets) if unit.reference else 0
        parity += len(added)

    assert parity / protected == pytest.approx(strength, rel=0.1)


def test_no_parity_without_strength_or_for_units_without_dependents() -> None:
    packets = singles(0, 1)

    assert ParitySender().protect(packets, reference=True, strength=0.0) == ()
    assert ParitySender().protect(packets, reference=False, strength=1.0) == ()


def test_a_key_unit_of_many_packets_is_protected_at_any_strength() -> None:
    packets = Packetizer().packetize(key(0, bytes(5000)))

    added = ParitySender().protect(packets, reference=True, strength=0.01)

    assert len(added) == 1
    assert isinstance(parse_packet(added[0]), BlockParity)


def test_a_key_unit_too_large_for_the_field_goes_without() -> None:
    packets = Packetizer().packetize(key(0, bytes(250_000)))

    added = ParitySender().protect(packets, reference=True, strength=1.0)

    assert len(packets) + len(added) <= 256


def test_groups_reach_back_28_units_and_not_over_a_key_unit() -> None:
    packetizer, sender = Packetizer(), ParitySender()
    packetizer.packetize(key(0))
    for number in (1, 2, 31):
        packets = packetizer.packetize(delta(number, max(0, number - 29)))
        added = sender.protect(packets, reference=True, strength=0.4)
    parity = parse_packet(added[0])
    assert isinstance(parity, GroupParity)
    assert parity.members == (31,)

    sender.protect(packetizer.packetize(delta(32, 31)), reference=True, strength=0.4)
    fresh = packetizer.packetize(key(33))
    parity = parse_packet(sender.protect(fresh, reference=True, strength=1.0)[0])
    assert isinstance(parity, GroupParity)
    assert parity.members == (33,)


def test_parity_that_contradicts_the_data_rebuilds_nothing() -> None:
    a, b = singles(10, 2)
    short = bytearray(xor_parity([a, b]))[:20]
    wrong = bytearray(xor_parity([a, b]))
    wrong[8] ^= 0xFF
    data = Packetizer().packetize(key(5, bytes(2500)))
    row, other = block_parity(data, 1)[0], block_parity(data[:-1], 1)[0]

    assert feed(ParityReceiver(), [b, bytes(short)]) == []
    assert feed(ParityReceiver(), [b, bytes(wrong)]) == []
    assert feed(ParityReceiver(), [data[0], other, row]) == []


def test_the_history_is_bounded() -> None:
    receiver = ParityReceiver()
    packets = singles(0, 1000, size=400)

    feed(receiver, packets)

    assert len(receiver._units) == HISTORY_UNITS
    assert receiver._bytes == sum(unit.size for unit in receiver._units.values())
    assert feed(receiver, [xor_parity(packets[-3:])]) == []
    assert feed(receiver, [xor_parity(packets[:1])]) == [packets[0]]
