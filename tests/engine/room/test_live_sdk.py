"""The second backend: LiveKit's own SDK behind the same protocol, against a real server.

It does not offer loopback addresses, so the server is at another one of this machine.
"""

import asyncio
import contextlib
import itertools
import time
from collections.abc import AsyncIterator

import pytest
from av.video.frame import VideoFrame
from livekit.protocol import rtc as protocol

from auralink.engine.room.data_packet import DataPacket
from auralink.engine.room.errors import AccessRefused, Duplicate
from auralink.engine.room.roster import TrackRefused
from auralink.engine.room.transport import AudioOffer
from auralink.engine.room.video_in import VideoIn

from ...codecs.pictures import moving, psnr
from .people import Tone, Witness, camera, member, until
from .server import Server, token

rtc = pytest.importorskip("livekit.rtc", reason="the extra `livekit` is not installed")
from auralink.engine.room.sdk_room import SdkRoom  # noqa: E402

pytestmark = pytest.mark.usefixtures("this_address")
SIZE = (320, 240)


@contextlib.asynccontextmanager
async def sdk_member(
    server: Server, room: str, identity: str, *, jwt: str | None = None
) -> AsyncIterator[tuple[SdkRoom, Witness]]:
    witness = Witness()
    one = SdkRoom(server.url, jwt or token(identity, room), witness)
    task = asyncio.create_task(one.run())
    try:
        await until(lambda: witness.joins or witness.ends, f"{identity} joins")
        yield one, witness
    finally:
        one.leave()
        async with asyncio.timeout(20):
            await task


@pytest.mark.parametrize("sdk_sends", [True, False], ids=["sdk to ours", "ours to sdk"])
async def test_data_and_messages_cross(far_server: Server, room: str, sdk_sends: bool) -> None:
    got: list[DataPacket] = []
    async with (
        sdk_member(far_server, room, "sdk") as (sdk, sdk_saw),
        member(far_server, room, "ours") as (ours, ours_saw),
    ):
        sender, receiver = (sdk, ours) if sdk_sends else (ours, sdk)
        seen = ours_saw if sdk_sends else sdk_saw
        track = sender.publish_data("aic.v.1")
        await until(lambda: seen.track("aic.v.1"), "the data track is announced")
        receiver.subscribe_data(seen.track("aic.v.1"), got.append)
        sent = 0
        deadline = time.monotonic() + 20
        while len(got) < 50 and time.monotonic() < deadline:
            sent += track.send(bytes([sent % 256]) * 1000, sent * 3000)
            await asyncio.sleep(0.01)
        assert len(got) >= 50
        assert {len(packet.payload) for packet in got} == {1000}

        await until(lambda: sender.send_control("aic.ctl", b"hello"), "the channel opens")
        await until(lambda: seen.messages, "the message")
        assert seen.messages[0] == ("sdk" if sdk_sends else "ours", "aic.ctl", b"hello")
        track.unpublish()
        await until(lambda: any("Removed" in type(one).__name__ for one in seen.changes), "its end")


async def test_many_packets_at_once_all_leave(far_server: Server, room: str) -> None:
    """A key picture is a burst.  Data tracks are lossy, and a busy machine makes use of that."""
    got: list[DataPacket] = []

    def missing() -> set[int]:
        return set(range(1, 31)) - {packet.payload[0] for packet in got}

    async with (
        sdk_member(far_server, room, "sdk") as (sdk, _),
        member(far_server, room, "ours") as (ours, seen),
    ):
        track = sdk.publish_data("aic.v.1")
        await until(lambda: seen.track("aic.v.1"), "the data track is announced")
        ours.subscribe_data(seen.track("aic.v.1"), got.append)
        await until(lambda: track.send(b"x", 0) and got, "the first packet")
        for _ in range(3):
            for number in missing():
                assert track.send(bytes([number]) * 1000, number)
            with contextlib.suppress(AssertionError):
                await until(lambda: not missing(), patience_s=5)
        assert not missing()


async def test_pictures_and_sound_cross_both_ways(far_server: Server, room: str) -> None:
    async with (
        sdk_member(far_server, room, "sdk") as (sdk, sdk_saw),
        member(far_server, room, "ours") as (ours, ours_saw),
        camera(sdk, lambda index: moving(index % 60, SIZE), name="from-sdk"),
        camera(ours, lambda index: moving(index % 60, SIZE), name="from-ours"),
    ):
        sdk.publish_audio(AudioOffer(name="sdk-mic", make_track=lambda: Tone(440)))
        ours.publish_audio(AudioOffer(name="our-mic", make_track=lambda: Tone(440)))
        for receiver, seen, cam, mic in (
            (sdk, sdk_saw, "from-ours", "our-mic"),
            (ours, ours_saw, "from-sdk", "sdk-mic"),
        ):
            await until(lambda s=seen, c=cam: s.track(c), cam)
            await until(lambda s=seen, m=mic: s.track(m), mic)
            video = VideoIn(time.monotonic)
            heard: list[int] = []
            receiver.subscribe_video(seen.track(cam), video.push)
            receiver.subscribe_audio(
                seen.track(mic), lambda frame, _, h=heard: h.append(frame.samples)
            )
            async with asyncio.timeout(20):
                frames = [await video.take() for _ in range(30)]
            await until(lambda h=heard: len(h) > 20, "sound")
            times = [frame.pts_us for frame in frames]
            assert times == sorted(set(times))
            assert frames[-1].size == SIZE
            assert max(psnr(frames[-1].y, moving(index, SIZE).y) for index in range(60)) > 25


