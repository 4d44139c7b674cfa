"""The service as clients see it: stock stubs, a real server, real codecs."""

import asyncio
import io
import re
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest
from grpc import aio
from grpc_health.v1 import health_pb2, health_pb2_grpc

from auralink.bench.metrics import psnr, ssim
from auralink.codecs.frame import Frame
from auralink.codecs.video.container import read_packets
from auralink.codecs.video.profiles import open_decoder
from auralink.codecs.video.protocol import Status
from auralink.codecs.video.receiver import Receiver
from auralink.engine.media.reader import Clip, ReadOptions
from auralink.engine.rpc.framing import split
from auralink.engine.rpc.parts import ModelFact
from auralink.engine.rpc.settings import RpcSettings
from auralink.engine.rpc.stubs import aic_compression_pb2 as pb

from ...codecs.pictures import moving
from .calls import Serve, decoded, details_of, refused
from .frames import TINY_BYTES, Failing, Gated, Instant, each, luma, packed, picture, sound, tiny

CLIPS = Path(__file__).parents[4] / "shared" / "data" / "video" / "test"


async def test_pictures_come_back_from_unary_calls(serve: Serve) -> None:
    served = await serve()
    frames = [moving(number) for number in range(8)]

    answers = [
        await served.stub.CompressFrame(picture(frame, number))
        for number, frame in enumerate(frames, 1)
    ]
    shown = await decoded(served, [answer.compressed_data for answer in answers])

    for frame, answer, response in zip(frames, answers, shown, strict=True):
        assert answer.status == pb.STATUS_SUCCESS
        assert answer.original_size_bytes == len(packed(frame))
        assert answer.compressed_size_bytes == len(answer.compressed_data)
        assert answer.actual_compression_ratio == pytest.approx(
            1 - len(answer.compressed_data) / len(packed(frame))
        )
        assert answer.ai_metadata.model_type == "hybrid"
        (only,) = response.frames
        assert only.metadata.codec == "i420"
        assert (only.metadata.width, only.metadata.height) == frame.size
        assert abs(only.timestamp_us - frame.pts_us) <= 50
        assert len(only.frame_data) == len(packed(frame))
        assert psnr(frame.y, luma(only.frame_data, frame.size)) > 24


async def test_a_stream_answers_every_frame_in_order(serve: Serve) -> None:
    served = await serve()
    frames = [moving(number) for number in range(20)]
    requests = [picture(frame, number) for number, frame in enumerate(frames, 1)]

    answers = [one async for one in served.stub.CompressStream(each(requests))]
    shown = await decoded(served, [answer.compressed_data for answer in answers])

    assert [answer.frame_number for answer in answers] == list(range(1, 21))
    assert {answer.outcome for answer in answers} <= {pb.OUTCOME_CODED, pb.OUTCOME_SKIPPED}
    assert sum(len(response.frames) for response in shown) == 20
    assert not any(response.need_key for response in shown)
    assert served.server.streams.count == 0  # its encoder ended with the call


async def test_the_answers_of_a_stream_are_an_aic_file(serve: Serve) -> None:
    served = await serve()
    requests = [picture(moving(number), number + 1) for number in range(6)]

    data = [one.compressed_data async for one in served.stub.CompressStream(each(requests))]
    packets = [packet for _, packet in read_packets(io.BytesIO(b"".join(data)))]

    receiver = Receiver(open_decoder())
    pictures = [picture for packet in packets for picture in receiver.push(packet)]
    assert [picture.status is Status.FROZEN for picture in pictures] == [False] * 6
    receiver.close()


async def test_conservative_measures_each_frame_and_others_key_units_only(serve: Serve) -> None:
    served = await serve()
    frames = [moving(number) for number in range(4)]

    for mode, session, expected in (
        (pb.MODE_CONSERVATIVE, "all", [True] * 4),
        (pb.MODE_ADAPTIVE, "keys", [True, False, False, False]),
    ):
        requests = [
            picture(frame, number, mode=mode, session_id=session)
            for number, frame in enumerate(frames, 1)
        ]
        answers = [one async for one in served.stub.CompressStream(each(requests))]
        shown = await decoded(served, [answer.compressed_data for answer in answers])

        assert [one.ai_metadata.HasField("ssim") for one in answers] == expected
        for frame, answer, response in zip(frames, answers, shown, strict=True):
            if answer.ai_metadata.HasField("psnr_db"):
                there = luma(response.frames[0].frame_data, frame.size)
                assert answer.ai_metadata.psnr_db == pytest.approx(psnr(frame.y, there), abs=0.01)


