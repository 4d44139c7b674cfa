"""When frames were captured, on our own clock.  Pure.

::

    publisher's clock (sender reports) ──┐ offset common to its tracks: sound and picture in step
    the stream's own time, until then ───┴► our clock ──► monotonic for each track
"""

from typing import Final, final

# Another clock may be trusted this far against ours; beyond, it was set, or is another one.
_JUMP_US: Final = 2_000_000
_LEAST_STEP_US: Final = 1_000
# Two quartz clocks differ by less than this share; a stream that is early now may be late by then.
_DRIFT: Final = 1 / 1_000


@final
class ClockOffset:
    """From another clock to ours, by the least delayed of what arrives."""

    def __init__(self) -> None:
        self._offset_us: int | None = None
        self._now_us = 0

    def to_ours(self, their_us: int, now_us: int) -> int:
        """
        Args:
            their_us: capture time on their clock.
            now_us: arrival on ours.
        """
        arrival = now_us - their_us
        offset = self._offset_us
        if offset is None or abs(offset - arrival) > _JUMP_US:
            offset = arrival
        # Nothing arrives before it was captured, so the least delayed frame is the truest.
        drift = round(max(0, now_us - self._now_us) * _DRIFT)
        self._offset_us, self._now_us = min(offset + drift, arrival), now_us
        return their_us + self._offset_us


@final
class CaptureTimes:
    """Of one track, monotonic whatever the stream does.

    Args:
        publisher: shared by all tracks of one publisher.
    """

    def __init__(self, publisher: ClockOffset) -> None:
        self._publisher = publisher
        self._own = ClockOffset()
        self._last_us = -_LEAST_STEP_US

    def at(self, stream_us: int, capture_us: int | None, now_us: int) -> int:
        """
        Args:
            stream_us: the stream's time of the frame.
            capture_us: on the publisher's clock, if that is known.
            now_us: arrival, microseconds of our monotonic clock.
        """
        if capture_us is None:
            at_us = self._own.to_ours(stream_us, now_us)
        else:
            at_us = self._publisher.to_ours(capture_us, now_us)
        self._last_us = max(at_us, self._last_us + _LEAST_STEP_US)
        return self._last_us
