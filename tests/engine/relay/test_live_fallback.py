"""A call through a real server whose encoders are lost and found again."""

import asyncio
import time

from auralink.codecs.errors import EncoderError
from auralink.codecs.frame import Frame
from auralink.codecs.video.profiles import open_encoder
from auralink.codecs.video.protocol import VideoEncoder
from auralink.engine.relay.options import RelayOptions
from auralink.engine.relay.uplink_streams import VideoUplink
from auralink.engine.room.roster import TrackAdded, TrackChanged
from auralink.engine.room.video_in import VideoIn

from ...codecs.pictures import moving
from ..room.people import Witness, camera, member, until
from ..room.server import Server
from .relays import relay

SIZE = (320, 240)


def picture(index: int) -> Frame:
    return moving(index % 60, SIZE)


def muted(seen: Witness, name: str) -> bool:
    """What was told last of a track."""
    for change in reversed(seen.changes):
        if isinstance(change, TrackAdded | TrackChanged) and change.track.name == name:
            return change.track.muted
    return False


class Workers:
    """Opens encoders in this process, or pretends that there is nowhere to."""

    def __init__(self) -> None:
        self.gone = True

    def open(self, options: RelayOptions) -> VideoEncoder:
        if self.gone:
            raise EncoderError("no worker is up")
        return open_encoder(options.profile, fps=options.fps, options=options.encoder)


async def test_without_workers_pictures_go_on_natively_and_with_them_as_wished(
    livekit: Server, room: str
) -> None:
    near, far = room + "-near", room + "-far"
    workers = Workers()
    options = RelayOptions(rate_bps=200_000, start_bps=150_000)
    async with (
        member(livekit, near, "alice") as (alice, _),
        member(livekit, far, "bob") as (bob, seen),
        relay(livekit, near, far, options, open_for=workers.open) as (uplink, _),
        camera(alice, picture),
    ):
        await until(lambda: seen.track("aic/alice/cam"), "the restored track")
        video = VideoIn(time.monotonic)
        bob.subscribe_video(seen.track("aic/alice/cam"), video.push)
        async with asyncio.timeout(20):
            native = [(await video.take()).pts_us for _ in range(20)]
        (up,) = uplink.streams.values()
        assert isinstance(up, VideoUplink)
        assert up.fallback is not None
        assert up.fallback.rung == "native"
        workers.gone = False
        (sid,) = uplink.streams
        assert uplink.force_rung(sid, "wished")  # sooner than by itself, which takes 5 s

        await until(lambda: up.fallback.rung == "wished", "the wished rung")
        answers = up.answers.get("coded", 0)
        await until(lambda: up.answers.get("coded", 0) > answers + 20, "pictures as wished")
        async with asyncio.timeout(20):
            wished = [(await video.take()).pts_us for _ in range(20)]

    times = native + wished
    assert times == sorted(set(times))
    assert up.answers["fell_back_invalid"] == 2
    assert up.answers["fell_back_no_model"] > 15


async def test_with_sound_only_the_room_sends_no_pictures_until_they_are_wanted_again(
    livekit: Server, room: str
) -> None:
    near, far = room + "-near", room + "-far"
    workers = Workers()
    workers.gone = False
    options = RelayOptions(rate_bps=200_000, start_bps=150_000)
    async with (
        member(livekit, near, "alice") as (alice, _),
        member(livekit, far, "bob") as (bob, seen),
        relay(livekit, near, far, options, open_for=workers.open) as (uplink, _),
        camera(alice, picture),
    ):
        await until(lambda: seen.track("aic/alice/cam"), "the restored track")
        video = VideoIn(time.monotonic)
        bob.subscribe_video(seen.track("aic/alice/cam"), video.push)
        async with asyncio.timeout(20):
            await video.take()
        (up,) = uplink.streams.values()
        assert isinstance(up, VideoUplink)
        (sid,) = uplink.streams

        uplink.force_rung(sid, "audio")
        await until(lambda: muted(seen, "aic/alice/cam"), "the restored track muted")
        paused = up.answers.get("dropped_paused", 0)
        uplink.force_rung(sid, "wished")
        await until(lambda: not muted(seen, "aic/alice/cam"), "the restored track back")
        shown = video.counts.taken
        async with asyncio.timeout(20):
            while video.counts.taken < shown + 10:
                await video.take()

    assert paused <= 3  # those that were on their way