async def test_sound_comes_back(serve: Serve) -> None:
    served = await serve()
    time_s = np.arange(960 * 25) / 48_000
    wave = (9_000 * np.sin(2 * np.pi * 300 * time_s)).astype(np.int16)
    blocks = wave.reshape(25, 960)

    requests = [sound(number, block) for number, block in enumerate(blocks, 1)]
    answers = [one async for one in served.stub.CompressStream(each(requests))]
    data = [answer.compressed_data for answer in answers]
    shown = await decoded(served, data, pb.FRAME_TYPE_AUDIO)

    assert {answer.ai_metadata.model_type for answer in answers} == {"opus"}
    assert sum(map(len, data)) < wave.nbytes / 10
    out = np.concatenate([np.frombuffer(one.frames[0].frame_data, "<i2") for one in shown])
    assert [one.frames[0].timestamp_us for one in shown] == [n * 20_000 for n in range(1, 26)]
    # The codec delays by 6.5 ms, give or take the phase of its high-pass filter.
    alike = [np.corrcoef(wave[4800:-400], out[4800 + lag : -400 + lag])[0, 1] for lag in range(400)]
    assert max(alike) > 0.98


async def test_a_screen_is_a_stream_of_its_own(serve: Serve) -> None:
    served = await serve()
    camera, screen = moving(0), moving(9)

    one = await served.stub.CompressFrame(picture(camera, 1))
    other = await served.stub.CompressFrame(picture(screen, 1, frame_type=pb.FRAME_TYPE_SCREEN))

    for frame, answer in ((camera, one), (screen, other)):
        (response,) = await decoded(served, [answer.compressed_data])
        assert psnr(frame.y, luma(response.frames[0].frame_data, frame.size)) > 24
    assert served.server.streams.count == 2
    assert served.server.streams.sessions == 1


async def test_off_gives_back_what_came(serve: Serve) -> None:
    served = await serve()
    request = picture(moving(0), 1)
    request.ClearField("mode")

    answer = await served.stub.CompressFrame(request)

    assert answer.compressed_data == request.frame_data
    assert answer.outcome == pb.OUTCOME_PASSED
    assert answer.actual_compression_ratio == 0


async def test_a_time_that_does_not_rise_is_an_outcome(serve: Serve) -> None:
    served = await serve()
    await served.stub.CompressFrame(picture(moving(3), 1))

    answer = await served.stub.CompressFrame(picture(moving(3), 2))

    assert answer.status == pb.STATUS_ERROR
    assert answer.outcome == pb.OUTCOME_DROPPED_TIME
    assert "timestamp_us" in answer.error_message


async def test_a_key_is_given_when_asked_for(serve: Serve) -> None:
    served = await serve()
    await served.stub.CompressFrame(picture(moving(0), 1))

    answer = await served.stub.CompressFrame(picture(moving(1), 2, metadata={"is_keyframe": True}))

    assert answer.ai_metadata.custom_hints["key"] == 1
    (alone,) = await decoded(served, [answer.compressed_data])
    assert len(alone.frames) == 1


async def test_a_repeated_frame_is_refused_and_harms_nothing(serve: Serve) -> None:
    served = await serve()
    await served.stub.CompressFrame(picture(moving(0), 7))

    again = await refused(served.stub.CompressFrame(picture(moving(0), 7)))
    await served.stub.CompressFrame(picture(moving(1), 3_000))
    old = await refused(served.stub.CompressFrame(picture(moving(2), 8)))

    assert again.code() is grpc.StatusCode.ALREADY_EXISTS
    assert old.code() is grpc.StatusCode.OUT_OF_RANGE


async def test_a_wrong_field_is_named_for_programs(serve: Serve) -> None:
    served = await serve()

    error = await refused(served.stub.CompressFrame(tiny(1, metadata={"width": 17})))

    assert error.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert details_of(error).metadata["field"] == "frame_data"
    assert details_of(error).code == pb.ERROR_INVALID_INPUT
    assert served.server.streams.count == 0


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        (["call.7_a-B"], True),
        (["x" * 65], False),
        (["a b"], False),
        (["one", "two"], False),
        ([], False),
    ],
)
async def test_an_error_has_the_callers_request_id_or_one_of_ours(
    serve: Serve, sent: list[str], kept: bool
) -> None:
    served = await serve()
    metadata = [("x-request-id", one) for one in sent]

    error = await refused(served.stub.CompressFrame(tiny(1, mode=9), metadata=metadata))

    given = str(dict(error.trailing_metadata() or ())["x-request-id"])
    assert (given in sent) is kept
    assert re.fullmatch(r"[A-Za-z0-9._-]{1,64}", given)
    assert details_of(error).metadata["request_id"] == given


