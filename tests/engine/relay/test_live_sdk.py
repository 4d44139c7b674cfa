"""The relay over LiveKit's own SDK: the same jobs, another way into the rooms."""

import asyncio
import time

import pytest

from auralink.codecs.errors import InputError
from auralink.codecs.video.options import EncoderOptions
from auralink.engine.relay.access import Access
from auralink.engine.relay.job import Place, RelayJob, RelaySettings
from auralink.engine.relay.options import RelayOptions
from auralink.engine.room.backends import BACKENDS, Backend, open_room
from auralink.engine.room.transport import AudioOffer
from auralink.engine.room.video_in import VideoIn

from ...codecs.pictures import moving, psnr
from ..room.people import Tone, Witness, camera, member, until
from ..room.server import KEY, SECRET, Server
from .relays import encoder

pytest.importorskip("livekit.rtc", reason="the extra `livekit` is not installed")
pytestmark = pytest.mark.usefixtures("this_address")
SIZE = (320, 240)


async def test_a_call_is_relayed_by_bots_of_the_sdk(far_server: Server, room: str) -> None:
    near, far = room + "-near", room + "-far"
    access = Access(url=far_server.url, key=KEY, secret=SECRET)
    job = RelayJob(
        RelaySettings(
            near=Place(access=access, room=near),
            far=Place(access=access, room=far),
            options=RelayOptions(rate_bps=200_000, encoder=EncoderOptions(preset=11)),
            backend="sdk",
        ),
        version="0",
        clock=time.monotonic,
        encoder=lambda options, clock: encoder(),
    )
    running = asyncio.create_task(job.run())
    try:
        async with (
            member(far_server, near, "alice") as (alice, _),
            member(far_server, far, "bob") as (bob, seen),
            camera(alice, lambda index: moving(index % 60, SIZE)),
        ):
            alice.publish_audio(AudioOffer(name="mic", make_track=lambda: Tone(440)))
            await until(lambda: seen.track("aic/alice/cam"), "the restored picture")
            await until(lambda: seen.track("aic/alice/mic"), "the restored sound")
            video = VideoIn(time.monotonic)
            heard: list[int] = []
            bob.subscribe_video(seen.track("aic/alice/cam"), video.push)
            bob.subscribe_audio(
                seen.track("aic/alice/mic"), lambda frame, _: heard.append(frame.samples)
            )
            async with asyncio.timeout(20):
                frames = [await video.take() for _ in range(60)]
            await until(lambda: len(heard) > 20, "sound")
            assert job.want_key() == 4  # two streams, both ends
            told = job.status()
    finally:
        job.leave()
        async with asyncio.timeout(20):
            await running

    assert {one["joins"] for one in told["rooms"]} == {1}
    assert max(psnr(frames[-1].y, moving(index, SIZE).y) for index in range(60)) > 25


@pytest.mark.parametrize("backend", BACKENDS)
def test_an_address_that_is_none_is_refused(backend: Backend) -> None:
    with pytest.raises(InputError, match="no server address"):
        open_room(backend, "nonsense", "token", Witness(), version="0")
