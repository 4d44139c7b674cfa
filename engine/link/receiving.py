"""The receiving side of one stream: packets in, pictures out, and feedback when it is due.

No sockets and no clock: times are arguments, microseconds that do not go back.
"""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, final

from auralink.codecs.video.depacketizer import Statistics
from auralink.codecs.video.protocol import Picture, Status, VideoDecoder
from auralink.codecs.video.receiver import Receiver
from auralink.engine.link.resending import Arrivals, Feedback

REPORT_EVERY_US: Final = 200_000
URGENT_EVERY_US: Final = 40_000  # while the receiver is stuck


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


@final
class StreamReceiver:
    def __init__(
        self, decoder: VideoDecoder, *, clock: Callable[[], float] = time.perf_counter
    ) -> None:
        self._receiver = Receiver(decoder)
        self._clock = clock
        self._busy = threading.Lock()  # whoever closes waits for a decoder at work
        self._closed = False
        self._arrivals = Arrivals()
        self._reported_us = -REPORT_EVERY_US
        self._stuck = False

    def push(self, datagram: bytes, now: Callable[[], int]) -> list[Played]:
        """Decode what a packet makes available.  Blocks for as long as decoding takes."""
        with self._busy:
            return [] if self._closed else self._push(datagram, now)

    def feedback(self, now_us: int) -> Feedback | None:
        """What to tell the sender now, None while there is time."""
        self._stuck = self._receiver.stuck
        waited_us = now_us - self._reported_us
        if waited_us < (URGENT_EVERY_US if self._stuck else REPORT_EVERY_US):
            return None
        self._reported_us = now_us
        report = self._receiver.report()
        return Feedback(
            report=report,
            arrived=self._arrivals.mask(report.highest),
            gaps=self._arrivals.gaps(report.newest, report.highest) if report.stuck else (),
        )

    @property
    def stuck(self) -> bool:
        """Nothing can be decoded until the sender helps; as of the last `feedback`."""
        return self._stuck

    def statistics(self) -> Statistics:
        return self._receiver.statistics()

    def close(self) -> None:
        with self._busy:
            if not self._closed:
                self._closed = True
                self._receiver.close()

    def _push(self, datagram: bytes, now: Callable[[], int]) -> list[Played]:
        self._arrivals.note(datagram)
        played = []
        start = self._clock()
        for picture in self._receiver.push(datagram):
            spent_ms = (self._clock() - start) * 1000
            played.append(Played(at_us=now(), picture=picture, decode_ms=spent_ms))
            start = self._clock()
        return played


def is_new(played: Played) -> bool:
    """True if there is a picture for the time of this very unit."""
    return played.picture.status is not Status.FROZEN and played.picture.frame is not None
