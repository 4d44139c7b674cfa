"""A thin, slow and lossy link, emulated: datagrams in, the same datagrams out later, or never.

Sans-IO and seeded: the caller passes the time, so a simulated minute takes no minute, and the same
seed and input give the same output however often :meth:`Netem.poll` is called.

::

              queue, bounded in ms           the wire
    send ──►  ░░░░░░░▓▓▓▓▓▓▓▓▓▓▓▓  ──────►  loss  ──────►  delay + jitter  ──►  poll
              │ tail drop           rate    independent    never overtakes
              ▼                             or in bursts

* **Rate.**  A datagram leaves the queue ``8 · bytes / rate_bps`` seconds after it reached its head.
  Bytes are those of the datagram; lower layers' headers are the caller's to count.
* **Queue.**  A datagram that would wait longer than ``queue_ms`` before its first bit is sent is
  dropped, as the router in front of a thin link does.
* **Loss.**  Without `burst`, each datagram is lost independently.  With it, the Gilbert-Elliott
  chain with a loss-free and a lossy state is used: leaving the lossy state has the probability
  ``1 / burst`` and entering it ``loss / (burst · (1 - loss))``, which makes the mean length of a
  run of losses `burst` and the share of lost datagrams `loss`.
* **Jitter.**  Uniform from 0 to `jitter_ms`, on top of `delay_ms`; the order is kept.

Source: E. N. Gilbert, "Capacity of a burst-noise channel", Bell System Technical Journal 39 (1960).
"""

import math
import random
from collections import deque
from dataclasses import dataclass
from typing import final