async def test_a_bug_of_ours_is_logged_with_its_id_and_told_to_nobody(
    serve: Serve, caplog: pytest.LogCaptureFixture
) -> None:
    def broken() -> ModelFact:
        raise ZeroDivisionError("canary-of-a-bug")

    served = await serve(model=broken)

    error = await refused(
        served.stub.HealthCheck(pb.HealthCheckRequest(), metadata=[("x-request-id", "id-7")])
    )

    assert error.code() is grpc.StatusCode.INTERNAL
    assert error.details() == "internal error"
    assert "canary" not in str(error.trailing_metadata())
    assert "HealthCheck failed" in caplog.text


async def test_a_stream_ends_at_a_wrong_field(serve: Serve) -> None:
    served = await serve(open_stream=Instant)
    call = served.stub.CompressStream()
    await call.write(tiny(1))
    await call.write(tiny(2, frame_data=b"x"))

    with pytest.raises(aio.AioRpcError) as caught:
        [answer async for answer in call]

    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert details_of(caught.value).metadata["field"] == "frame_data"


async def test_a_stream_is_for_one_participant(serve: Serve) -> None:
    served = await serve(open_stream=Instant)
    call = served.stub.CompressStream()
    await call.write(tiny(1))
    await call.write(tiny(2, participant_id="bob"))

    with pytest.raises(aio.AioRpcError) as caught:
        [answer async for answer in call]

    assert details_of(caught.value).metadata["field"] == "session_id"


async def test_an_encoder_that_fails_is_a_fallback_and_no_error(serve: Serve) -> None:
    served = await serve(open_stream=Failing)

    answer = await served.stub.CompressFrame(tiny(1))

    assert answer.status == pb.STATUS_FALLBACK
    assert answer.fallback_used
    assert answer.fallback_reason == "failed: the library refused"
    assert not answer.compressed_data


async def test_the_answer_comes_within_the_frames_limit(serve: Serve) -> None:
    encoder = Gated()
    served = await serve(open_stream=lambda media: encoder)

    late = await served.stub.CompressFrame(tiny(1, max_latency_ms=20))
    encoder.gate.release(2)
    next_one = await served.stub.CompressFrame(tiny(2))

    assert late.status == pb.STATUS_FALLBACK
    assert late.fallback_reason.startswith("late")
    assert [int.from_bytes(one[:4]) for one in split(next_one.compressed_data)] == [1, 2]
    assert next_one.compressed_size_bytes < len(next_one.compressed_data)


async def test_a_stalled_encoder_delays_no_probe_and_no_other_stream(serve: Serve) -> None:
    encoders = [Gated(), Instant()]
    served = await serve(open_stream=lambda media: encoders.pop(0))
    stalled = encoders[0]
    waiting = asyncio.ensure_future(served.stub.CompressFrame(tiny(1)))
    await asyncio.to_thread(stalled.begun.acquire)

    health: Any = health_pb2_grpc.HealthStub(served.channel)
    assert (await health.Check(health_pb2.HealthCheckRequest())).status == 1
    assert (await served.stub.HealthCheck(pb.HealthCheckRequest())).status == pb.HEALTH_HEALTHY
    other = await served.stub.CompressFrame(tiny(1, participant_id="bob"))

    assert other.status == pb.STATUS_SUCCESS
    assert not waiting.done()
    stalled.gate.release()
    assert (await waiting).status == pb.STATUS_SUCCESS


async def test_the_answer_comes_before_the_calls_deadline(serve: Serve) -> None:
    encoder = Gated()
    served = await serve(open_stream=lambda media: encoder)

    answer = await served.stub.CompressFrame(tiny(1), timeout=0.5)

    assert answer.status == pb.STATUS_FALLBACK
    encoder.gate.release()


async def test_live_frames_of_a_stream_are_answered_while_one_hangs(serve: Serve) -> None:
    encoder = Gated()
    served = await serve(open_stream=lambda media: encoder)
    requests = [tiny(number, max_latency_ms=20) for number in range(1, 9)]

    answers = [one async for one in served.stub.CompressStream(each(requests))]

    encoder.gate.release(2)
    assert [one.frame_number for one in answers] == list(range(1, 9))
    assert {one.status for one in answers} == {pb.STATUS_FALLBACK}


