"""Capture times without a clock on the wire.

A unit's time is predicted from the newest unit it depends on, which every reader holds::

    predicted(n) = time(d) + (n - d) * step(d)          d = newest dependency of n
    time(n)      = predicted(n) + correction * 100 us   correction: on the wire, mostly absent
    step(key)    = interval of the stream configuration
    step(n)      = interval * max(1, round((time(n) - time(d)) / ((n - d) * interval)))

So a constant frame rate costs nothing, a dropped frame costs its neighbours a correction, and a
lowered frame rate is learned from the first one.  Writer and reader run the same arithmetic on
the *reconstructed* times in integer nanoseconds: rounding never piles up and no loss can part
them.
"""

from dataclasses import dataclass
from typing import Final

from auralink.codecs.errors import BitstreamError, InputError
from auralink.codecs.video.syntax import MAX_PTS_US, StreamConfig

CORRECTION_NS: Final = 100_000
MAX_CORRECTION: Final = (1 << 34) - 1  # five bytes on the wire, 19 days
MAX_DISTANCE: Final = 255  # one byte in the unit header
_MAX_NS: Final = MAX_PTS_US * 1000


@dataclass(frozen=True, slots=True)
class _Mark:
    time_ns: int
    step_ns: int


class TimeBase:
    """Times of the last 255 units; writer and reader hold the same."""

    def __init__(self) -> None:
        self._interval_ns = 0
        self._marks: dict[int, _Mark] = {}

    def start(self, number: int, config: StreamConfig) -> None:
        """A key unit: forget all before it."""
        self._interval_ns = config.interval_ns
        self._marks = {number: _Mark(config.pts_us * 1000, config.interval_ns)}

    def nearest(self, after: int) -> int | None:
        """The newest known unit up to ``after``: what a reader that lost ``after`` goes by."""
        return max((number for number in self._marks if number <= after), default=None)

    def correction(self, number: int, after: int, pts_us: int) -> int:
        """What must be written for unit ``number``, whose newest dependency is ``after``.

        Raises:
            InputError: ``after`` was never written, or the time leaps by more than 19 days.
        """
        mark = self._marks.get(after)
        if mark is None:
            raise InputError(f"unit {number} depends on unit {after}, which is not in use")
        difference = pts_us * 1000 - _predict(mark, number - after)
        correction = (difference + CORRECTION_NS // 2) // CORRECTION_NS
        if abs(correction) > MAX_CORRECTION:
            raise InputError(f"capture time of {pts_us} us leaps by {difference // 1000} us")
        return correction

    def advance(self, number: int, after: int, correction: int) -> int:
        """Enter unit ``number``; return its capture time in microseconds.

        Raises:
            BitstreamError: ``after`` was never read, or the time is out of bounds.
        """
        mark = self._marks.get(after)
        if mark is None:
            raise BitstreamError(f"unit {number} depends on unit {after}, which was not read")
        distance = number - after
        time_ns = _predict(mark, distance) + correction * CORRECTION_NS
        if not -CORRECTION_NS < time_ns < _MAX_NS + CORRECTION_NS:
            raise BitstreamError(f"unit {number}: capture time of {time_ns} ns is out of bounds")
        unit_ns = distance * self._interval_ns
        steps = max(1, (2 * (time_ns - mark.time_ns) + unit_ns) // (2 * unit_ns))
        self._marks[number] = _Mark(time_ns, steps * self._interval_ns)
        while len(self._marks) > MAX_DISTANCE:
            del self._marks[next(iter(self._marks))]
        return max(0, (time_ns + 500) // 1000)


def _predict(mark: _Mark, distance: int) -> int:
    return mark.time_ns + distance * mark.step_ns
