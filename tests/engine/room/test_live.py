"""The room client against a real livekit-server: join, data tracks, pictures, messages."""

import asyncio
import time

from auralink.codecs.frame import Frame
from auralink.engine.room.data_packet import DataPacket
from auralink.engine.room.video_in import VideoIn

from ...codecs.pictures import moving, psnr
from .people import camera, member, until
from .server import Server

SIZE = (320, 240)


def picture(index: int) -> Frame:
    return moving(index % 60, SIZE)


async def test_data_tracks_carry_packets_between_two_participants(
    livekit: Server, room: str
) -> None:
    got: list[DataPacket] = []
    async with member(livekit, room, "a") as (a, _), member(livekit, room, "b") as (b, seen):
        track = a.publish_data("aic.v")
        await until(lambda: seen.track("aic.v"), "the data track is announced")
        b.subscribe_data(seen.track("aic.v"), got.append)

        sent = 0
        deadline = time.monotonic() + 20
        while len(got) < 50 and time.monotonic() < deadline:
            sent += track.send(bytes([sent % 256]) * 1000, sent * 3000)
            await asyncio.sleep(0.01)

    assert len(got) >= 50
    assert {len(packet.payload) for packet in got} == {1000}
    assert [packet.timestamp for packet in got] == sorted(packet.timestamp for packet in got)


async def test_reliable_messages_reach_whom_they_are_for(livekit: Server, room: str) -> None:
    async with (
        member(livekit, room, "a") as (a, _),
        member(livekit, room, "b") as (_, b_heard),
        member(livekit, room, "c") as (_, c_heard),
    ):
        await until(lambda: a.send_control("aic.ctl", b"for all"), "the channel opens")
        await until(lambda: b_heard.messages and c_heard.messages, "the message")
        for number in range(20):
            assert a.send_control("aic.ctl", bytes([number]), to=["b"])
        await until(lambda: len(b_heard.messages) == 21, "all of them")

    assert b_heard.messages[0] == ("a", "aic.ctl", b"for all")
    assert [payload[0] for _, _, payload in b_heard.messages[1:]] == list(range(20))
    assert len(c_heard.messages) == 1


async def test_pictures_cross_the_room(livekit: Server, room: str) -> None:
    async with (
        member(livekit, room, "a") as (a, _),
        member(livekit, room, "b") as (b, seen),
        camera(a, picture) as outs,
    ):
        await until(lambda: seen.track("cam"), "the track is announced")
        video = VideoIn(time.monotonic)
        b.subscribe_video(seen.track("cam"), video.push)
        async with asyncio.timeout(20):
            frames = [await video.take() for _ in range(60)]
    (out,) = outs

    assert {frame.size for frame in frames} == {SIZE}
    times = [frame.pts_us for frame in frames]
    assert times == sorted(set(times))
    best = max(psnr(frames[-1].y, picture(index).y) for index in range(60))
    assert best > 30
    assert out.counts.failed == 0


async def test_messages_that_may_get_lost_reach_whom_they_are_for(
    livekit: Server, room: str
) -> None:
    async with (
        member(livekit, room, "a") as (a, _),
        member(livekit, room, "b") as (_, b_heard),
        member(livekit, room, "c") as (_, c_heard),
    ):
        await until(lambda: a.send_control("aic.ctl", b"\0", to=["c"], reliable=False), "opens")
        await until(
            lambda: a.send_control("aic.ctl", b"\1", to=["b"], reliable=False) and b_heard.messages,
            "one of them",
        )

    assert set(b_heard.messages) == {("a", "aic.ctl", b"\1")}
    assert {payload for _, _, payload in c_heard.messages} <= {b"\0"}


async def test_descriptions_cross_a_thin_link_compressed(livekit: Server, room: str) -> None:
    async with member(livekit, room, "a") as (a, _):
        sockets = a.signal._socket
        assert sockets is not None
        assert sockets._socket is not None
        assert sockets._socket.compress  # the server agreed