async def test_frames_of_a_file_wait_for_their_turn(serve: Serve) -> None:
    served = await serve(open_stream=Instant)
    requests = [tiny(number) for number in range(1, 151)]

    answers = [one async for one in served.stub.CompressStream(each(requests))]

    assert {one.status for one in answers} == {pb.STATUS_SUCCESS}
    assert len(answers) == 150


async def test_damaged_units_are_told_and_the_call_goes_on(serve: Serve) -> None:
    served = await serve()
    frames = [moving(number) for number in range(3)]
    requests = [picture(frame, number) for number, frame in enumerate(frames, 1)]
    first, second, third = [
        one.compressed_data async for one in served.stub.CompressStream(each(requests))
    ]

    shown = await decoded(served, [first, b"\xff" * 40, b"\x05ab", second, third])

    assert [bool(one.frames) for one in shown] == [True, False, False, True, True]
    assert [one.status for one in shown][1:3] == [pb.STATUS_ERROR] * 2
    assert all(one.error_message for one in shown[1:3])


async def test_a_stream_that_starts_in_the_middle_asks_for_a_key(serve: Serve) -> None:
    served = await serve()
    requests = [picture(moving(number), number + 1) for number in range(3)]
    data = [one.compressed_data async for one in served.stub.CompressStream(each(requests))]

    (response,) = await decoded(served, data[1:2])

    assert not response.frames
    assert response.need_key


async def test_a_picture_larger_than_a_response_is_refused_unseen(serve: Serve) -> None:
    served = await serve()
    (answer,) = [
        one async for one in served.stub.CompressStream(each([picture(moving(0, (320, 240)), 1)]))
    ]
    small = await serve(RpcSettings(max_message_bytes=100_000))

    (response,) = await decoded(small, [answer.compressed_data])

    assert response.status == pb.STATUS_ERROR
    assert "320x240" in response.error_message


async def test_the_link_is_analysed_from_its_samples(serve: Serve) -> None:
    served = await serve()
    samples = [
        pb.NetworkSample(timestamp_us=second * 10**6, bandwidth_kbps=2_000, rtt_ms=40)
        for second in range(200)  # as many as are taken off the event loop
    ]

    response = await served.stub.AnalyzeNetworkConditions(
        pb.NetworkAnalysisRequest(session_id="call-1", samples=samples)
    )

    assert response.available_bandwidth_kbps == 2_000
    assert response.quality == pb.NETWORK_FAIR
    assert response.network_stability_score == 1
    assert "1800 kbit/s" in response.recommendation


async def test_hints_grow_with_what_was_coded(serve: Serve) -> None:
    served = await serve()
    wish = pb.CompressionHintRequest(
        session_id="call-1",
        metadata=pb.FrameMetadata(width=176, height=144),
        mode=pb.MODE_ADAPTIVE,
    )

    before = await served.stub.GetCompressionHints(wish)
    for number in range(3):
        await served.stub.CompressFrame(picture(moving(number), number + 1))
    after = await served.stub.GetCompressionHints(wish)

    assert before.confidence_score == 0
    assert after.hints["samples"] == 3
    assert after.confidence_score > 0
    assert served.server.streams.sessions == 1  # asking for hints makes none


@pytest.mark.skipif(not CLIPS.is_dir(), reason="the test kit's clips are not here")
async def test_a_real_clip_is_as_good_as_its_measured_quality_and_far_smaller(
    serve: Serve,
) -> None:
    served = await serve()
    frames = clip(CLIPS / "akiyo_352x288.mkv", 24)
    requests = [
        picture(frame, number, mode=pb.MODE_CONSERVATIVE) for number, frame in enumerate(frames, 1)
    ]

    answers = [one async for one in served.stub.CompressStream(each(requests))]
    shown = await decoded(served, [one.compressed_data for one in answers])

    raw, sent = sum(one.original_size_bytes for one in answers), 0
    for frame, answer, response in zip(frames, answers, shown, strict=True):
        sent += len(answer.compressed_data)
        assert answer.status == pb.STATUS_SUCCESS
        for one in response.frames:
            there = luma(one.frame_data, frame.size) if not one.repeated else None
            if there is not None:
                assert psnr(frame.y, there) > 30
                assert ssim(frame.y, there) > 0.9
    assert sum(len(response.frames) for response in shown) == 24
    assert sent < raw / 100


def clip(path: Path, count: int) -> list[Frame]:
    with Clip(str(path), ReadOptions(frames=count)) as source:
        return list(source)


def test_the_tiny_request_is_as_large_as_it_says() -> None:
    assert len(tiny(1).frame_data) == TINY_BYTES
