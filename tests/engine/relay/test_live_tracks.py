"""Tracks that come, go, fall silent and are watched by many, through a relay on a real server."""

import asyncio
import os
import time
from functools import partial

from auralink.codecs.frame import Frame
from auralink.engine.relay.options import RelayOptions
from auralink.engine.room.roster import TrackAdded, TrackChanged, TrackRemoved
from auralink.engine.room.transport import AudioOffer
from auralink.engine.room.video_in import VideoIn

from ...codecs.pictures import moving
from ..room.people import Tone, Witness, camera, member, until
from ..room.server import Server
from .relays import relay

SIZE = (320, 240)
TIMES = int(os.environ.get("REPUBLISHED", "4"))
OPTIONS = RelayOptions(rate_bps=250_000, start_bps=200_000)


def picture(index: int, *, level: int = 0) -> Frame:
    """Brighter by ``level``, to tell two cameras apart."""
    frame = moving(index % 60, SIZE)
    luma = frame.y // 2 + level
    return Frame(y=luma, u=frame.u, v=frame.v, pts_us=0)


async def first(video: VideoIn, count: int = 5) -> list[Frame]:
    async with asyncio.timeout(30):
        return [await video.take() for _ in range(count)]


def mutes(seen: Witness) -> list[bool]:
    return [change.track.muted for change in seen.changes if isinstance(change, TrackChanged)]


async def test_viewers_that_come_later_all_get_pictures(livekit: Server, room: str) -> None:
    near, far = room + "-near", room + "-far"
    async with (
        member(livekit, near, "alice") as (alice, _),
        relay(livekit, near, far, OPTIONS) as (_, downlink),
        camera(alice, picture),
        member(livekit, far, "bob") as (bob, bob_saw),
    ):
        await until(lambda: bob_saw.track("aic/alice/cam"), "the restored track")
        videos = [VideoIn(time.monotonic)]
        bob.subscribe_video(bob_saw.track("aic/alice/cam"), videos[0].push)
        await first(videos[0], 15)
        async with (
            member(livekit, far, "carol") as (carol, carol_saw),
            member(livekit, far, "dave") as (dave, dave_saw),
        ):
            for one, saw in ((carol, carol_saw), (dave, dave_saw)):
                videos.append(VideoIn(time.monotonic))
                await until(lambda saw=saw: saw.track("aic/alice/cam"))
                one.subscribe_video(saw.track("aic/alice/cam"), videos[-1].push)
            shown = [await first(video) for video in videos]
        streams = len(downlink.streams)

    assert all({frame.size for frame in frames} == {SIZE} for frames in shown)
    assert streams == 1  # decoded once, for whoever looks


async def test_several_tracks_keep_their_names_and_pictures(livekit: Server, room: str) -> None:
    near, far = room + "-near", room + "-far"
    async with (
        member(livekit, near, "alice") as (alice, _),
        member(livekit, far, "bob") as (bob, seen),
        relay(livekit, near, far, OPTIONS) as (uplink, _),
        camera(alice, partial(picture, level=10), name="dark"),
        camera(alice, partial(picture, level=110), name="bright"),
    ):
        alice.publish_audio(AudioOffer(name="mic", make_track=lambda: Tone(440)))
        levels = {}
        for name in ("dark", "bright"):
            await until(lambda name=name: seen.track(f"aic/alice/{name}"), name, 30)
            video = VideoIn(time.monotonic)
            bob.subscribe_video(seen.track(f"aic/alice/{name}"), video.push)
            levels[name] = float((await first(video))[-1].y.mean())
        await until(lambda: seen.track("aic/alice/mic"), "the sound")
        count = len(uplink.streams)

    assert count == 3
    assert levels["bright"] - levels["dark"] > 60


async def test_a_mute_goes_through_and_pictures_come_back(livekit: Server, room: str) -> None:
    near, far = room + "-near", room + "-far"
    async with (
        member(livekit, near, "alice") as (alice, _),
        member(livekit, far, "bob") as (bob, seen),
        relay(livekit, near, far, OPTIONS),
        camera(alice, picture),
    ):
        await until(lambda: seen.track("aic/alice/cam"), "the restored track")
        video = VideoIn(time.monotonic)
        bob.subscribe_video(seen.track("aic/alice/cam"), video.push)
        (published,) = alice._publications._media
        for number in range(3):
            await first(video)
            published.mute(True)
            await until(lambda n=number: mutes(seen).count(True) > n, "muted")
            published.mute(False)
            await until(lambda n=number: mutes(seen).count(False) > n, "unmuted")
        frames = await first(video)

    assert {frame.size for frame in frames} == {SIZE}


async def test_a_track_published_anew_again_and_again_appears_anew(
    livekit: Server, room: str
) -> None:
    near, far = room + "-near", room + "-far"
    async with (
        member(livekit, near, "alice") as (alice, _),
        member(livekit, far, "bob") as (bob, seen),
        relay(livekit, near, far, OPTIONS) as (uplink, downlink),
    ):
        sids, tasks = set(), []
        for _ in range(TIMES):
            async with camera(alice, picture):
                await until(lambda: _restored(seen) - sids, "another restored track", 30)
                (sid,) = _restored(seen) - sids
                sids.add(sid)
                video = VideoIn(time.monotonic)
                bob.subscribe_video(sid, video.push)
                await first(video)
                alice._publications._media[0].unpublish()
            await until(lambda sid=sid: sid in _gone(seen), "and it goes")
            await until(lambda: not uplink.streams and not downlink.streams, "all of it")
            await until(lambda: not tasks or len(asyncio.all_tasks()) <= tasks[0], "its tasks end")
            tasks.append(len(asyncio.all_tasks()))

    assert len(sids) == TIMES


def _restored(seen: Witness) -> set[str]:
    return {
        change.track.sid
        for change in seen.changes
        if isinstance(change, TrackAdded) and change.track.name == "aic/alice/cam"
    }


def _gone(seen: Witness) -> set[str]:
    return {change.track.sid for change in seen.changes if isinstance(change, TrackRemoved)}
