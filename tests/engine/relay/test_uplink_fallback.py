"""A video stream whose encoder is slow, broken or short of bits, without a room."""

import asyncio
from dataclasses import dataclass, field
from fractions import Fraction

import av
import numpy as np
import pytest

from auralink.codecs.errors import EncoderError
from auralink.codecs.frame import Frame
from auralink.codecs.video.options import EncoderOptions
from auralink.codecs.video.profiles import open_decoder, open_encoder
from auralink.codecs.video.protocol import Coded, Outcome, Picture, Status, VideoEncoder, Wish
from auralink.codecs.video.receiver import Receiver
from auralink.engine.inference.fallback_ladder import Cause, Move
from auralink.engine.inference.outcome import FrameOutcome
from auralink.engine.relay.options import RelayOptions
from auralink.engine.relay.uplink_fallback import VideoFallback
from auralink.engine.relay.uplink_streams import VideoUplink, now_us
from auralink.engine.room.video_in import VideoIn

SECOND = 1_000_000
BITS = 100_000
WISHED = RelayOptions(size=(128, 96), fps=10.0, encoder=EncoderOptions(preset=11, screen=False))


def broken(options: RelayOptions) -> VideoEncoder:
    raise EncoderError("no worker")


class Silent:
    """An encoder nobody asks."""

    def encode(self, frame: Frame, wish: Wish) -> Coded:
        return Coded(outcome=Outcome.CODED)

    def close(self) -> None:
        pass


