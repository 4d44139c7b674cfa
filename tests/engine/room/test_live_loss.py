"""Lost packets between a real server and us (docs/rooms.md, scenario 16)."""

import asyncio
import contextlib
import random
import time
from collections import defaultdict
from collections.abc import Callable

import pytest
from av.video.frame import VideoFrame

from auralink.engine.room.livekit_room import LiveKitRoom
from auralink.engine.room.roster import TrackRemoved
from auralink.engine.room.video_in import VideoIn

from ...codecs.pictures import moving
from .people import camera, member, until
from .server import Server

TRACKS = 4
LOSS = 0.03


async def test_nearly_every_picture_of_four_tracks_survives_three_percent_of_loss(
    livekit: Server, room: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown: dict[str, set[int]] = defaultdict(set)
    async with contextlib.AsyncExitStack() as stack:
        a, _ = await stack.enter_async_context(member(livekit, room, "a"))
        b, seen = await stack.enter_async_context(member(livekit, room, "b"))
        cameras = {}
        for number in range(TRACKS):
            name, size = f"cam{number}", (160 + 16 * number, 96)
            cameras[name] = await stack.enter_async_context(
                camera(a, lambda index, s=size: moving(index % 60, s), name=name, fps=15)
            )
            await until(lambda n=name: seen.track(n), name)

            def keep(frame: VideoFrame, at: int | None, name: str = name) -> None:
                assert frame.pts is not None
                shown[name].add(frame.pts)

            b.subscribe_video(seen.track(name), keep)
            await until(lambda n=name: shown[n], "its first picture")

        chance = random.Random(16)
        lost = 0

        def loses(data: bytes) -> bool:
            nonlocal lost
            gone = chance.random() < LOSS
            lost += gone
            return gone

        lose(b, loses, monkeypatch)
        before = {name: (len(shown[name]), outs[-1].counts.coded) for name, outs in cameras.items()}
        await asyncio.sleep(4)
        after = {name: (len(shown[name]), outs[-1].counts.coded) for name, outs in cameras.items()}

    assert lost >= 5
    for name in cameras:
        got, sent = (after[name][at] - before[name][at] for at in (0, 1))
        assert got >= 0.97 * sent, name  # a picture may be on its way when counting ends


async def test_a_stream_whose_beginning_was_lost_begins_with_its_next_key(
    livekit: Server, room: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its section had another stream before, which LiveKit ended with black pictures of 8x8."""
    first, second = (320, 192), (176, 128)
    shown: list[tuple[int, int]] = []
    async with member(livekit, room, "a") as (a, _), member(livekit, room, "b") as (b, seen):
        async with camera(a, lambda index: moving(index % 60, first), name="first"):
            await until(lambda: seen.track("first"))
            video = VideoIn(time.monotonic)
            b.subscribe_video(seen.track("first"), video.push)
            async with asyncio.timeout(20):
                await video.take()
            a._publications._media[0].unpublish()
        await until(lambda: any(isinstance(c, TrackRemoved) for c in seen.changes), "the end")

        known: dict[bytes, int] = defaultdict(int)
        lose(b, lambda data: _is_media(data) and _count(known, data) <= 12, monkeypatch)
        async with camera(a, lambda index: moving(index % 60, second), name="second"):
            await until(lambda: seen.track("second"))
            b.subscribe_video(
                seen.track("second"), lambda frame, at: shown.append((frame.width, frame.height))
            )
            await until(lambda: len(shown) > 5, "its pictures")

    assert sum(known.values()) > 12
    assert set(shown) == {second}


def lose(one: LiveKitRoom, lost: Callable[[bytes], bool], monkeypatch: pytest.MonkeyPatch) -> None:
    """Datagrams from the server of which ``lost`` says so."""
    assert one.peer is not None
    (ice,) = (
        transport
        for transport in vars(one.peer.path.connection)["_RTCPeerConnection__iceTransports"]
        if transport.state == "completed"
    )
    for protocol in ice._connection._protocols:
        arrive = protocol.datagram_received

        def lossy(data: bytes, addr: object, arrive=arrive) -> None:
            if not lost(data):
                arrive(data, addr)

        monkeypatch.setattr(protocol, "datagram_received", lossy)


def _is_media(data: bytes) -> bool:
    """RTP and not RTCP (RFC 5761, section 4)."""
    return len(data) > 12 and data[0] >> 6 == 2 and not 64 <= data[1] & 0x7F <= 95


def _count(known: dict[bytes, int], data: bytes) -> int:
    """Of its stream."""
    known[data[8:12]] += 1
    return known[data[8:12]]
