"""Shaping without root: a relay's packets go through an emulated link in its process."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import cast

from auralink.engine.link.budget import OVERHEAD_BYTES
from auralink.engine.link.netem import LinkSettings
from auralink.engine.rehearsal.shaped_relay import Order, read_order, write_order
from auralink.engine.rehearsal.shaped_room import ShapedRoom
from auralink.engine.room.transport import PublishedData, RoomTransport


@dataclass
class Track:
    """A data track that keeps what it is given."""

    sid: str = "DTR_1"
    buffered_bytes: int = 0
    sent: list[tuple[bytes, int]] = field(default_factory=list)

    def send(self, payload: bytes, timestamp: int) -> bool:
        self.sent.append((payload, timestamp))
        return True

    def unpublish(self) -> None:
        pass


class Room:
    def __init__(self) -> None:
        self.tracks: list[Track] = []
        self.messages: list[tuple[str, bytes, tuple[str, ...], bool]] = []

    def publish_data(self, name: str) -> PublishedData:
        self.tracks.append(Track())
        return self.tracks[-1]

    def send_control(
        self, topic: str, payload: bytes, to: Sequence[str] = (), *, reliable: bool = True
    ) -> bool:
        self.messages.append((topic, payload, tuple(to), reliable))
        return True


def shaped(settings: LinkSettings) -> tuple[ShapedRoom, Room, list[int]]:
    room, now = Room(), [0]
    return (
        ShapedRoom(cast("RoomTransport", room), settings, seed=1, now_us=lambda: now[0]),
        room,
        now,
    )


def test_packets_arrive_late_unchanged_and_on_their_own_track() -> None:
    link, room, now = shaped(LinkSettings(delay_ms=50))
    first, second = link.publish_data("a"), link.publish_data("b")
    now[0] = 1_000
    assert first.send(b"one", 90)
    assert second.send(b"two", 180)

    link.deliver(50_999)
    early = [track.sent[:] for track in room.tracks]
    link.deliver(51_000)

    assert early == [[], []]
    assert [track.sent for track in room.tracks] == [[(b"one", 90)], [(b"two", 180)]]


def test_headers_take_their_share_of_the_rate() -> None:
    rate_bps = 8 * (OVERHEAD_BYTES + 395) * 10
    link, room, _ = shaped(LinkSettings(rate_bps=rate_bps, queue_ms=5_000))
    track = link.publish_data("a")
    for _ in range(20):
        track.send(bytes(395), 0)

    link.deliver(1_000_000)

    assert 9 <= len(room.tracks[0].sent) <= 10
    assert link.carried.sent_bytes == 20 * (OVERHEAD_BYTES + 395)


def test_a_lost_packet_counts_as_sent_and_a_track_without_sid_takes_none() -> None:
    link, room, _ = shaped(LinkSettings(loss=1.0))
    track = link.publish_data("a")
    assert track.send(b"gone", 0)
    room.tracks[0].sid = ""
    assert not track.send(b"refused", 0)

    link.deliver(1_000_000)

    assert room.tracks[0].sent == []
    assert (link.carried.sent, link.carried.lost) == (1, 1)


def test_messages_pass_by_the_link() -> None:
    link, room, _ = shaped(LinkSettings(loss=1.0))

    assert link.send_control("aic.ctl", b"x", ["down"], reliable=False)

    assert room.messages == [("aic.ctl", b"x", ("down",), False)]


def test_orders_survive_the_command_line() -> None:
    order = Order(
        url="ws://10.0.0.1:7880",
        near="n",
        far="f",
        rate_bps=90_000,
        profile="hybrid",
        seed=3,
        link=LinkSettings(loss=0.1, burst=2, rate_bps=1e5),
    )

    assert read_order(write_order(order)) == order
