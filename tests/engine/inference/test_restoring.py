"""Pictures of a decoder without networks, sharpened by the engine, or plain when it does not."""

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace

import pytest

from auralink.bench.fault.outputs import SPOILS, Nonsense, spoiled
from auralink.codecs.video.options import EncoderOptions
from auralink.codecs.video.profiles import open_decoder, open_encoder
from auralink.codecs.video.protocol import Picture, Status, Wish
from auralink.codecs.video.receiver import Receiver
from auralink.engine.inference.outcome import FrameOutcome
from auralink.engine.inference.pool import PoolSettings, WorkerPool
from auralink.engine.inference.restoring import StreamRestorer
from auralink.engine.inference.services import Make
from auralink.engine.inference.whole import Inference
from auralink.models.runtime import open_networks
from auralink.models.store import Store

from ...codecs.pictures import noisy

pytestmark = [
    pytest.mark.skipif(os.name != "posix", reason="speaks of signals"),
    pytest.mark.usefixtures("leaves_nothing_behind"),
]
MODEL = "restore-s"
SIZE = (160, 128)
PICTURE_US = 5_000_000  # that one has: a loaded machine must not look like a fault


@pytest.fixture(scope="module")
def pool(leaves_nothing_behind: None) -> Iterator[WorkerPool]:
    entry = Store.bundled().find(MODEL, "int8")
    pool = WorkerPool(PoolSettings(workers=1, spares=1, most_backoff_s=0, entry=entry))
    assert pool.wait_started()
    yield pool
    pool.close()


@pytest.fixture
async def inference(pool: WorkerPool) -> AsyncIterator[Inference]:
    assert await asyncio.to_thread(pool.wait_started)
    async with Inference(pool, picture_us=PICTURE_US) as inference:
        yield inference


@pytest.fixture(scope="module")
def units() -> list[tuple[bytes, ...]]:
    """A stream with so few bits that most of its pictures are coded small."""
    encoder = open_encoder("hybrid", fps=30, options=EncoderOptions(preset=12))
    frames = [noisy(number, SIZE) for number in range(80)]
    coded = [encoder.encode(frame, Wish(bitrate_bps=12_000)).packets for frame in frames]
    encoder.close()
    return [packets for packets in coded if packets]


def now_us() -> int:
    return time.monotonic_ns() // 1_000


async def play(
    decoder: Receiver, units: list[tuple[bytes, ...]], restorer: StreamRestorer
) -> list[Picture]:
    return [
        await restorer.restore(picture, now_us())
        for packets in units
        for packet in packets
        for picture in await asyncio.to_thread(decoder.push, packet)
    ]


async def test_the_pictures_are_those_of_a_decoder_with_the_network(
    inference: Inference, units: list[tuple[bytes, ...]]
) -> None:
    whole = Receiver(open_decoder(open_networks()))
    expected = [picture for unit in units for packet in unit for picture in whole.push(packet)]
    decoder, restorer = Receiver(inference.open_decoder()), inference.restorer("t")

    pictures = await play(decoder, units, restorer)

    decoder.close()
    whole.close()
    await restorer.close()
    assert len(pictures) == len(expected)
    assert sum(picture.restored for picture in expected) > 10
    for made, wanted in zip(pictures, expected, strict=True):
        assert made.frame is not None
        assert made.frame.same_pixels(wanted.frame)
        assert wanted.frame is not None
        assert made.frame.pts_us == wanted.frame.pts_us
        assert made.restored == wanted.restored
    assert restorer.answers == {FrameOutcome.CODED: sum(one.restored for one in expected)}


