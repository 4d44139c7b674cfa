"""A whole decoder at a worker: same pictures, and the stream heals by itself after a crash."""

import os
import signal
from collections.abc import Iterator

import numpy as np
import pytest

from auralink.codecs.errors import UnsupportedError
from auralink.codecs.frame import Frame, blank
from auralink.codecs.video.options import EncoderOptions
from auralink.codecs.video.profiles import open_decoder, open_encoder
from auralink.codecs.video.protocol import (
    Networks,
    Picture,
    Status,
    VideoDecoder,
    VideoEncoder,
    Wish,
)
from auralink.codecs.video.receiver import Receiver
from auralink.engine.inference.hosts import LocalHost
from auralink.engine.inference.pool import PoolSettings, WorkerPool
from auralink.engine.inference.remote import RemoteVideoDecoder
from auralink.engine.inference.tools import NoNetworks

from .processes import wait_for

pytestmark = [
    pytest.mark.skipif(os.name != "posix", reason="speaks of signals"),
    pytest.mark.usefixtures("leaves_nothing_behind"),
]


@pytest.fixture(scope="module")
def pool(leaves_nothing_behind: None) -> Iterator[WorkerPool]:
    pool = WorkerPool(PoolSettings(workers=1, spares=1))
    assert pool.wait_started()
    yield pool
    pool.close()


@pytest.fixture
def encoder() -> Iterator[VideoEncoder]:
    encoder = open_encoder("hybrid", fps=20, options=EncoderOptions(preset=12))
    yield encoder
    encoder.close()


def moving(number: int) -> Frame:
    y, x = np.mgrid[:96, :128]
    luma = (128 + 80 * np.sin((x + 3 * number) / 9) * np.cos(y / 7)).astype(np.uint8)
    frame = blank(128, 96, number * 50_000)
    return Frame(y=luma, u=frame.u, v=frame.v, pts_us=frame.pts_us)


def show(receiver: Receiver, encoder: VideoEncoder, number: int, wish: Wish) -> Picture:
    (picture,) = [
        picture
        for packet in encoder.encode(moving(number), wish).packets
        for picture in receiver.push(packet)
    ]
    return picture


def test_gives_the_pictures_that_the_decoder_gives_in_process(
    pool: WorkerPool, encoder: VideoEncoder
) -> None:
    here = Receiver(open_decoder())
    there = Receiver(RemoteVideoDecoder(open_decoder, host=pool))
    local = Receiver(RemoteVideoDecoder(open_decoder, host=LocalHost(NoNetworks())))
    still = moving(5)

    for number in range(10):
        frame = still.at(number * 50_000) if number > 5 else moving(number)
        for packet in encoder.encode(frame, Wish()).packets:
            expected = here.push(packet)
            for receiver in (there, local):
                for picture, wanted in zip(receiver.push(packet), expected, strict=True):
                    assert picture.frame is not None
                    assert picture.frame.same_pixels(wanted.frame)
                    assert wanted.frame is not None
                    assert picture.frame.pts_us == wanted.frame.pts_us
                    assert (picture.status, picture.number) == (wanted.status, wanted.number)

    for receiver in (here, there, local):
        receiver.close()


@pytest.mark.parametrize("when", ["between units", "at work"])
def test_after_a_crash_the_picture_stays_until_the_sender_keys(
    pool: WorkerPool, encoder: VideoEncoder, when: str
) -> None:
    assert pool.wait_started()
    decoder = RemoteVideoDecoder(open_decoder, host=pool)
    receiver = Receiver(decoder)
    for number in range(4):
        shown = show(receiver, encoder, number, Wish())
        assert shown.status is Status.DECODED
    pid = decoder.pid
    assert pid is not None
    os.kill(pid, signal.SIGSTOP if when == "at work" else signal.SIGKILL)
    if when == "between units":
        wait_for(lambda: decoder.pid is None)

    frozen = show(receiver, encoder, 4, Wish())
    report = receiver.report()
    healed = show(receiver, encoder, 5, Wish(report=report))

    assert frozen.status is Status.FROZEN
    assert frozen.restarted
    assert frozen.frame is not None
    assert shown.frame is not None
    assert frozen.frame.same_pixels(shown.frame)
    assert report.stuck
    assert report.newest is None  # what the old decoder held is no reference
    assert healed.status is Status.DECODED
    assert show(receiver, encoder, 6, Wish()).status is Status.DECODED
    receiver.close()


def unavailable(networks: Networks) -> VideoDecoder:
    raise UnsupportedError("no such library here")


def test_a_decoder_that_cannot_be_made_shows_nothing_and_says_why(pool: WorkerPool) -> None:
    decoder = RemoteVideoDecoder(unavailable, host=pool)

    picture = decoder.decode([b"\x00"])

    assert (picture.frame, picture.status) == (None, Status.FROZEN)
    assert "no such library here" in picture.reason
    decoder.close()
