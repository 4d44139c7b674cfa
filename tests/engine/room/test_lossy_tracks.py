"""Data tracks where the server has none (docs/rooms.md, scenario 30)."""

import asyncio
import contextlib
import json
import time
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from auralink.codecs.errors import BitstreamError
from auralink.engine.room.data_packet import DataPacket
from auralink.engine.room.lossy_tracks import (
    MAX_PER_PARTICIPANT,
    TRACKS_TOPIC,
    LossyTracks,
    needs_lossy,
)
from auralink.engine.room.roster import Change, DataTrackAdded, DataTrackRemoved

from .old_server import without_data_tracks
from .people import Witness, member, until
from .server import Server


@pytest.mark.parametrize(
    ("version", "lossy"),
    [
        ("1.9.11", True),
        ("1.10.1", True),
        ("1.11.0", False),
        ("1.13.5", False),
        ("2.0", False),
        ("", False),
        ("mock", False),
        ("1.x", False),
    ],
)
def test_only_versions_known_to_be_old_count_as_old(version: str, lossy: bool) -> None:
    assert needs_lossy(version) is lossy


class Pair:
    """Two participants whose messages reach each other at once."""

    def __init__(self) -> None:
        self.heard: list[Change] = []
        self.a = LossyTracks(self._from_a, lambda changes: None)
        self.b = LossyTracks(self._from_b, self.heard.extend)
        self.cut = False
        for one in (self.a, self.b):
            one.joined(active=True)

    def _from_a(self, topic: str, payload: bytes, to: Sequence[str]) -> bool:
        assert topic == TRACKS_TOPIC
        if not self.cut:
            self.b.message("a", payload)
        return not self.cut

    def _from_b(self, topic: str, payload: bytes, to: Sequence[str]) -> bool:
        self.a.message("b", payload)
        return True


def test_tracks_are_told_as_they_come_and_go() -> None:
    pair = Pair()
    pair.a.publish(1, "aic.v.1")
    pair.a.publish(2, "aic.a.2")
    pair.a.unpublish(1)

    told = [(type(change), change.track.name) for change in pair.heard]  # type: ignore[union-attr]
    assert told == [
        (DataTrackAdded, "aic.v.1"),
        (DataTrackAdded, "aic.a.2"),
        (DataTrackRemoved, "aic.v.1"),
    ]


def test_who_comes_later_asks() -> None:
    pair = Pair()
    pair.cut = True
    pair.a.publish(1, "aic.v.1")
    assert pair.heard == []
    pair.cut = False
    pair.b.opened()

    assert [type(change) for change in pair.heard] == [DataTrackAdded]
    pair.b.left("a")
    assert [type(change) for change in pair.heard] == [DataTrackAdded, DataTrackRemoved]


def test_joining_anew_forgets_everything() -> None:
    pair = Pair()
    pair.a.publish(1, "aic.v.1")
    pair.b.joined(active=False)

    assert [type(change) for change in pair.heard] == [DataTrackAdded, DataTrackRemoved]
    pair.a.publish(2, "aic.v.2")
    assert len(pair.heard) == 2  # a server that has data tracks needs none of this


@pytest.mark.parametrize(
    "told",
    [
        {},
        [1],
        [[1]],
        [["1", "x"]],
        [[True, "x"]],
        [[0, "x"]],
        [[70_000, "x"]],
        [[1, ""]],
        [[1, "x" * 300]],
        [[n + 1, "x"] for n in range(MAX_PER_PARTICIPANT + 1)],
    ],
)
def test_what_is_no_list_of_tracks_is_refused(told: object) -> None:
    with pytest.raises(BitstreamError):
        Pair().b.message("a", json.dumps(told).encode())


@settings(deadline=None)
@given(st.binary(max_size=300))
def test_garbage_is_a_list_or_a_named_error(payload: bytes) -> None:
    with contextlib.suppress(BitstreamError):
        Pair().b.message("a", payload)


async def test_packets_cross_a_server_without_data_tracks(livekit: Server, room: str) -> None:
    got: list[DataPacket] = []
    async with (
        without_data_tracks(livekit) as old_server,
        member(old_server, room, "a") as (a, _),
        member(old_server, room, "b") as (b, seen),
    ):
        track = a.publish_data("aic.v.1")
        await until(lambda: seen.track("aic.v.1"), "the track is announced")
        assert seen.track("aic.v.1") == track.sid
        b.subscribe_data(track.sid, got.append)
        sent = 0
        deadline = time.monotonic() + 20
        while len(got) < 50 and time.monotonic() < deadline:
            sent += track.send(bytes([sent % 256]) * 1000, sent * 3000)
            await asyncio.sleep(0.01)
        assert len(got) >= 50
        assert {len(packet.payload) for packet in got} == {1000}
        assert [packet.timestamp for packet in got] == sorted(packet.timestamp for packet in got)

        async with member(old_server, room, "late") as (_, late):
            await until(lambda: late.track("aic.v.1") == track.sid, "who comes later hears of it")
            assert _names(late) == ["aic.v.1"]
        track.unpublish()
        await until(lambda: any(isinstance(c, DataTrackRemoved) for c in seen.changes), "its end")


def _names(seen: Witness) -> list[str]:
    return [change.track.name for change in seen.changes if isinstance(change, DataTrackAdded)]
