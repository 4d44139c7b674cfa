"""What a track costs on the wire, counted where it arrives."""

import asyncio
import time

from auralink.codecs.frame import Frame
from auralink.engine.room.compat import RTP_OVERHEAD_BYTES
from auralink.engine.room.video_in import VideoIn

from ...codecs.pictures import moving
from .people import camera, member, until
from .server import Server

SIZE = (320, 240)


def picture(index: int) -> Frame:
    return moving(index % 60, SIZE)


async def test_bytes_of_a_track_are_those_that_its_publisher_sent(
    livekit: Server, room: str
) -> None:
    async with (
        member(livekit, room, "a") as (a, _),
        member(livekit, room, "b") as (b, seen),
        camera(a, picture) as outs,
    ):
        await until(lambda: seen.track("cam"), "the track is announced")
        sid = seen.track("cam")
        assert b.received_bytes(sid) is None
        video = VideoIn(time.monotonic)
        b.subscribe_video(sid, video.push)
        async with asyncio.timeout(20):
            for _ in range(10):
                await video.take()
            sent, received = outs[-1].counts.bytes, b.received_bytes(sid) or 0
            for _ in range(60):
                await video.take()
            sent = outs[-1].counts.bytes - sent
            received = (b.received_bytes(sid) or 0) - received
        b.unsubscribe(sid)

        assert b.received_bytes(sid) is None
    # Payload, headers of each packet of at most 1,200 bytes, and what was under way at both ends.
    assert 0.7 * sent < received < 1.4 * sent + 60 * 2 * RTP_OVERHEAD_BYTES
