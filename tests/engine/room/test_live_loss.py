"""Lost packets between a real server and us (docs/rooms.md, scenario 16)."""

import asyncio
import contextlib
import random
from collections import defaultdict

import pytest
from av.video.frame import VideoFrame

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
        assert b.peer is not None
        (ice,) = (
            transport
            for transport in vars(b.peer.path.connection)["_RTCPeerConnection__iceTransports"]
            if transport.state == "completed"
        )
        lost = 0
        for protocol in ice._connection._protocols:
            arrive = protocol.datagram_received

            def lossy(data: bytes, addr: object, arrive=arrive) -> None:
                nonlocal lost
                if chance.random() < LOSS:
                    lost += 1
                else:
                    arrive(data, addr)

            monkeypatch.setattr(protocol, "datagram_received", lossy)
        before = {name: (len(shown[name]), outs[-1].counts.coded) for name, outs in cameras.items()}
        await asyncio.sleep(4)
        after = {name: (len(shown[name]), outs[-1].counts.coded) for name, outs in cameras.items()}

    assert lost >= 5
    for name in cameras:
        got, sent = (after[name][at] - before[name][at] for at in (0, 1))
        assert got >= 0.97 * sent, name  # a picture may be on its way when counting ends
