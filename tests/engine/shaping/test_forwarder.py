"""Packets between two descriptors: what is lost is the seed's doing alone."""

import socket
from collections.abc import Iterator
from dataclasses import replace

import pytest

from auralink.codecs.errors import InputError
from auralink.engine.link.netem import LinkSettings
from auralink.engine.shaping.forwarder import Forwarder
from auralink.engine.shaping.wire import Shape, read_order, write_question, write_shape

BURSTY = Shape.same(LinkSettings(loss=0.2, burst=3, delay_ms=5, rate_bps=1e6))
PACKETS = 400


class Ends:
    """A forwarder whose interfaces are sockets of the test."""

    def __init__(self, seed: int) -> None:
        pairs = [socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM) for _ in range(2)]
        (self.near, near), (self.far, far) = pairs
        self.sockets = [one for pair in pairs for one in pair]
        for one in self.sockets:
            one.setblocking(False)
        self.near_fd, self.far_fd = near.fileno(), far.fileno()
        self.forwarder = Forwarder(self.near_fd, self.far_fd, seed=seed)

    def read(self, side: socket.socket) -> list[bytes]:
        found = []
        while True:
            try:
                found.append(side.recv(2000))
            except BlockingIOError:
                return found

    def close(self) -> None:
        for one in self.sockets:
            one.close()


@pytest.fixture
def ends() -> Iterator[Ends]:
    made = Ends(seed=1)
    yield made
    made.close()


def through(seed: int, shape: Shape = BURSTY, step_us: int = 5_000) -> list[int]:
    """Numbers of the packets that arrive at the far end."""
    ends = Ends(seed)
    arrived: list[int] = []
    try:
        ends.forwarder.shape(0, shape)
        for number in range(PACKETS):
            ends.near.send(number.to_bytes(2) + bytes(300))
            now_us = number * step_us
            ends.forwarder.take(ends.near_fd, now_us)
            ends.forwarder.give(now_us)
            arrived += [int.from_bytes(data[:2]) for data in ends.read(ends.far)]
        ends.forwarder.give((PACKETS + 100) * step_us)
        arrived += [int.from_bytes(data[:2]) for data in ends.read(ends.far)]
    finally:
        ends.close()
    return arrived


def test_the_same_seed_loses_the_same_packets() -> None:
    assert through(7) == through(7)
    assert through(7) != through(8)


def test_what_is_lost_does_not_hang_on_when_packets_come() -> None:
    assert through(7, step_us=5_000) == through(7, step_us=9_000)


def test_both_ways_have_losses_of_their_own(ends: Ends) -> None:
    ends.forwarder.shape(0, Shape.same(LinkSettings(loss=0.3)))
    for number in range(60):
        ends.near.send(bytes([number]))
        ends.far.send(bytes([number]))
        ends.forwarder.take(ends.near_fd, 0)
        ends.forwarder.take(ends.far_fd, 0)
        ends.forwarder.give(0)

    there, back = ends.read(ends.far), ends.read(ends.near)

    assert 20 < len(there) < 60
    assert there != back


def test_waits_no_longer_than_until_the_next_arrival(ends: Ends) -> None:
    ends.forwarder.shape(0, Shape.same(LinkSettings(delay_ms=20, rate_bps=80_000)))
    assert ends.forwarder.wait_s(0) is None
    ends.near.send(bytes(100))

    ends.forwarder.take(ends.near_fd, 1_000)
    wait_s = ends.forwarder.wait_s(1_000)
    ends.forwarder.give(30_999)

    assert wait_s == pytest.approx(0.030)  # 10 ms to send 100 bytes, and the way
    assert ends.read(ends.far) == []
    ends.forwarder.give(31_000)
    assert len(ends.read(ends.far)) == 1


def test_a_packet_that_nobody_takes_is_dropped_and_the_rest_goes_on(ends: Ends) -> None:
    ends.far.shutdown(socket.SHUT_RD)
    ends.near.send(b"into the void")
    ends.far.send(b"and back")

    ends.forwarder.take(ends.near_fd, 0)
    ends.forwarder.take(ends.far_fd, 0)
    ends.forwarder.give(0)

    assert ends.read(ends.near) == [b"and back"]
    assert ends.forwarder.carried.there.sent == 1


def test_orders_survive_the_wire() -> None:
    shape = replace(BURSTY, back=LinkSettings())

    assert read_order(write_shape(shape)) == shape
    assert read_order(write_question()) is None


@pytest.mark.parametrize("line", [b"{", b'{"shape": 3}', b'{"shape": {"there": {"x": 1}}}', b"3"])
def test_nonsense_is_refused_by_name(line: bytes) -> None:
    with pytest.raises(InputError, match="no order"):
        read_order(line)


def test_narrow_there_leaves_the_way_back_wide() -> None:
    shape = Shape.narrow_there(LinkSettings(rate_bps=1e5, loss=0.1, delay_ms=50))

    assert (shape.back.rate_bps, shape.back.loss, shape.back.delay_ms) == (None, 0.1, 50)
