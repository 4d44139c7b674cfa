"""Capture times stay monotonic, and only the newest picture waits."""

import asyncio
from fractions import Fraction
from itertools import pairwise

import av
from hypothesis import given
from hypothesis import strategies as st

from auralink.engine.room.capture_time import CaptureTimes, ClockOffset
from auralink.engine.room.video_in import VideoIn


def test_keeps_the_distances_of_the_stream_whatever_the_network_does() -> None:
    clock = CaptureTimes(ClockOffset())
    arrivals = [0, 40_000, 60_000, 180_000, 181_000]

    times = [clock.at(index * 33_000, None, now) for index, now in enumerate(arrivals)]

    # The third came with less delay than the first two, which had been late, then.
    assert times[2] == 60_000
    steps = [later - earlier for earlier, later in pairwise(times)]
    assert all(abs(step - 33_000) < 200 for step in steps[2:])


def test_follows_a_clock_that_runs_slow() -> None:
    clock = CaptureTimes(ClockOffset())
    for index in range(30 * 600):  # ten minutes at 200 parts in a million
        now = index * 33_333
        at = clock.at(round(now * (1 - 200e-6)), None, now)
        assert now - at < 5_000


def test_a_stream_that_starts_over_goes_on_at_its_arrival() -> None:
    clock = CaptureTimes(ClockOffset())
    for index in range(10):
        clock.at(index * 33_000, None, index * 33_000)

    assert clock.at(0, None, 10_000_000) == 10_000_000
    assert clock.at(33_000, None, 10_033_000) == 10_033_000


@given(st.lists(st.tuples(st.integers(-(10**9), 10**9), st.integers(0, 10**6)), max_size=50))
def test_never_goes_back_or_beyond_the_arrival_by_more_than_it_must(
    steps: list[tuple[int, int]],
) -> None:
    clock, now, last = CaptureTimes(ClockOffset()), 0, -1
    for stream_us, wait in steps:
        now += wait
        at = clock.at(stream_us, None, now)
        assert at > last
        assert at <= max(now, last + 1_000)
        last = at


async def test_only_the_newest_picture_is_taken() -> None:
    video = VideoIn(lambda: 5.0)
    for index in range(5):
        picture = av.VideoFrame(32, 32, "yuv420p")
        picture.pts, picture.time_base = index * 3000, Fraction(1, 90_000)
        video.push(picture)

    async with asyncio.timeout(5):
        frame = await video.take()

    assert frame.size == (32, 32)
    assert video.counts.replaced == 4
    assert video.counts.taken == 1


def test_tracks_of_one_publisher_share_its_clock() -> None:
    """Sound comes 80 ms later than pictures of the same moment, and is no later for that."""
    publisher = ClockOffset()
    video, audio = CaptureTimes(publisher), CaptureTimes(publisher)
    for index in range(50):
        captured = 10**15 + index * 20_000
        seen = video.at(index, captured, index * 20_000 + 5_000)
        heard = audio.at(index, captured, index * 20_000 + 85_000)
    assert abs(heard - seen) < 1_000
