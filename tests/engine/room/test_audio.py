"""Sound in blocks of 20 ms whatever comes, and frames out in order."""

from fractions import Fraction

import av
import numpy as np
import pytest

from auralink.engine.room.audio_in import BLOCK, AudioBlocks
from auralink.engine.room.audio_out import AudioOut


def frame(
    start: int, count: int, *, rate: int = 48_000, layout: str = "mono", value: int = 1000
) -> av.AudioFrame:
    channels = 2 if layout == "stereo" else 1
    made = av.AudioFrame.from_ndarray(
        np.full((1, count * channels), value, np.int16), format="s16", layout=layout
    )
    made.sample_rate, made.pts, made.time_base = rate, start, Fraction(1, rate)
    return made


@pytest.mark.parametrize("length", [240, 480, 960, 1_000, 2_880])
@pytest.mark.parametrize("layout", ["mono", "stereo"])
def test_any_length_becomes_blocks_with_the_right_times(length: int, layout: str) -> None:
    blocks, made = AudioBlocks(), []
    for index in range(40):
        made += blocks.push(frame(index * length, length, layout=layout))

    assert len(made) == 40 * length // BLOCK
    assert all(block.samples.shape == (BLOCK,) for block in made)
    assert [block.stream_us for block in made] == [n * 20_000 for n in range(len(made))]
    assert all((block.samples == 1000).all() for block in made)


def test_a_small_gap_becomes_silence_and_a_large_one_a_jump() -> None:
    blocks = AudioBlocks()
    blocks.push(frame(0, 960))

    small = blocks.push(frame(960 * 3, 960))
    large = blocks.push(frame(960 * 500, 960))

    assert [int(block.samples[0]) for block in small] == [0, 0, 1000]
    assert [block.stream_us for block in small] == [20_000, 40_000, 60_000]
    assert [block.stream_us for block in large] == [10_000_000]


async def test_frames_leave_in_order_and_old_ones_make_room() -> None:
    out = AudioOut()
    for index in range(40):
        out.play(bytes([index]), index * 20_000)
    out.play(b"again", 0)

    packets = [await out.recv() for _ in range(25)]

    assert [bytes(packet)[0] for packet in packets] == list(range(15, 40))
    assert [packet.pts for packet in packets] == [n * 20_000 for n in range(15, 40)]
    assert out.counts.dropped == 16
