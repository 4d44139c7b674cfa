"""A call over data tracks through a real server: taken, compressed, restored, watched."""

import asyncio
import time

import numpy as np
from av.audio.frame import AudioFrame

from auralink.codecs.frame import Frame
from auralink.engine.relay.downlink_streams import AudioDownlink, VideoDownlink
from auralink.engine.relay.options import RelayOptions
from auralink.engine.relay.uplink_streams import AudioUplink, VideoUplink
from auralink.engine.room.transport import AudioOffer
from auralink.engine.room.video_in import VideoIn

from ...codecs.pictures import moving, psnr
from ..room.people import Tone, camera, member, until
from ..room.server import Server
from .relays import relay

SIZE = (320, 240)


def picture(index: int) -> Frame:
    return moving(index % 60, SIZE)


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
        (down,) = downlink.streams.values()

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
        bob.subscribe_audio(seen.track("aic/alice/mic"), lambda frame, at: heard.append(frame))
        await until(lambda: len(heard) > 150, "three seconds of sound")
        (up,) = uplink.streams.values()
        (down,) = downlink.streams.values()

    sound = np.concatenate([frame.to_ndarray().reshape(-1)[::2] for frame in heard[50:150]])
    spectrum = np.abs(np.fft.rfft(sound * np.hanning(len(sound))))
    peak_hz = float(np.argmax(spectrum)) * 48_000 / len(sound)
    assert abs(peak_hz - 440) < 3
    assert np.sqrt(np.mean(sound.astype(float) ** 2)) > 2_000
    assert isinstance(up, AudioUplink)
    assert isinstance(down, AudioDownlink)
    assert up.counts.lagging == 0
    assert down.counts.missing == 0
