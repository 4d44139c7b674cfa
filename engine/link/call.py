"""One direction of a call: encoder, link there, receiver, link back for its reports.

::

    capture(frame) ──► sender ──► [link there] ──► receive() ──► receiver ──► pictures
                         ▲                                          │
                         └───────── [link back] ◄──── reports ◄─────┘

Times are arguments, microseconds since the call began: a test runs it in virtual time, the demo
by the clock.  `capture` and `receive` may be called from two threads.
"""

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Final, final

from auralink.codecs.frame import Frame
from auralink.codecs.video.depacketizer import Statistics
from auralink.codecs.video.protocol import VideoDecoder, VideoEncoder
from auralink.engine.link.netem import LinkCounts, LinkSettings, Netem
from auralink.engine.link.receiving import Played, StreamReceiver, is_new
from auralink.engine.link.resending import Feedback
from auralink.engine.link.sender import Counts, Sending, Sent, StreamSender

__all__ = ["Call", "CallState", "Played", "Recording", "Sending", "Sent", "is_new", "simulate"]

REPORT_BYTES: Final = 28  # two numbers, two bit sets, a loss figure, flags


@dataclass(frozen=True, slots=True, kw_only=True)
class CallState:
    """Both ends and the link at a moment."""

    encoder: str  # library, version and preset in use
    there: LinkCounts
    queued_ms: float
    received: Statistics
    loss: float  # as the sender has it from the reports, smoothed
    burst: float  # mean run of losses, estimated from the reports
    stuck: bool
    sender: Counts


@final
class Call:
    """
    Args:
        bitrate_bps: what the encoder is asked for.
        there: the link from sender to receiver; the reports come back with its delay and loss,
            without a rate limit.
        parity: short for ``Sending(parity=...)``.
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
        sending: Sending | None = None,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        self._sender = StreamSender(
            encoder,
            bitrate_bps=bitrate_bps,
            sending=sending or Sending(parity=parity),
            clock=clock,
        )
        self._receiver = StreamReceiver(decoder, clock=clock)
        self._there = Netem(there, seed=seed)
        self._back = Netem(replace(there, rate_bps=None), seed=seed + 1)
        self._lock = threading.Lock()  # for the links, nothing slow
        self._reports: dict[int, Feedback] = {}  # under way, by number
        self._report_number = 0

    def capture(self, frame: Frame, now: Callable[[], int]) -> Sent:
        """Encode a frame and give its packets to the link at the time it is ready."""
        self._hear(now())
        self._sender.answer(now())
        self._flush(now())
        sent = self._sender.encode(frame, now)
        self._flush(sent.at_us)
        return sent

    def receive(self, now: Callable[[], int]) -> list[Played]:
        """Decode what has arrived; report if it is time, or if the sender must help."""
        self._flush(now())
        with self._lock:
            arrived = self._there.poll(now())
        played = []
        for _, datagram in arrived:
            played += self._receiver.push(datagram, now)
        self._report(now())
        return played

    def steer(
        self,
        now_us: int,
        *,
        bitrate_bps: int,
        pacing_bps: float | None = None,
        there: LinkSettings | None = None,
    ) -> None:
        """From now on: another bitrate, another pace, another link."""
        self._flush(now_us)
        self._sender.steer(bitrate_bps=bitrate_bps, pacing_bps=pacing_bps)
        if there is not None:
            with self._lock:
                self._there.change(now_us, there)

    def state(self) -> CallState:
        with self._lock:
            return CallState(
                encoder=self._sender.name,
                there=self._there.counts,
                queued_ms=self._there.queued_ms,
                received=self._receiver.statistics(),
                loss=self._sender.loss,
                burst=self._sender.burst,
                stuck=self._receiver.stuck,
                sender=self._sender.counts,
            )

    @property
    def stuck(self) -> bool:
        """The receiver can decode nothing until the sender helps; as of the last `receive`."""
        return self._receiver.stuck

    def idle(self, now_us: int) -> bool:
        """True if nothing is on its way to the receiver any more."""
        with self._lock:
            return self._there.idle and self._sender.idle

    def close(self) -> None:
        self._sender.close()
        self._receiver.close()

    def _hear(self, now_us: int) -> None:
        with self._lock:
            back = self._back.poll(now_us)
        for _, data in back:
            number = int.from_bytes(data, "big")
            self._sender.hear(self._reports[number])
            # The link keeps the order: what is older will not come any more.
            self._reports = {n: f for n, f in self._reports.items() if n > number}

    def _flush(self, now_us: int) -> None:
        with self._lock:
            for packet in self._sender.take(now_us):
                self._there.send(now_us, packet)

    def _report(self, now_us: int) -> None:
        feedback = self._receiver.feedback(now_us)
        if feedback is None:
            return
        self._report_number += 1
        self._reports[self._report_number] = feedback
        with self._lock:
            self._back.send(now_us, self._report_number.to_bytes(REPORT_BYTES, "big"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Recording:
    """All that happened in a call in virtual time."""

    sent: tuple[Sent, ...]
    played: tuple[Played, ...]
    stuck: tuple[tuple[int, int | None], ...]  # from when to when nothing could be decoded
    state: CallState  # at the end


def simulate(
    call: Call,
    frames: Sequence[Frame],
    *,
    before: Callable[[int], None] = lambda now_us: None,
    step_us: int = 1000,
) -> Recording:
    """Run a call in virtual time, a step at a time, until all is received; then close it.

    Args:
        before: called with the time before each frame is captured, to steer.
    """
    sent: list[Sent] = []
    played: list[Played] = []
    stuck: list[tuple[int, int | None]] = []
    now_us, at = 0, 0

    def now() -> int:
        return now_us

    while at < len(frames) or not call.idle(now_us):
        while at < len(frames) and frames[at].pts_us <= now_us:
            before(now_us)
            sent.append(call.capture(frames[at], now))
            at += 1
        played += call.receive(now)
        is_stuck = call.stuck
        was_stuck = bool(stuck) and stuck[-1][1] is None
        if is_stuck and not was_stuck:
            stuck.append((now_us, None))
        elif was_stuck and not is_stuck:
            stuck[-1] = (stuck[-1][0], now_us)
        now_us += step_us
    state = call.state()
    call.close()
    return Recording(sent=tuple(sent), played=tuple(played), stuck=tuple(stuck), state=state)
