"""What becomes of tracks on a real server (docs/rooms.md, scenarios 10, 11, 15, 17, 19)."""

import asyncio
import gc
import os
import time
import weakref

import psutil
from livekit import api
from livekit.protocol import models

from auralink.codecs.base.native import open_encoder
from auralink.codecs.frame import Frame
from auralink.engine.room.livekit_room import LiveKitRoom
from auralink.engine.room.roster import (
    Change,
    DataTrackRemoved,
    TrackAdded,
    TrackChanged,
    TrackRemoved,
)
from auralink.engine.room.transport import VideoOffer
from auralink.engine.room.video_in import VideoIn
from auralink.engine.room.video_out import VideoOut

from ...codecs.pictures import moving
from .people import Witness, camera, member, until
from .server import KEY, SECRET, Server, token

SIZE = (320, 240)
TIMES = int(os.environ.get("REPUBLISHED", "4"))  # 20 takes half a minute


def picture(index: int) -> Frame:
    return moving(index % 60, SIZE)


async def test_mutes_are_told_and_no_tiny_picture_comes_of_them(livekit: Server, room: str) -> None:
    async with (
        member(livekit, room, "a") as (a, _),
        member(livekit, room, "b") as (b, seen),
        camera(a, picture),
    ):
        await until(lambda: seen.track("cam"))
        video = VideoIn(time.monotonic)
        b.subscribe_video(seen.track("cam"), video.push)
        sizes, times = set(), []
        (published,) = a._publications._media
        for number in range(6):
            async with asyncio.timeout(20):
                for _ in range(3):
                    frame = await video.take()
                    sizes.add(frame.size)
                    times.append(frame.pts_us)
            for muted in (True, False):
                published.mute(muted)
                await until(
                    lambda m=muted, n=number: len(_mutes(seen, m)) > n, f"muted {muted}, {number}"
                )

    assert sizes == {SIZE}
    assert times == sorted(set(times))


def _mutes(seen: Witness, muted: bool) -> list[Change]:
    changes = [change for change in seen.changes if isinstance(change, TrackChanged)]
    return [change for change in changes if change.track.muted is muted]


async def test_pictures_of_another_size_come_through_in_mid_stream(
    livekit: Server, room: str
) -> None:
    sizes = [(320, 180), (1280, 720), (320, 180)]
    async with member(livekit, room, "a") as (a, _), member(livekit, room, "b") as (b, seen):
        now = 0

        def show(index: int) -> Frame:
            return moving(index % 60, sizes[now])

        async with camera(a, show, fps=15):
            await until(lambda: seen.track("cam"))
            video = VideoIn(time.monotonic)
            b.subscribe_video(seen.track("cam"), video.push)
            times = []
            for now, size in enumerate(sizes):  # noqa: B007 - `show` reads it
                async with asyncio.timeout(20):
                    while (frame := await video.take()).size != size:
                        times.append(frame.pts_us)

    assert times == sorted(set(times))


async def test_a_track_published_again_and_again_is_fresh_every_time(
    livekit: Server, room: str
) -> None:
    """The section is re-used: every generation gives pictures of its own size."""
    async with member(livekit, room, "a") as (a, _), member(livekit, room, "b") as (b, seen):
        for number in range(TIMES):
            size = (160 + 16 * (number % 8), 128)
            async with camera(a, lambda index, s=size: moving(index % 60, s), name=f"cam{number}"):
                await until(lambda n=number: seen.track(f"cam{n}"), f"cam{number}")
                video = VideoIn(time.monotonic)
                b.subscribe_video(seen.track(f"cam{number}"), video.push)
                async with asyncio.timeout(20):
                    for _ in range(3):
                        assert (await video.take()).size == size
            (published,) = a._publications._media
            published.unpublish()
            await until(
                lambda n=number: sum(isinstance(c, TrackRemoved) for c in seen.changes) > n, "gone"
            )


