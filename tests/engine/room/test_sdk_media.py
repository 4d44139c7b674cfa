"""Pictures, sound and coded packets between our types and the SDK's."""

import contextlib

import av
import numpy as np
import pytest

from auralink.codecs.audio.opus import OpusEncoder
from auralink.codecs.base.native import NativeCodec, open_encoder
from auralink.codecs.base.protocol import Order

from ...codecs.pictures import moving

rtc = pytest.importorskip("livekit.rtc", reason="the extra `livekit` is not installed")
from auralink.engine.room.sdk_media import (  # noqa: E402
    CodedFacts,
    SoundOut,
    inspect,
    picture,
    sound,
)


@pytest.mark.parametrize("codec", ["vp8", "h264"])
def test_key_pictures_and_their_sizes_are_seen(codec: NativeCodec) -> None:
    with contextlib.closing(open_encoder(codec, 30)) as encoder:
        facts = [
            inspect(
                encoder.encode(
                    moving(index, (160, 96)),
                    Order(number=index, bitrate_bps=200_000, key=index == 3),
                ).data,
                codec,
            )
            for index in range(5)
        ]

    assert [one.key for one in facts] == [True, False, False, True, False]
    if codec == "vp8":
        assert facts[0].size == (160, 96)


def test_an_empty_picture_is_no_key() -> None:
    assert inspect(b"", "vp8") == inspect(b"", "h264") == CodedFacts(False)


@pytest.mark.parametrize("size", [(16, 8), (17, 9), (2, 2)])
def test_pictures_keep_their_samples_and_lose_odd_edges(size: tuple[int, int]) -> None:
    width, height = size
    half = ((width + 1) // 2, (height + 1) // 2)
    y = np.arange(width * height, dtype=np.uint8).reshape(height, width)
    chroma = np.full(2 * half[0] * half[1], 77, np.uint8)
    frame = rtc.VideoFrame(width, height, rtc.VideoBufferType.I420, y.tobytes() + chroma.tobytes())

    found = picture(frame, 1234)

    even = (width & ~1, height & ~1)
    assert (found.width, found.height, found.pts) == (*even, 1234)
    planes = found.to_ndarray()
    assert np.array_equal(planes[: even[1]], y[: even[1], : even[0]])
    assert set(planes[even[1] :].reshape(-1).tolist()) == {77}


def test_opus_packets_become_sound_of_their_length() -> None:
    encoder, out = OpusEncoder(24_000), SoundOut()
    wave = (8_000 * np.sin(2 * np.pi * 440 * np.arange(48_000) / 48_000)).astype(np.int16)
    frames = []
    for start in range(0, 48_000, 960):
        packet: av.Packet = av.Packet(encoder.encode(wave[start : start + 960]))
        packet.pts = start
        frames += out.convert(packet)

    samples = sum(frame.samples_per_channel for frame in frames)
    assert abs(samples - 48_000) <= 960
    loud = np.frombuffer(frames[-1].data, np.int16)
    assert np.abs(loud).max() > 2_000
    back = sound(frames[-1], 480)
    assert (back.pts, back.sample_rate, back.samples) == (
        480,
        48_000,
        frames[-1].samples_per_channel,
    )
