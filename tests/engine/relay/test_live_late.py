"""Relays whose servers are old or were gone, and late receivers (docs/rooms.md, 7, 22 and 30)."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator

from auralink.engine.relay.bots import Bot, Crew, Duty
from auralink.engine.relay.downlink import Downlink
from auralink.engine.relay.downlink_streams import VideoDownlink
from auralink.engine.relay.options import RelayOptions
from auralink.engine.room.livekit_room import LiveKitRoom
from auralink.engine.room.video_in import VideoIn

from ...codecs.pictures import moving
from ..room.old_server import without_data_tracks
from ..room.people import camera, member, until
from ..room.server import Server, token
from .relays import relay

SIZE = (320, 240)
OPTIONS = RelayOptions(rate_bps=150_000, start_bps=120_000)


@contextlib.asynccontextmanager
async def receiver(server: Server, room: str, identity: str) -> AsyncIterator[Downlink]:
    bot = Bot(
        lambda listener: LiveKitRoom(server.url, token(identity, room), listener, version="0")
    )
    downlink = Downlink(bot.room, bot.room, identities=frozenset({"up"}))
    bot.add(Duty(changed=downlink.changed, control=downlink.control))
    crew = Crew([bot], [downlink.run])
    task = asyncio.create_task(crew.run())
    try:
        yield downlink
    finally:
        crew.leave()
        async with asyncio.timeout(20):
            await task


def shown(downlink: Downlink) -> int:
    streams = downlink.streams.values()
    return sum(one.counts.shown for one in streams if isinstance(one, VideoDownlink))


async def test_a_receiver_that_joins_late_has_pictures_of_its_own(
    livekit: Server, room: str
) -> None:
    near, far = room + "-near", room + "-far"
    async with (
        member(livekit, near, "alice") as (alice, _),
        relay(livekit, near, far, OPTIONS) as (_, first),
        camera(alice, lambda index: moving(index % 60, SIZE)),
    ):
        await until(lambda: shown(first) > 30, "the call runs")
        async with receiver(livekit, far, "late") as late:
            await until(lambda: shown(late) > 10, "pictures")
            before = shown(first)
            await until(lambda: shown(first) > before + 10, "and the first one's go on")


async def test_a_relay_shows_pictures_again_after_its_server_was_gone(
    own_server: Server, room: str
) -> None:
    near, far = room + "-near", room + "-far"
    async with (
        member(own_server, near, "alice") as (alice, alice_saw),
        member(own_server, far, "bob") as (bob, seen),
        relay(own_server, near, far, OPTIONS) as (_, downlink),
        camera(alice, lambda index: moving(index % 60, SIZE)),
    ):
        await until(lambda: seen.track("aic/alice/cam"), "the restored track")
        before = seen.track("aic/alice/cam")
        own_server.stop()
        await until(lambda: alice_saw.losses and seen.losses, "the loss", 30)
        own_server.start()
        await until(lambda: seen.track("aic/alice/cam") not in ("", before), "it is back", 30)
        video = VideoIn(time.monotonic)
        bob.subscribe_video(seen.track("aic/alice/cam"), video.push)
        async with asyncio.timeout(20):
            times = [(await video.take()).pts_us for _ in range(10)]
        assert shown(downlink) > 0

    assert times == sorted(set(times))


async def test_a_relay_works_where_the_server_has_no_data_tracks(
    livekit: Server, room: str
) -> None:
    near, far = room + "-near", room + "-far"
    async with (
        without_data_tracks(livekit) as old_server,
        member(old_server, near, "alice") as (alice, _),
        member(old_server, far, "bob") as (bob, seen),
        relay(old_server, near, far, OPTIONS) as (_, downlink),
        camera(alice, lambda index: moving(index % 60, SIZE)),
    ):
        await until(lambda: seen.track("aic/alice/cam"), "the restored track")
        video = VideoIn(time.monotonic)
        bob.subscribe_video(seen.track("aic/alice/cam"), video.push)
        async with asyncio.timeout(20):
            frames = [await video.take() for _ in range(30)]
        assert list(downlink.streams) == ["up#1"]
        assert shown(downlink) > 0

    assert {frame.size for frame in frames} == {SIZE}