async def test_what_an_unpublished_track_needed_is_let_go(livekit: Server, room: str) -> None:
    """Its section stays in the description; what made its pictures must not stay with it."""

    async def publish_and_end(one: LiveKitRoom) -> "weakref.ref[VideoOut]":
        out = VideoOut(lambda: open_encoder("vp8", 30), bitrate_bps=600_000)
        published = one.publish_video(
            VideoOffer(
                name="cam",
                size=SIZE,
                make_track=lambda: out,
                key_wanted=out.want_key,
                paused=out.pause,
            )
        )
        out.show(picture(0).at(1))
        await until(lambda: out.counts.coded, "it is sent")
        published.unpublish()
        return weakref.ref(out)

    async with member(livekit, room, "a") as (a, _), member(livekit, room, "b"):
        gone = await publish_and_end(a)
        await until(lambda: gc.collect() >= 0 and gone() is None, "the end of the track")


async def test_a_track_taken_before_media_connects_starts(livekit: Server, room: str) -> None:
    """The uplink does so: it asks within the callback that tells of the track."""

    class Eager(Witness):
        room: LiveKitRoom
        video = VideoIn(time.monotonic)

        def changed(self, change: Change) -> None:
            super().changed(change)
            if isinstance(change, TrackAdded):
                assert self.room.peer is not None
                assert not self.room.peer.path.usable.is_set()
                self.room.subscribe_video(change.track.sid, self.video.push)

    async with (
        member(livekit, room, "a") as (a, _),
        member(livekit, room, "c") as (_, seen),
        camera(a, picture),
    ):
        await until(lambda: seen.track("cam"))
        eager = Eager()
        eager.room = LiveKitRoom(livekit.url, token("b", room), eager, version="0")
        task = asyncio.create_task(eager.room.run())
        try:
            async with asyncio.timeout(20):
                assert (await eager.video.take()).size == SIZE
        finally:
            eager.room.leave()
            await task


async def test_joins_and_leaves_keep_no_task_and_no_file_open(livekit: Server, room: str) -> None:
    process = psutil.Process()
    counts = []
    async with member(livekit, room, "a") as (a, _), camera(a, picture, fps=10):
        for _ in range(5):
            async with member(livekit, room, "b") as (b, seen):
                await until(lambda: seen.track("cam"))
                video = VideoIn(time.monotonic)
                b.subscribe_video(seen.track("cam"), video.push)
                data = b.publish_data("aic.v.1")
                async with asyncio.timeout(20):
                    await video.take()
                await until(lambda d=data: d.send(b"x", 0), "a packet")
            gc.collect()
            counts.append((len(asyncio.all_tasks()), process.num_fds()))

    assert counts[-1] == counts[1]  # the first time opens what stays


async def test_a_right_that_was_taken_away_and_given_back_publishes_again(
    livekit: Server, room: str
) -> None:
    async def allow(publish: bool) -> None:
        permission = models.ParticipantPermission(
            can_subscribe=True, can_publish=publish, can_publish_data=publish
        )
        request = api.UpdateParticipantRequest(room=room, identity="a", permission=permission)
        async with api.LiveKitAPI(livekit.url.replace("ws", "http"), KEY, SECRET) as admin:
            await admin.room.update_participant(request)

    async with (
        member(livekit, room, "a") as (a, saw),
        member(livekit, room, "b") as (b, seen),
        camera(a, picture),
    ):
        data = a.publish_data("aic.v.1")
        await until(lambda: seen.track("aic.v.1") and seen.track("cam"), "both tracks")
        before = seen.track("aic.v.1"), seen.track("cam")

        await allow(False)
        await until(lambda: not data.sid, "it is noticed")
        assert not data.send(b"x", 0)
        await until(lambda: _removed(seen) == set(before), "both are gone")

        await allow(True)
        await until(lambda: seen.track("aic.v.1") not in ("", before[0]), "data again")
        await until(lambda: seen.track("cam") not in ("", before[1]), "pictures again")
        got: list[object] = []
        video = VideoIn(time.monotonic)
        b.subscribe_data(seen.track("aic.v.1"), got.append)
        b.subscribe_video(seen.track("cam"), video.push)
        await until(lambda: data.send(b"x", 0) and got, "packets")
        async with asyncio.timeout(20):
            assert (await video.take()).size == SIZE

    assert (saw.joins, saw.losses, saw.ends) == (1, [], [None])


def _removed(seen: Witness) -> set[str]:
    gone = TrackRemoved | DataTrackRemoved
    return {change.track.sid for change in seen.changes if isinstance(change, gone)}
