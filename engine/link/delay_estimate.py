"""How fast the link is, from how long packets take: the receiver's part of rate control.  Pure.

::

    packets ──► bursts ──► delay gradient ──► trend ──► overuse? ──► rate: grow, hold, shrink

Follows Google Congestion Control (draft-ietf-rmcat-gcc-02, sections 4 and 5), with the trend line
that libwebrtc put in the place of the Kalman filter.  Only differences of times are used, so the
two clocks need not agree; 200 parts in a million of drift are a trend of 0.0002, far below any
threshold.
"""

import enum
from collections import deque
from dataclasses import dataclass
from typing import Final, final

_BURST_US: Final = 5_000  # packets that were sent this close together count as one
_WINDOW: Final = 20  # bursts in the trend line
_SMOOTHING: Final = 0.9
_GAIN: Final = 4.0
_MOST_SAMPLES: Final = 60
_THRESHOLD_MS: Final = 12.5  # start; adapts between the two below
_THRESHOLD_RANGE_MS: Final = (6.0, 600.0)
_UP, _DOWN = 0.0087, 0.039  # how fast the threshold follows, per millisecond
_FAR_MS: Final = 15.0  # a trend beyond the threshold by this much says nothing about it
_OVERUSE_MS: Final = 10.0  # overuse must last
_JUMP_US: Final = 3_000_000  # times that jump further belong to another sender or a suspended one

_SHRINK: Final = 0.85  # of what arrives
# Nor below this share at once: what arrives in half a second may be little because a machine stood
# still, and if the link did shrink by more, the next decision follows in a fifth of a second.
_LEAST_KEPT: Final = 0.5
_GROW_PER_S: Final = 1.08
_START_PER_S: Final = 1.35  # while the limit is not known: at first, and after a collapse
_BEYOND, _BEYOND_BPS = 1.5, 20_000  # never more than this times what arrives, and some
_STEP_BITS: Final = 1_200 * 8  # near the last known limit: a packet per response time
_RESPONSE_S: Final = 0.2
_RATE_WINDOW_US: Final = 500_000
_AVERAGE_WEIGHT: Final = 0.05


class Usage(enum.Enum):
    NORMAL = "normal"
    OVER = "over"
    UNDER = "under"


@dataclass(slots=True)
class _Burst:
    sent_us: int
    arrived_us: int
    first_sent_us: int


@final
class Trend:
    """Is the queue in front of the link growing?"""

    def __init__(self) -> None:
        self.usage = Usage.NORMAL
        self.threshold_ms = _THRESHOLD_MS
        self._burst: _Burst | None = None
        self._before: _Burst | None = None
        self._delay_ms = 0.0
        self._smooth_ms = 0.0
        self._start_us = 0
        self._points: deque[tuple[float, float]] = deque(maxlen=_WINDOW)
        self._count = 0
        self._slope = 0.0
        self._over_ms = 0.0

    def packet(self, sent_us: int, arrived_us: int) -> None:
        burst = self._burst
        if burst is None:
            self._burst = _Burst(sent_us, arrived_us, sent_us)
            self._start_us = arrived_us
            return
        if abs(sent_us - burst.sent_us) > _JUMP_US or arrived_us < burst.arrived_us:
            self._forget(sent_us, arrived_us)
            return
        if sent_us < burst.first_sent_us:
            return  # overtaken
        if sent_us - burst.first_sent_us <= _BURST_US:
            burst.sent_us = max(burst.sent_us, sent_us)
            burst.arrived_us = arrived_us
            return
        if self._before is not None:
            self._compare(self._before, burst)
        self._before, self._burst = burst, _Burst(sent_us, arrived_us, sent_us)

    def _forget(self, sent_us: int, arrived_us: int) -> None:
        self._burst, self._before = _Burst(sent_us, arrived_us, sent_us), None
        self._points.clear()
        self._count = 0
        self._delay_ms = self._smooth_ms = self._over_ms = 0.0
        self._start_us = arrived_us
        self.usage = Usage.NORMAL

    def _compare(self, before: _Burst, after: _Burst) -> None:
        sent_ms = (after.sent_us - before.sent_us) / 1e3
        arrived_ms = (after.arrived_us - before.arrived_us) / 1e3
        self._delay_ms += arrived_ms - sent_ms
        self._smooth_ms = _SMOOTHING * self._smooth_ms + (1 - _SMOOTHING) * self._delay_ms
        self._count = min(self._count + 1, _MOST_SAMPLES)
        self._points.append(((after.arrived_us - self._start_us) / 1e3, self._smooth_ms))
        slope = self._slope
        if len(self._points) == _WINDOW:
            slope = _least_squares(self._points)
        self._judge(slope, arrived_ms)

    def _judge(self, slope: float, elapsed_ms: float) -> None:
        trend_ms = self._count * slope * _GAIN
        if trend_ms > self.threshold_ms:
            self._over_ms += elapsed_ms
            if self._over_ms > _OVERUSE_MS and slope >= self._slope:
                self._over_ms = 0.0
                self.usage = Usage.OVER
        else:
            self._over_ms = 0.0
            self.usage = Usage.UNDER if trend_ms < -self.threshold_ms else Usage.NORMAL
        self._slope = slope
        size = abs(trend_ms)
        if size <= self.threshold_ms + _FAR_MS:
            speed = _DOWN if size < self.threshold_ms else _UP
            change = speed * (size - self.threshold_ms) * min(elapsed_ms, 100.0)
            low, high = _THRESHOLD_RANGE_MS
            self.threshold_ms = min(max(self.threshold_ms + change, low), high)