from auralink.codecs.errors import InputError


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkSettings:
    """What one direction of a link does to datagrams.

    Raises:
        InputError: a value is out of its range, or no chain has such a loss with such bursts.
    """

    rate_bps: float | None = None  # None: no limit, no queue
    queue_ms: float = 300.0
    delay_ms: float = 0.0  # one way
    jitter_ms: float = 0.0
    loss: float = 0.0  # 0..1, of the datagrams that leave the queue
    burst: float | None = None  # mean length of a run of losses; None: independent losses

    def __post_init__(self) -> None:
        if self.rate_bps is not None and not self.rate_bps > 0:
            raise InputError(f"link rate must be more than 0 bit/s, got {self.rate_bps:g}")
        for name in ("queue_ms", "delay_ms", "jitter_ms"):
            if not getattr(self, name) >= 0:
                raise InputError(f"link {name} must not be negative, got {getattr(self, name):g}")
        if not 0 <= self.loss <= 1:
            raise InputError(f"link loss must be from 0 to 1 (0 % to 100 %), got {self.loss:g}")
        if self.burst is None or self.loss == 1:
            return
        if not self.burst >= 1:
            raise InputError(f"mean burst length must be at least 1 packet, got {self.burst:g}")
        if self.loss > self.burst * (1 - self.loss):
            least = self.loss / (1 - self.loss)
            raise InputError(
                f"a loss of {self.loss:.0%} needs bursts of at least {least:.1f} packets, "
                f"got {self.burst:g}"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkCounts:
    """What became of the datagrams so far; the rest is in the queue or under way."""

    sent: int
    sent_bytes: int
    delivered: int
    delivered_bytes: int
    lost: int
    dropped: int  # by the full queue


@final
class Netem:
    """One direction of a link.  Times are microseconds of any clock that does not go back."""

    def __init__(self, settings: LinkSettings, *, seed: int) -> None:
        self._settings = settings
        self._random = random.Random(seed)
        self._bad = False  # the chain's state
        self._now_us = 0.0  # the queue has been served up to here
        self._queue: deque[bytes] = deque()
        self._waiting_bits = 0.0  # of the whole queue; the head is partly sent
        self._head_bits = 0.0
        self._under_way: deque[tuple[int, bytes]] = deque()
        self._last_arrival_us = 0.0
        self._sent = self._sent_bytes = self._lost = self._dropped = 0
        self._delivered = self._delivered_bytes = 0

    @property
    def settings(self) -> LinkSettings:
        return self._settings

    @property
    def counts(self) -> LinkCounts:
        return LinkCounts(
            sent=self._sent,
            sent_bytes=self._sent_bytes,
            delivered=self._delivered,
            delivered_bytes=self._delivered_bytes,
            lost=self._lost,
            dropped=self._dropped,
        )

    @property
    def queued_ms(self) -> float:
        """How long a datagram sent now would wait, as of the last call."""
        rate = self._settings.rate_bps
        return 0.0 if rate is None else self._waiting_bits / rate * 1e3

    @property
    def due_us(self) -> int | None:
        """When the next datagram arrives unless it is lost, as of the last call; None: never."""
        if self._under_way:
            return self._under_way[0][0]
        rate = self._settings.rate_bps
        if not self._queue or rate is None:
            return None
        left_us = self._now_us + self._head_bits / rate * 1e6
        return math.ceil(left_us + self._settings.delay_ms * 1e3)

    @property
    def idle(self) -> bool:
        """True if nothing is queued or under way."""
        return not self._queue and not self._under_way

    def change(self, now_us: int, settings: LinkSettings) -> None:
        """Use other settings from `now_us` on; what is queued leaves at the new rate."""
        self._serve(now_us)
        self._settings = settings
        if settings.rate_bps is None:
            self._serve(now_us)

    def send(self, now_us: int, datagram: bytes) -> bool:
        """Give one datagram to the link; False if its queue was full."""
        self._serve(now_us)
        self._sent += 1
        self._sent_bytes += len(datagram)
        if self.queued_ms > self._settings.queue_ms:
            self._dropped += 1
            return False
        if self._settings.rate_bps is None:
            self._leave(self._now_us, datagram)
            return True
        bits = 8.0 * len(datagram)
        if not self._queue:
            self._head_bits = bits
        self._queue.append(datagram)
        self._waiting_bits += bits
        return True

    def poll(self, now_us: int) -> list[tuple[int, bytes]]:
        """What has arrived up to `now_us`, with the time of arrival, in order."""
        self._serve(now_us)
        arrived = []
        while self._under_way and self._under_way[0][0] <= now_us:
            arrived.append(self._under_way.popleft())
        self._delivered += len(arrived)
        self._delivered_bytes += sum(len(datagram) for _, datagram in arrived)
        return arrived

    def _serve(self, until_us: float) -> None:
        """Send from the queue what the rate allows up to `until_us`."""
        rate = self._settings.rate_bps
        at = self._now_us
        while self._queue:
            leaves_us = at if rate is None else at + self._head_bits / rate * 1e6
            if leaves_us > until_us:
                break
            at = leaves_us
            self._waiting_bits -= self._head_bits
            self._leave(at, self._queue.popleft())
            self._head_bits = 8.0 * len(self._queue[0]) if self._queue else 0.0
        if not self._queue:
            self._waiting_bits = 0.0  # sheds rounding
        elif rate is not None:
            sent_bits = (until_us - at) * rate / 1e6
            self._head_bits -= sent_bits
            self._waiting_bits -= sent_bits
        self._now_us = max(self._now_us, until_us)

    def _leave(self, at_us: float, datagram: bytes) -> None:
        """One datagram enters the wire at `at_us`."""
        if self._is_lost():
            self._lost += 1
            return
        settings = self._settings
        jitter_ms = self._random.uniform(0, settings.jitter_ms) if settings.jitter_ms else 0.0
        arrival_us = at_us + (settings.delay_ms + jitter_ms) * 1e3
        self._last_arrival_us = max(self._last_arrival_us, arrival_us)
        self._under_way.append((round(self._last_arrival_us), datagram))

    def _is_lost(self) -> bool:
        loss, burst = self._settings.loss, self._settings.burst
        if burst is None or loss in (0, 1):
            return self._random.random() < loss
        change = 1 / burst if self._bad else loss / (burst * (1 - loss))
        if self._random.random() < change:
            self._bad = not self._bad
        return self._bad