async def test_what_comes_too_late_is_shown_plain_and_the_network_starts_anew(
    inference: Inference, units: list[tuple[bytes, ...]]
) -> None:
    decoder, restorer = Receiver(inference.open_decoder()), inference.restorer("t")
    plain = [
        picture
        for unit in units
        for packet in unit
        for picture in decoder.push(packet)
        if picture.plain is not None
    ]

    first = await restorer.restore(plain[0], now_us())
    assert plain[0].frame is not None
    still = replace(plain[0], status=Status.REPEATED, frame=plain[0].frame.at(7), plain=None)
    repeated = await restorer.restore(still, now_us())
    late = await restorer.restore(plain[1], now_us() - PICTURE_US)
    after = await restorer.restore(plain[2], now_us())
    again = inference.restorer("t")
    alone = await again.restore(plain[2], now_us())

    decoder.close()
    assert first.frame is not None
    assert repeated.frame is not None
    assert repeated.frame.same_pixels(first.frame)
    assert repeated.frame.pts_us == 7
    assert late.frame is plain[1].frame
    assert [first.restored, late.restored, after.restored] == [True, False, True]
    assert after.frame is not None
    assert after.frame.same_pixels(alone.frame)
    assert restorer.answers == {FrameOutcome.CODED: 2, FrameOutcome.LATE: 1}
    await restorer.close()
    await again.close()


async def test_weights_that_nobody_has_leave_pictures_plain(
    leaves_nothing_behind: None, units: list[tuple[bytes, ...]]
) -> None:
    without = WorkerPool(PoolSettings(workers=1, spares=0))
    async with Inference(without) as inference:
        decoder, restorer = Receiver(inference.open_decoder()), inference.restorer("t")
        pictures = await play(decoder, units, restorer)
        await asyncio.to_thread(decoder.close)
        await restorer.close()
    await asyncio.to_thread(without.close)

    assert not any(picture.restored for picture in pictures)
    assert set(restorer.answers) == {FrameOutcome.NO_MODEL}


@pytest.mark.parametrize("kind", ["not a number", "frozen", "inverted"])
async def test_nonsense_is_seen_by_nobody(
    pool: WorkerPool, units: list[tuple[bytes, ...]], kind: str
) -> None:
    nonsense: Make = Nonsense(spoiled(SPOILS[kind]))
    async with Inference(pool, models={MODEL: nonsense}, picture_us=PICTURE_US) as inference:
        decoder, restorer = Receiver(inference.open_decoder()), inference.restorer("t")
        pictures = await play(decoder, units, restorer)
        await asyncio.to_thread(decoder.close)
        await restorer.close()

    answers = restorer.answers
    assert answers[FrameOutcome.INVALID] >= 5
    assert set(answers) <= {FrameOutcome.CODED, FrameOutcome.INVALID, FrameOutcome.BREAKER}
    # A network that shows the picture before is right whenever it starts anew.
    assert answers[FrameOutcome.CODED] <= (
        answers[FrameOutcome.INVALID] + 1 if kind == "frozen" else 0
    )
    assert sum(picture.restored for picture in pictures) == answers[FrameOutcome.CODED]
    assert all(picture.frame is not None for picture in pictures)


async def test_a_stream_that_ends_in_the_middle_of_a_picture_leaves_no_seat(
    inference: Inference, pool: WorkerPool, units: list[tuple[bytes, ...]]
) -> None:
    decoder, restorer = Receiver(open_decoder()), inference.restorer("t")
    (plain, *_) = [
        picture
        for unit in units
        for packet in unit
        for picture in decoder.push(packet)
        if picture.plain is not None
    ]
    asking = asyncio.create_task(restorer.restore(plain, now_us()))
    await asyncio.sleep(0)
    asking.cancel()

    await restorer.close()

    assert pool.statistics().seats == 0
    assert inference.statistics().open == 0
    decoder.close()


async def test_a_size_that_is_in_use_is_ready_at_a_worker_that_takes_over(
    inference: Inference, pool: WorkerPool, units: list[tuple[bytes, ...]]
) -> None:
    decoder, restorer = Receiver(open_decoder()), inference.restorer("t")
    plain = [
        picture
        for unit in units
        for packet in unit
        for picture in decoder.push(packet)
        if picture.plain is not None
    ]
    first = await restorer.restore(plain[0], now_us())
    before = pool.pids()

    os.kill(before[0], signal.SIGKILL)
    after = [await restorer.restore(picture, now_us()) for picture in plain[1:6]]

    assert first.restored
    # The one that it was at, if it was at one; then the spare has it.
    assert sum(not picture.restored for picture in after) <= 1
    assert restorer.answers[FrameOutcome.CODED] >= 5
    await restorer.close()
    decoder.close()
