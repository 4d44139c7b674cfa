"""One direction of a call: encoder, link there, receiver, link back for its reports.

::

    capture(frame) ──► encoder ──► [link there] ──► receive() ──► receiver ──► pictures
                          ▲                                            │
                          └───────────── [link back] ◄──── reports ◄───┘

Times are arguments, microseconds since the call began: a test runs it in virtual time, the demo
by the clock.  `capture` and `receive` may be called from two threads.
"""

import math
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Final, final

from auralink.codecs.frame import Frame
from auralink.codecs.video.depacketizer import Statistics
from auralink.codecs.video.protocol import (
    Coded,
    Picture,
    ReceiverReport,
    Status,
    VideoDecoder,
    VideoEncoder,
    Wish,
)
from auralink.codecs.video.receiver import Receiver
from auralink.engine.link.netem import LinkCounts, LinkSettings, Netem
from auralink.engine.media.encoding import encode_frames

REPORT_EVERY_US: Final = 200_000
URGENT_EVERY_US: Final = 40_000  # while the receiver is stuck
REPORT_BYTES: Final = 20  # two numbers, a bit set, a loss figure, flags
# Parity follows the measured loss; below the first a lost frame is cheaper than the parity.
PARITY_FROM_LOSS: Final = 0.01
PARITY_PER_LOSS: Final = 2.5
MOST_PARITY: Final = 0.5
_LOSS_MEMORY_S: Final = 2.0  # time constant; reports are not evenly spaced


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """What became of one captured frame."""

    frame: Frame = field(repr=False)
    at_us: int  # when it was ready
    coded: Coded
    encode_ms: float
    parity: float  # share asked for


@dataclass(frozen=True, slots=True, kw_only=True)
class Played:
    """One picture that the receiver made."""

    at_us: int  # when it was ready
    picture: Picture
    decode_ms: float

    @property
    def latency_ms(self) -> float | None:
        """From capture to ready."""
        frame = self.picture.frame
        return None if frame is None else (self.at_us - frame.pts_us) / 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class CallState:
    """Both ends and the link at a moment."""

    encoder: str  # library, version and preset in use
    there: LinkCounts
    queued_ms: float
    received: Statistics
    loss: float  # as the sender has it from the reports, smoothed
    stuck: bool


@final
class Call:
    """
    Args:
        bitrate_bps: what the encoder is asked for.
        there: the link from sender to receiver; the reports come back with its delay and loss,
            without a rate limit.
        parity: share of repair packets; None lets measured loss decide.
    """

    def __init__(
        self,
        encoder: VideoEncoder,
        decoder: VideoDecoder,
        *,
        bitrate_bps: int,
        there: LinkSettings,
        seed: int,
        parity: float | None = None,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        self._encoder = encoder
        self._receiver = Receiver(decoder)
        self._wish = Wish(bitrate_bps=bitrate_bps)
        self._parity = parity
        self._clock = clock
        self._there = Netem(there, seed=seed)
        self._back = Netem(replace(there, rate_bps=None), seed=seed + 1)
        self._lock = threading.Lock()  # for the links, nothing slow
        self._reports: dict[int, ReceiverReport] = {}  # under way, by number
        self._report_number = 0
        self._reported_us = -REPORT_EVERY_US
        self._loss = 0.0
        self._heard_us = 0
        self._stuck = False

    def capture(self, frame: Frame, now: Callable[[], int]) -> Sent:
        """Encode a frame and give its packets to the link at the time it is ready."""
        wish = self._next_wish(now())
        (step,) = encode_frames((frame,), self._encoder, lambda _: wish, self._clock)
        at_us = now()
        with self._lock:
            for packet in step.coded.packets:
                self._there.send(at_us, packet)
        return Sent(
            frame=frame,
            at_us=at_us,
            coded=step.coded,
            encode_ms=step.encode_ms,
            parity=wish.parity,
        )

    def receive(self, now: Callable[[], int]) -> list[Played]:
        """Decode what has arrived; report if it is time, or if the sender must help."""
        with self._lock:
            arrived = self._there.poll(now())
        played = []
        for _, datagram in arrived:
            start = self._clock()
            for picture in self._receiver.push(datagram):
                spent_ms = (self._clock() - start) * 1000
                played.append(Played(at_us=now(), picture=picture, decode_ms=spent_ms))
                start = self._clock()
        self._report(now())
        return played

    def state(self) -> CallState:
        with self._lock:
            return CallState(
                encoder=str(getattr(self._encoder, "name", "")),
                there=self._there.counts,
                queued_ms=self._there.queued_ms,
                received=self._receiver.statistics(),
                loss=self._loss,
                stuck=self._stuck,
            )

    def idle(self, now_us: int) -> bool:
        """True if nothing is on its way to the receiver any more."""
        with self._lock:
            return self._there.idle

    def close(self) -> None:
        self._encoder.close()
        self._receiver.close()

    def _next_wish(self, now_us: int) -> Wish:
        with self._lock:
            back = self._back.poll(now_us)
        newest: ReceiverReport | None = None
        for at_us, data in back:
            number = int.from_bytes(data, "big")
            newest = self._reports[number]
            weight = 1 - math.exp((self._heard_us - at_us) / 1e6 / _LOSS_MEMORY_S)
            self._loss += weight * (newest.loss - self._loss)
            self._heard_us = at_us
            # The link keeps the order: what is older will not come any more.
            self._reports = {n: r for n, r in self._reports.items() if n > number}
        return replace(self._wish, report=newest, parity=self._wanted_parity())

    def _wanted_parity(self) -> float:
        if self._parity is not None:
            return self._parity
        if self._loss < PARITY_FROM_LOSS:
            return 0.0
        return min(MOST_PARITY, PARITY_PER_LOSS * self._loss)

    def _report(self, now_us: int) -> None:
        self._stuck = self._receiver.stuck
        waited_us = now_us - self._reported_us
        if waited_us < (URGENT_EVERY_US if self._stuck else REPORT_EVERY_US):
            return
        self._reported_us = now_us
        self._report_number += 1
        self._reports[self._report_number] = self._receiver.report()
        with self._lock:
            self._back.send(now_us, self._report_number.to_bytes(REPORT_BYTES, "big"))


def is_new(played: Played) -> bool:
    """True if there is a picture for the time of this very unit."""
    return played.picture.status is not Status.FROZEN and played.picture.frame is not None
