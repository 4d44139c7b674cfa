"""A call whose codecs are killed in the middle: people see a softer moment, not the end."""

import asyncio
import os
import signal
import time
from collections.abc import Iterator
from functools import partial

import pytest

from auralink.codecs.frame import Frame
from auralink.codecs.video.options import EncoderOptions
from auralink.engine.inference.base import decoder_at, encoder_at
from auralink.engine.inference.pool import PoolSettings, WorkerPool
from auralink.engine.relay.downlink_streams import VideoDownlink
from auralink.engine.relay.options import RelayOptions
from auralink.engine.relay.uplink_streams import VideoUplink
from auralink.engine.room.video_in import VideoIn

from ...codecs.pictures import moving, psnr
from ..room.people import camera, member, until
from ..room.server import Server
from .relays import relay

SIZE = (320, 240)


@pytest.fixture(scope="module")
def pool() -> Iterator[WorkerPool]:
    pool = WorkerPool(PoolSettings(workers=1, spares=1, most_backoff_s=0.1))
    assert pool.wait_started()
    yield pool
    pool.close()


def picture(index: int) -> Frame:
    return moving(index % 60, SIZE)


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGSTOP])
async def test_a_call_outlives_its_workers(
    livekit: Server, room: str, pool: WorkerPool, how: signal.Signals
) -> None:
    near, far = room + "-near", room + "-far"
    encoding = partial(
        encoder_at,
        pool,
        "hybrid",
        fps=30,
        options=EncoderOptions(preset=11, screen=False),
        clock=time.monotonic,
    )
    async with (
        member(livekit, near, "alice") as (alice, _),
        member(livekit, far, "bob") as (bob, seen),
        relay(
            livekit,
            near,
            far,
            RelayOptions(rate_bps=150_000, start_bps=120_000),
            encoding=encoding,
            decoder=partial(decoder_at, pool),
        ) as (uplink, downlink),
        camera(alice, picture),
    ):
        await until(lambda: seen.track("aic/alice/cam"), "the restored track")
        video = VideoIn(time.monotonic)
        bob.subscribe_video(seen.track("aic/alice/cam"), video.push)
        async with asyncio.timeout(20):
            for _ in range(10):
                await video.take()
        (up,) = uplink.streams.values()
        (down,) = downlink.streams.values()
        assert isinstance(up, VideoUplink)
        assert isinstance(down, VideoDownlink)
        lost, decoded = pool.statistics().lost, down.counts.decoded

        os.kill(pool.pids()[0], how)

        await until(lambda: pool.statistics().lost > lost, "the pool to notice")
        await until(lambda: down.counts.decoded > decoded + 20, "pictures after the crash")
        async with asyncio.timeout(20):
            frames = [await video.take() for _ in range(30)]

    assert up.counts.failed == 0
    assert max(psnr(frames[-1].y, picture(index).y) for index in range(60)) > 25
