"""Servers before 1.9.11: the older signal protocol, two peer connections (scenario 1)."""

import asyncio
import time

from auralink.engine.room.data_packet import DataPacket
from auralink.engine.room.dual_peer import DualPeer, tracks_of
from auralink.engine.room.errors import AccessRefused
from auralink.engine.room.transport import AudioOffer
from auralink.engine.room.video_in import VideoIn

from ...codecs.pictures import moving, psnr
from .old_server import without_new_address
from .people import Tone, camera, member, until
from .server import Server, token

SIZE = (320, 240)


async def test_pictures_sound_and_packets_cross_both_ways(livekit: Server, room: str) -> None:
    async with (
        without_new_address(livekit) as old_server,
        member(old_server, room, "old") as (old, old_saw),
        member(livekit, room, "new") as (new, new_saw),
        camera(old, lambda index: moving(index % 60, SIZE), name="old-cam"),
        camera(new, lambda index: moving(index % 60, SIZE), name="new-cam"),
    ):
        assert isinstance(old.peer, DualPeer)
        assert not isinstance(new.peer, DualPeer)
        for sender, sees, receiver, seen, name in (
            (new, new_saw, old, old_saw, "new"),
            (old, old_saw, new, new_saw, "old"),
        ):
            data = sender.publish_data(f"{name}-data")
            sender.publish_audio(AudioOffer(name=f"{name}-mic", make_track=lambda: Tone(440)))
            for track in ("data", "mic", "cam"):
                await until(lambda s=seen, t=f"{name}-{track}": s.track(t), f"{name}-{track}")
            got: list[DataPacket] = []
            heard: list[int] = []
            video = VideoIn(time.monotonic)
            receiver.subscribe_data(seen.track(f"{name}-data"), got.append)
            receiver.subscribe_audio(
                seen.track(f"{name}-mic"), lambda frame, _, h=heard: h.append(frame.samples)
            )
            receiver.subscribe_video(seen.track(f"{name}-cam"), video.push)
            async with asyncio.timeout(20):
                frames = [await video.take() for _ in range(20)]
            await until(lambda h=heard: len(h) > 10, "sound")
            await until(lambda d=data, g=got: d.send(b"x", 0) and g, "a packet")
            await until(lambda s=sender: s.send_control("aic.ctl", b"hello"), "the channel")
            await until(lambda s=seen: s.messages, "the message")
            assert max(psnr(frames[-1].y, moving(index, SIZE).y) for index in range(60)) > 25
            assert not sees.losses


async def test_a_lost_connection_becomes_a_new_participant_that_publishes_again(
    livekit: Server, room: str
) -> None:
    async with (
        without_new_address(livekit) as old_server,
        member(old_server, room, "old") as (old, saw),
        member(livekit, room, "new") as (_, seen),
    ):
        track = old.publish_data("aic.v.1")
        await until(lambda: track.sid and seen.track("aic.v.1") == track.sid, "the track")
        before = track.sid
        old.signal.cut()
        await until(lambda: saw.joins == 2, "back again")
        await until(lambda: track.sid not in ("", before), "published again")
        await until(lambda: seen.track("aic.v.1") == track.sid, "and announced")
        assert old.signal.session.counts.resumes == 0
        assert len(saw.losses) == 1


async def test_a_refused_token_is_named_there_too(livekit: Server, room: str) -> None:
    bad = token("a", room, secret="another secret that is long enough")
    async with (
        without_new_address(livekit) as old_server,
        member(old_server, room, "a", jwt=bad) as (_, saw),
    ):
        await until(lambda: saw.ends, "the end")

    assert type(saw.ends[0]) is AccessRefused


def test_tracks_are_found_by_their_streams_where_the_server_does_not_map_them() -> None:
    sdp = "v=0\r\nm=audio 9 x\r\na=mid:0\r\na=msid:PA_1|camera TR_1\r\nm=video 9 x\r\na=mid:1\r\n"

    assert tracks_of(sdp) == {"0": "TR_1"}
