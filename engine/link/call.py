"""One direction of a call: encoder, link there, receiver, link back for its reports.

::

    capture(frame) ──► encoder ──► pacer ──► [link there] ──► receive() ──► receiver ──► pictures
                          ▲          ▲                                          │
                          │          └ lost units, once more                    │
                          └──────────────── [link back] ◄──── reports ◄─────────┘

Times are arguments, microseconds since the call began: a test runs it in virtual time, the demo
by the clock.  `capture` and `receive` may be called from two threads.
"""

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Final, final

from auralink.codecs.frame import Frame
from auralink.codecs.video.depacketizer import Statistics
from auralink.codecs.video.protocol import (
    Coded,
    Kind,
    Picture,
    ReceiverReport,
    Status,
    VideoDecoder,
    VideoEncoder,
    Wish,
)
from auralink.codecs.video.receiver import Receiver
from auralink.engine.link.netem import LinkCounts, LinkSettings, Netem
from auralink.engine.link.pacing import Pacer
from auralink.engine.link.protection import Protection
from auralink.engine.link.resending import NUMBERS, Arrivals, Feedback, Resender
from auralink.engine.media.encoding import encode_frames

REPORT_EVERY_US: Final = 200_000
URGENT_EVERY_US: Final = 40_000  # while the receiver is stuck
REPORT_BYTES: Final = 28  # two numbers, two bit sets, a loss figure, flags
_LEDGER_UNITS: Final = 512  # units whose packets are counted until a report speaks of them


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


@dataclass(slots=True, kw_only=True)
class Counts:
    """What the sender did about a bad link."""

    resent: int = 0  # packets
    resent_bytes: int = 0
    dropped_units: int = 0  # before they were sent: no unit needs them


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
    sender: "Counts"


