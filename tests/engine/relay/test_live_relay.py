"""A call over data tracks through a real server: taken, compressed, restored, watched."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator

import numpy as np
from av.audio.frame import AudioFrame

from auralink.codecs.frame import Frame
from auralink.codecs.video.options import EncoderOptions
from auralink.codecs.video.profiles import open_encoder
from auralink.codecs.video.protocol import VideoEncoder
from auralink.engine.relay.bots import Bot, Crew, Duty
from auralink.engine.relay.downlink import Downlink
from auralink.engine.relay.downlink_streams import AudioDownlink, VideoDownlink
from auralink.engine.relay.options import RelayOptions
from auralink.engine.relay.uplink import Uplink
from auralink.engine.relay.uplink_streams import AudioUplink, VideoUplink
from auralink.engine.room.livekit_room import LiveKitRoom
from auralink.engine.room.transport import AudioOffer
from auralink.engine.room.video_in import VideoIn

from ...codecs.pictures import moving, psnr
from ..room.people import Tone, camera, member, until
from ..room.server import Server, token

SIZE = (320, 240)


def picture(index: int) -> Frame:
    return moving(index % 60, SIZE)


def encoder() -> VideoEncoder:
    """In this process: a worker per test would only test patience."""
    return open_encoder("hybrid", fps=30, options=EncoderOptions(preset=11, screen=False))


@contextlib.asynccontextmanager
async def relay(
    server: Server, near: str, far: str, options: RelayOptions
) -> AsyncIterator[tuple[Uplink, Downlink]]:
    """One bot in each room; the data tracks are in the far one."""

    def bot(identity: str, room: str) -> Bot:
        return Bot(
            lambda listener: LiveKitRoom(server.url, token(identity, room), listener, version="0")
        )

    source, sender, receiver = bot("src", near), bot("up", far), bot("down", far)
    uplink = Uplink(
        source.room,
        sender.room,
        options,
        encoder=encoder,
        clock=time.monotonic,
    )
    source.add(Duty(changed=uplink.changed))
    sender.add(Duty(control=uplink.control))
    downlink = Downlink(receiver.room, receiver.room, identities=frozenset({"up"}))
    receiver.add(Duty(changed=downlink.changed, control=downlink.control))
    crew = Crew([source, sender, receiver], [uplink.run, downlink.run])
    task = asyncio.create_task(crew.run())
    try:
        yield uplink, downlink
    finally:
        crew.leave()
        async with asyncio.timeout(20):
            await task


async def test_pictures_cross_a_thin_link_between_two_rooms(livekit: Server, room: str) -> None:
    near, far = room + "-near", room + "-far"
    options = RelayOptions(rate_bps=150_000, start_bps=120_000)
    async with (
        member(livekit, near, "alice") as (alice, _),
        member(livekit, far, "bob") as (bob, seen),
        relay(livekit, near, far, options) as (uplink, downlink),
        camera(alice, picture),
    ):
        await until(lambda: seen.track("aic/alice/cam"), "the restored track")
        video = VideoIn(time.monotonic)
        bob.subscribe_video(seen.track("aic/alice/cam"), video.push)
        async with asyncio.timeout(20):
            frames = [await video.take() for _ in range(90)]
        (up,) = uplink.streams.values()
        (down,) = downlink.streams

    assert {frame.size for frame in frames} == {SIZE}
    times = [frame.pts_us for frame in frames]
    assert times == sorted(set(times))
    assert max(psnr(frames[-1].y, picture(index).y) for index in range(60)) > 25
    assert isinstance(up, VideoUplink)
    assert isinstance(down, VideoDownlink)
    assert down.counts.decoded > 60
    assert up.counts.failed == 0


async def test_sound_crosses_with_its_pitch(livekit: Server, room: str) -> None:
    near, far = room + "-near", room + "-far"
    heard: list[AudioFrame] = []
    async with (
        member(livekit, near, "alice") as (alice, _),
        member(livekit, far, "bob") as (bob, seen),
        relay(livekit, near, far, RelayOptions(audio_bps=24_000)) as (uplink, downlink),
    ):
        alice.publish_audio(AudioOffer(name="mic", make_track=lambda: Tone(440)))
        await until(lambda: seen.track("aic/alice/mic"), "the restored track")
        bob.subscribe_audio(seen.track("aic/alice/mic"), heard.append)
        await until(lambda: len(heard) > 150, "three seconds of sound")
        (up,) = uplink.streams.values()
        (down,) = downlink.streams

    sound = np.concatenate([frame.to_ndarray().reshape(-1)[::2] for frame in heard[50:150]])
    spectrum = np.abs(np.fft.rfft(sound * np.hanning(len(sound))))
    peak_hz = float(np.argmax(spectrum)) * 48_000 / len(sound)
    assert abs(peak_hz - 440) < 3
    assert np.sqrt(np.mean(sound.astype(float) ** 2)) > 2_000
    assert isinstance(up, AudioUplink)
    assert isinstance(down, AudioDownlink)
    assert up.counts.lagging == 0
    assert down.counts.missing == 0