@final
class DelayEstimate:
    """The rate that the link carries without a growing queue.

    Args:
        start_bps: believed until packets say otherwise.
    """

    def __init__(self, *, start_bps: float, least_bps: float = 10_000.0) -> None:
        self.rate_bps = start_bps
        self._least_bps = least_bps
        self._trend = Trend()
        self._recent: deque[tuple[int, int]] = deque(maxlen=4096)  # arrival, bits
        self._bits = 0
        self._limit_bps: float | None = None  # mean of the rates at which queues grew
        self._decreased_us: int | None = None
        self._seeking = True
        self._updated_us: int | None = None

    @property
    def usage(self) -> Usage:
        return self._trend.usage

    def packet(self, sent_us: int, arrived_us: int, size: int) -> None:
        """
        Args:
            sent_us: on the sender's clock.
            arrived_us: on ours.
            size: bytes, with headers.
        """
        self._trend.packet(sent_us, arrived_us)
        if len(self._recent) == self._recent.maxlen:
            self._bits -= self._recent[0][1]
        self._recent.append((arrived_us, size * 8))
        self._bits += size * 8
        self._update(arrived_us)

    def received_bps(self, now_us: int) -> float:
        while self._recent and self._recent[0][0] <= now_us - _RATE_WINDOW_US:
            self._bits -= self._recent.popleft()[1]
        return self._bits / (_RATE_WINDOW_US / 1e6)

    def _update(self, now_us: int) -> None:
        before, self._updated_us = self._updated_us, now_us
        if before is None:
            return
        elapsed_s = min(max(now_us - before, 0) / 1e6, 1.0)
        received = self.received_bps(now_us)
        match self._trend.usage:
            case Usage.OVER:
                self._decrease(now_us, received)
            case Usage.NORMAL:
                self._increase(elapsed_s, received)
            case Usage.UNDER:
                pass  # the queue drains: wait until it has

    def _decrease(self, now_us: int, received: float) -> None:
        recently = self._decreased_us is not None and now_us - self._decreased_us < 200_000
        if recently or received <= 0:
            return
        self._decreased_us = now_us
        kept = max(_SHRINK * received, _LEAST_KEPT * self.rate_bps)
        self.rate_bps = max(min(self.rate_bps, kept), self._least_bps)
        self._seeking = self._limit_bps is not None and received < 0.5 * self._limit_bps
        if self._seeking:
            self._limit_bps = None  # another link now, or a moment's trouble
        elif self._limit_bps is None:
            self._limit_bps = received
        else:
            self._limit_bps += _AVERAGE_WEIGHT * (received - self._limit_bps)

    def _increase(self, elapsed_s: float, received: float) -> None:
        limit = self._limit_bps
        if limit is not None and received > 1.3 * limit:
            limit = self._limit_bps = None  # the link has become another one
        if limit is not None and self.rate_bps > 0.7 * limit:
            step = min(_STEP_BITS, 0.5 * self.rate_bps * _RESPONSE_S)
            wanted = self.rate_bps + step / _RESPONSE_S * elapsed_s
        else:
            grow = _START_PER_S if self._seeking else _GROW_PER_S
            wanted = self.rate_bps * grow**elapsed_s
        # An application that sends less than it may proves nothing about the rest.
        self.rate_bps = max(self.rate_bps, min(wanted, _BEYOND * received + _BEYOND_BPS))


def _least_squares(points: deque[tuple[float, float]]) -> float:
    count = len(points)
    mean_x = sum(x for x, _ in points) / count
    mean_y = sum(y for _, y in points) / count
    spread = sum((x - mean_x) ** 2 for x, _ in points)
    if not spread:
        return 0.0
    return sum((x - mean_x) * (y - mean_y) for x, y in points) / spread