@dataclass(frozen=True, slots=True, kw_only=True)
class Sending:
    """What the sender does about a bad link.

    Attributes:
        parity: share of repair packets; None lets measured loss decide.
        resend: lost reference units are sent once more before the encoder is asked to repair.
        pacing_bps: packets leave at this rate, droppable ones are given up; None: at once.
    """

    parity: float | None = None
    resend: bool = True
    pacing_bps: float | None = None


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
        self._encoder = encoder
        self._receiver = Receiver(decoder)
        self._wish = Wish(bitrate_bps=bitrate_bps)
        self._sending = sending or Sending(parity=parity)
        self._clock = clock
        self._there = Netem(there, seed=seed)
        self._back = Netem(replace(there, rate_bps=None), seed=seed + 1)
        self._lock = threading.Lock()  # for the links and the pacer, nothing slow
        self._pacer = Pacer(self._sending.pacing_bps)
        self._protection = Protection()
        self._resender = Resender()
        self._ledger = Ledger()
        self._counts = Counts()
        self._arrivals = Arrivals()
        self._reports: dict[int, Feedback] = {}  # under way, by number
        self._report_number = 0
        self._reported_us = -REPORT_EVERY_US
        self._stuck = False

    def capture(self, frame: Frame, now: Callable[[], int]) -> Sent:
        """Encode a frame and give its packets to the link at the time it is ready."""
        wish = self._next_wish(now())
        (step,) = encode_frames((frame,), self._encoder, lambda _: wish, self._clock)
        at_us, coded = now(), step.coded
        if coded.packets:
            self._ledger.sent(coded.number, coded.packets)
            self._resender.sent(coded)
            self._enter(at_us, coded.number, coded.packets, droppable=_droppable(coded))
        return Sent(
            frame=frame,
            at_us=at_us,
            coded=coded,
            encode_ms=step.encode_ms,
            parity=wish.parity,
        )

    def receive(self, now: Callable[[], int]) -> list[Played]:
        """Decode what has arrived; report if it is time, or if the sender must help."""
        with self._lock:
            self._flush(now())
            arrived = self._there.poll(now())
        played = []
        for _, datagram in arrived:
            self._arrivals.note(datagram)
            start = self._clock()
            for picture in self._receiver.push(datagram):
                spent_ms = (self._clock() - start) * 1000
                played.append(Played(at_us=now(), picture=picture, decode_ms=spent_ms))
                start = self._clock()
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
        self._wish = replace(self._wish, bitrate_bps=bitrate_bps)
        with self._lock:
            self._flush(now_us)
            self._pacer.set_rate(pacing_bps)
            if there is not None:
                self._there.change(now_us, there)

    def state(self) -> CallState:
        with self._lock:
            return CallState(
                encoder=str(getattr(self._encoder, "name", "")),
                there=self._there.counts,
                queued_ms=self._there.queued_ms,
                received=self._receiver.statistics(),
                loss=self._protection.loss,
                burst=self._protection.burst,
                stuck=self._stuck,
                sender=replace(self._counts),
            )

    @property
    def stuck(self) -> bool:
        """The receiver can decode nothing until the sender helps; as of the last `receive`."""
        return self._stuck

    def idle(self, now_us: int) -> bool:
        """True if nothing is on its way to the receiver any more."""
        with self._lock:
            return self._there.idle and self._pacer.idle

    def close(self) -> None:
        self._encoder.close()
        self._receiver.close()

    def _next_wish(self, now_us: int) -> Wish:
        with self._lock:
            back = self._back.poll(now_us)
        newest: Feedback | None = None
        for _, data in back:
            number = int.from_bytes(data, "big")
            newest = self._reports[number]
            self._hear(newest.report)
            # The link keeps the order: what is older will not come any more.
            self._reports = {n: f for n, f in self._reports.items() if n > number}
        report = newest.report if newest else None
        if newest and newest.report.stuck and self._sending.resend:
            report = self._resend(now_us, newest)
        parity = self._sending.parity
        if parity is None:
            parity = self._protection.strength
        return replace(self._wish, report=report, parity=parity)

    def _hear(self, report: ReceiverReport) -> None:
        packets, dropped = self._ledger.reported(report.highest)
        if packets > dropped:
            # What we dropped ourselves is missed at the other end, but no loss of the link.
            lost = max(0.0, report.loss * packets - dropped)
            self._protection.heard(lost / (packets - dropped), packets - dropped)

    def _resend(self, now_us: int, feedback: Feedback) -> ReceiverReport:
        """Answer by sending again if that will do; the encoder then hears of no trouble."""
        answer = self._resender.answer(feedback)
        if answer is None:
            return feedback.report
        if answer:
            self._counts.resent += len(answer)
            self._counts.resent_bytes += sum(map(len, answer))
            self._enter(now_us, -1, answer, droppable=False)
        return replace(feedback.report, stuck=False)

    def _enter(self, now_us: int, unit: int, packets: Sequence[bytes], *, droppable: bool) -> None:
        with self._lock:
            dropped = self._pacer.enter(now_us, unit, packets, droppable=droppable)
            self._flush(now_us)
        for number in dropped:
            self._ledger.dropped(number)
        self._counts.dropped_units += len(dropped)

    def _flush(self, now_us: int) -> None:
        for packet in self._pacer.take(now_us):
            self._there.send(now_us, packet)

    def _report(self, now_us: int) -> None:
        self._stuck = self._receiver.stuck
        waited_us = now_us - self._reported_us
        if waited_us < (URGENT_EVERY_US if self._stuck else REPORT_EVERY_US):
            return
        self._reported_us = now_us
        self._report_number += 1
        report = self._receiver.report()
        self._reports[self._report_number] = Feedback(
            report=report, arrived=self._arrivals.mask(report.highest)
        )
        with self._lock:
            self._back.send(now_us, self._report_number.to_bytes(REPORT_BYTES, "big"))


@final
class Ledger:
    """How many packets a report speaks of: those of the units since the report before."""

    def __init__(self) -> None:
        self._units: OrderedDict[int, tuple[int, bool]] = OrderedDict()  # packets, dropped
        self._newest = -1

    def sent(self, number: int, packets: Sequence[bytes]) -> None:
        count = sum(packet[0] >> 6 != Kind.PARITY for packet in packets)
        self._units[number] = (count, False)
        self._newest = number
        if len(self._units) > _LEDGER_UNITS:
            self._units.popitem(last=False)

    def dropped(self, number: int) -> None:
        if number in self._units:
            self._units[number] = (1, True)  # the receiver takes a missing unit for one packet

    def reported(self, highest: int | None) -> tuple[int, int]:
        """Packets expected up to ``highest`` since the last call, and how many were dropped."""
        if highest is None:
            return 0, 0
        number = self._newest - (self._newest - highest) % NUMBERS
        packets = dropped = 0
        while self._units and next(iter(self._units)) <= number:
            _, (count, was_dropped) = self._units.popitem(last=False)
            packets += count
            dropped += count * was_dropped
        return packets, dropped


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


def is_new(played: Played) -> bool:
    """True if there is a picture for the time of this very unit."""
    return played.picture.status is not Status.FROZEN and played.picture.frame is not None


def _droppable(coded: Coded) -> bool:
    """Skip units stay: they cost four bytes and keep the receiver from asking."""
    return not coded.reference and coded.kind is not Kind.SKIP