def gray(size: tuple[int, int], number: int = 0) -> Frame:
    width, height = size
    luma = np.full((height, width), 40 + 5 * number, np.uint8)
    chroma = np.full((height // 2, width // 2), 128, np.uint8)
    return Frame(y=luma, u=chroma, v=chroma.copy(), pts_us=number * 100_000)


def test_each_rung_opens_the_encoder_that_it_stands_for() -> None:
    asked: list[RelayOptions] = []

    def note(options: RelayOptions) -> VideoEncoder:
        asked.append(options)
        return Silent()

    fallback = VideoFallback(WISHED, note, 0)
    for at_us, name in enumerate(("wished", "plain", "small", "slow")):
        fallback.force(name)
        fallback.look(BITS, at_us)
        fallback.open()

    assert [one.encoder.neural for one in asked] == [True, False, False, False]
    assert [one.size for one in asked] == [(128, 96), (128, 96), (64, 48), (64, 48)]
    assert [one.fps for one in asked] == [10.0, 10.0, 10.0, 5.0]


def test_two_failures_in_a_row_lead_to_the_native_codec_in_this_process() -> None:
    fallback = VideoFallback(WISHED, broken, 0)
    assert fallback.failed(SECOND)  # worth waiting: a new worker may mend it
    assert fallback.look(BITS, SECOND) is None
    assert not fallback.failed(2 * SECOND)

    move = fallback.look(BITS, 2 * SECOND)
    encoder = fallback.open()
    coded = encoder.encode(gray((64, 48)), Wish(bitrate_bps=BITS))
    encoder.close()

    assert move is not None
    assert (move.after.name, move.cause) == ("native", Cause.WORKERS)
    assert coded.outcome is Outcome.CODED
    fallback.coded(coded, 1.0, 2 * SECOND)
    assert fallback.answers == {FrameOutcome.INVALID: 2, FrameOutcome.NO_MODEL: 1}


def test_with_workers_back_it_returns_to_what_was_wished() -> None:
    fallback = VideoFallback(WISHED, broken, 0)
    fallback.failed(0)
    fallback.failed(0)
    moves = [fallback.look(BITS, at_us) for at_us in range(0, 12 * SECOND, SECOND // 10)]

    assert [move.after.name for move in moves if move] == ["native", "wished"]


def test_a_learned_profile_gives_way_to_the_base_and_not_to_native() -> None:
    learned = RelayOptions(profile="neural-s", size=(128, 96))
    fallback = VideoFallback(learned, broken, 0)
    fallback.failed(0)
    fallback.failed(0)

    move = fallback.look(BITS, 0)

    assert move is not None
    assert (move.after.name, move.cause) == ("plain", Cause.MODEL)
    assert fallback.order is not None
    assert fallback.order.profile == "hybrid"


def test_slow_coding_goes_down_after_speed_control_had_its_try() -> None:
    fallback = VideoFallback(WISHED, broken, 0)
    moves: list[Move] = []
    for number in range(100):
        at_us = number * 100_000
        fallback.coded(Coded(outcome=Outcome.CODED), 150.0, at_us)
        move = fallback.look(BITS, at_us)
        if move is not None:
            moves.append(move)
            break

    assert [(move.after.name, move.cause) for move in moves] == [("plain", Cause.LATE)]
    assert 4 * SECOND <= moves[0].at_us <= 6 * SECOND


def test_a_link_without_bits_for_pictures_pauses_them() -> None:
    fallback = VideoFallback(WISHED, broken, 0)
    for at_us in range(0, 3 * SECOND, 100_000):
        fallback.look(3_000, at_us)

    assert (fallback.rung, fallback.order) == ("audio", None)
    assert fallback.sets_aside() is FrameOutcome.PAUSED


def test_half_the_rate_sets_every_second_picture_aside() -> None:
    fallback = VideoFallback(WISHED, broken, 0)
    fallback.force("slow")
    fallback.look(BITS, 0)

    aside = [fallback.sets_aside() for _ in range(6)]

    assert aside == [FrameOutcome.STALE, None] * 3


@pytest.mark.parametrize(
    ("given", "made"),
    [((128, 96), (64, 48)), ((96, 128), (48, 64)), ((64, 48), (64, 48)), ((200, 50), (64, 16))],
)
def test_a_small_rung_makes_pictures_small_and_keeps_their_shape(
    given: tuple[int, int], made: tuple[int, int]
) -> None:
    fallback = VideoFallback(WISHED, broken, 0)
    fallback.force("small")
    fallback.look(BITS, 0)

    assert fallback.fit(gray(given)).size == made


def test_a_receiver_follows_from_the_profile_to_native_and_back() -> None:
    receiver = Receiver(open_decoder())
    fallback = VideoFallback(
        WISHED, lambda one: open_encoder(one.profile, fps=one.fps, options=one.encoder), 0
    )
    shown: list[Picture] = []
    for turn, rung in enumerate(("wished", "native", "wished")):
        fallback.force(rung)
        fallback.look(BITS, turn)
        encoder = fallback.open()
        for number in range(3):
            frame = gray((128, 96), 3 * turn + number)
            coded = encoder.encode(fallback.fit(frame), Wish(bitrate_bps=BITS))
            fallback.coded(coded, 1.0, turn)
            for packet in coded.packets:
                shown += receiver.push(packet)
        encoder.close()

    fresh = [one for one in shown if one.status is Status.DECODED and one.frame is not None]
    sizes = [one.frame.size for one in fresh if one.frame is not None]
    assert sizes == [(128, 96)] * 3 + [(64, 48)] * 3 + [(128, 96)] * 3
    assert [one.number for one in fresh] == list(range(9))


@dataclass
class Wire:
    """A data track that keeps what it is given."""

    sid: str = "d"
    buffered_bytes: int = 0
    packets: list[bytes] = field(default_factory=list)
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    def send(self, payload: bytes, timestamp: int) -> bool:
        self.packets.append(payload)
        self.changed.set()
        return True

    def unpublish(self) -> None: ...


def camera(number: int) -> av.VideoFrame:
    picture = av.VideoFrame.from_ndarray(np.full((96, 128, 3), 40 + 5 * number, np.uint8), "rgb24")
    picture.pts, picture.time_base = number, Fraction(1, 10)
    return picture


async def test_a_stream_whose_workers_are_gone_goes_on_natively(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("auralink.engine.relay.uplink_streams._RETRY_S", 0.0)
    moves: list[Move] = []
    wire, video = Wire(), VideoIn(lambda: now_us() / 1e6)
    fallback = VideoFallback(WISHED, broken, now_us())
    uplink = VideoUplink(
        video, wire, _never, bitrate_bps=BITS, fallback=fallback, moved=moves.append
    )
    task = asyncio.create_task(uplink.run())
    try:
        for number in range(50):
            video.push(camera(number))
            try:
                async with asyncio.timeout(0.1):
                    await wire.changed.wait()
                break
            except TimeoutError:  # that picture was lost with its encoder: the next one
                continue
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    assert wire.packets
    assert [(move.after.name, move.cause) for move in moves] == [("native", Cause.WORKERS)]
    assert fallback.answers[FrameOutcome.INVALID] == 2


def _never() -> VideoEncoder:
    raise AssertionError("the fallback opens encoders")