async def test_a_refused_token_ends_it_and_is_not_shown(far_server: Server, room: str) -> None:
    bad = token("a", room, secret="another secret that is long enough")
    async with sdk_member(far_server, room, "a", jwt=bad) as (_, saw):
        await until(lambda: saw.ends, "the end")

    assert isinstance(saw.ends[0], AccessRefused)
    assert bad not in str(saw.ends[0])


async def test_two_of_one_identity_do_not_fight(far_server: Server, room: str) -> None:
    async with (
        sdk_member(far_server, room, "twin") as (_, first),
        sdk_member(far_server, room, "twin") as (_, second),
    ):
        await until(lambda: first.ends, "the first gives way")
        assert isinstance(first.ends[0], Duplicate)
        assert second.joins == 1


@contextlib.asynccontextmanager
async def stranger(
    server: Server, room: str, size: tuple[int, int], *, codec: str, layers: bool, fps: float
) -> AsyncIterator[None]:
    """A participant that is all SDK and publishes as applications do, with the SDK's encoder."""
    sender = rtc.Room()
    await sender.connect(server.url, token("stranger", room), rtc.RoomOptions())
    source = rtc.VideoSource(*size)
    local = rtc.LocalVideoTrack.create_video_track("stranger-cam", source)
    options = rtc.TrackPublishOptions(video_codec=getattr(rtc.VideoCodec, codec), simulcast=layers)
    await sender.local_participant.publish_track(local, options)
    pictures = [
        frame.y.tobytes() + frame.u.tobytes() + frame.v.tobytes()
        for frame in (moving(index, size) for index in range(10))
    ]

    async def show() -> None:
        for data in itertools.cycle(pictures):
            source.capture_frame(rtc.VideoFrame(*size, rtc.VideoBufferType.I420, data))
            await asyncio.sleep(1 / fps)

    showing = asyncio.create_task(show())
    try:
        yield
    finally:
        showing.cancel()
        await asyncio.gather(showing, return_exceptions=True)
        await sender.disconnect()


async def test_a_codec_that_is_not_ours_is_refused_and_other_tracks_go_on(
    far_server: Server, room: str
) -> None:
    async with (
        stranger(far_server, room, SIZE, codec="VP9", layers=False, fps=20),
        member(far_server, room, "ours") as (ours, seen),
        member(far_server, room, "vp8") as (other, _),
        camera(other, lambda index: moving(index % 60, SIZE)),
    ):
        await until(lambda: seen.track("stranger-cam") and seen.track("cam"), "both tracks")
        video = VideoIn(time.monotonic)
        ours.subscribe_video(seen.track("cam"), video.push)
        ours.subscribe_video(seen.track("stranger-cam"), lambda frame, at: None)
        refused = TrackRefused(seen.track("stranger-cam"), "codec_unsupported")
        await until(lambda: refused in seen.changes, "the refusal")
        async with asyncio.timeout(20):
            for _ in range(10):
                await video.take()
        assert not seen.losses


async def test_a_narrow_way_from_the_server_brings_a_smaller_layer_and_never_a_pause(
    far_server: Server, room: str
) -> None:
    """A bot asks never to be paused: a small picture can be coded, none is a stall."""
    async with (
        stranger(far_server, room, (1280, 720), codec="VP8", layers=True, fps=8),
        member(far_server, room, "ours") as (ours, seen),
    ):
        await until(lambda: seen.track("stranger-cam"), "the track")
        sid, sizes = seen.track("stranger-cam"), [(0, 0)]
        ours.subscribe_video(sid, lambda frame, at: sizes.append((frame.width, frame.height)))
        ours.wish_size(sid, (640, 360), 30)
        await until(lambda: sizes[-1] == (640, 360), "the layer that was asked for", 60)
        for bits, size in ((100_000, (320, 180)), (0, (640, 360))):
            narrow = protocol.SimulateScenario(subscriber_bandwidth=bits)
            ours.request(protocol.SignalRequest(simulate=narrow))
            await until(lambda s=size: sizes[-1] == s, f"{size}", 60)
            before = len(sizes)
            await until(lambda b=before: len(sizes) > b + 8, "it goes on")


async def test_the_simulcast_layer_next_to_the_wish_comes_and_changes_in_mid_stream(
    far_server: Server, room: str
) -> None:
    async with (
        stranger(far_server, room, (1280, 720), codec="VP8", layers=True, fps=8),
        member(far_server, room, "ours") as (ours, seen),
    ):
        await until(lambda: seen.track("stranger-cam"), "the track")
        sid, sizes, times = seen.track("stranger-cam"), [(0, 0)], [-1]

        def keep(frame: VideoFrame, at: int | None) -> None:
            assert frame.pts is not None
            sizes.append((frame.width, frame.height))
            times.append(frame.pts)

        ours.subscribe_video(sid, keep)
        for size in ((320, 180), (640, 360)):
            ours.wish_size(sid, size, 30)
            # The SDK starts its larger layers as its estimate of the network grows.
            await until(lambda s=size: sizes[-1] == s, f"{size}", 60)
        assert times == sorted(set(times))
