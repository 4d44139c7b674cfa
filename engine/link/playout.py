"""When to show what arrived: one delay for all streams of a sender keeps them in step.  Pure.

::

    delay of each packet ──► per stream: nine in ten of the last seconds ───────┐
                                                 largest over all streams ◄───────┘
                                                       │ up at once, down slowly
                                                       ▼
    shown at: capture time + that delay; what comes later than that: at once

Capture times are on the sender's clock, arrivals on ours; their unknown difference is part of the
delay and cancels out.
"""

from collections import deque
from typing import Final, final

_MEMORY_US: Final = 5_000_000
_SAMPLES: Final = 600  # per stream
_QUANTILE: Final = 0.9
_DOWN: Final = 0.02  # microseconds per microsecond: 20 ms a second, which nobody hears or sees
# Of the excess a second on top: after a bad stretch a call must not lag for half a minute.
_DOWN_SHARE: Final = 0.33
# A stream that begins has first pictures that waited for encoder, key and subscription.  Until then
# only the newest delays count, and the delay follows them down at once.
_SETTLE_US: Final = 2_000_000
_FRESH: Final = 10  # samples
# Over a stream's least delay.  What waits longer for a repair is shown late: a delay that stays
# would hurt a call more.
_MOST_HOLD_US: Final = 200_000
_MOST_SPREAD_US: Final = 1_000_000  # one stream may hold up the others by this much
_JUMP_US: Final = 5_000_000  # another clock: the sender started over


@final
class Playout:
    def __init__(self) -> None:
        self._delays: dict[int, deque[tuple[int, int]]] = {}
        self._delay_us: int | None = None
        self._at_us = 0
        self._began_us = 0

    @property
    def delay_us(self) -> int:
        """From capture to showing, clock difference included."""
        return self._delay_us or 0

    def due(self, stream: int, pts_us: int, now_us: int) -> int:
        """When to show what was captured at ``pts_us`` and is ready now; not before ``now_us``."""
        delay = now_us - pts_us
        delays = self._delays.setdefault(stream, deque(maxlen=_SAMPLES))
        if self._delay_us is not None and abs(delay - self._delay_us) > _JUMP_US:
            self._delays = {stream: deque(maxlen=_SAMPLES)}
            delays = self._delays[stream]
            self._delay_us = None
        if self._delay_us is None:
            self._began_us = now_us
        delays.append((now_us, delay))
        while delays[0][0] < now_us - _MEMORY_US:
            delays.popleft()
        self._follow(now_us)
        return max(now_us, pts_us + self.delay_us)

    def forget(self, stream: int) -> None:
        """It ended, and holds nobody up any more."""
        self._delays.pop(stream, None)

    def _follow(self, now_us: int) -> None:
        settled = now_us - self._began_us >= _SETTLE_US
        if not settled:
            for delays in self._delays.values():
                while len(delays) > _FRESH:
                    delays.popleft()
        wanted = [_high(delays) for delays in self._delays.values() if delays]
        target = min(max(wanted), min(wanted) + _MOST_SPREAD_US)
        if self._delay_us is None or target >= self._delay_us or not settled:
            self._delay_us = target
        else:
            elapsed_us = max(0, now_us - self._at_us)
            excess_us = self._delay_us - target
            step = elapsed_us * (_DOWN + _DOWN_SHARE * excess_us / 1e6)
            self._delay_us = max(target, self._delay_us - round(step))
        self._at_us = now_us


def _high(delays: deque[tuple[int, int]]) -> int:
    ordered = sorted(delay for _, delay in delays)
    high = ordered[min(int(len(ordered) * _QUANTILE), len(ordered) - 1)]
    return min(high, ordered[0] + _MOST_HOLD_US)
