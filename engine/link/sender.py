"""The sending side of one stream: encoder, answers to reports, protection, pacing.

::

    encode(frame) ──► encoder ──► pacer ──► take() ──► any link
                        ▲           ▲
    hear(feedback) ─────┴ repair    └ lost units once more: answer()

No sockets and no clock: times are arguments, microseconds that do not go back.  `encode` blocks
and may run in another thread than everything else.
"""

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Final, final

from auralink.codecs.errors import EncoderError
from auralink.codecs.frame import Frame
from auralink.codecs.video.protocol import Coded, Kind, ReceiverReport, VideoEncoder, Wish
from auralink.codecs.video.rate.debt import Debt
from auralink.engine.link.pacing import Pacer
from auralink.engine.link.protection import Protection
from auralink.engine.link.resending import NUMBERS, Feedback, Resender
from auralink.engine.media.encoding import encode_frames

# At the target's pace three frames of 30 fps: ordinary ones leave at once, keys are spread.
BURST_S: Final = 0.1
_LEDGER_UNITS: Final = 512  # units whose packets are counted until a report speaks of them


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """What became of one captured frame."""

    frame: Frame = field(repr=False)
    at_us: int  # when it was ready
    coded: Coded
    encode_ms: float
    parity: float  # share asked for


@dataclass(slots=True, kw_only=True)
class Counts:
    """What the sender did about a bad link."""

    resent: int = 0  # packets
    resent_bytes: int = 0
    dropped_units: int = 0  # before they were sent: no unit needs them


@dataclass(frozen=True, slots=True, kw_only=True)
class Sending:
    """What the sender does about a bad link.

    Attributes:
        parity: share of repair packets; None lets measured loss decide.
        resend: lost reference units are sent once more before the encoder is asked to repair.
        pacing_bps: packets leave at this rate, droppable ones are given up; None: at once.
        burst_s: so much of the pacing rate may leave at once after a pause.
    """

    parity: float | None = None
    resend: bool = True
    pacing_bps: float | None = None
    burst_s: float = 0.0


@final
class StreamSender:
    """
    Args:
        bitrate_bps: what the encoder is asked for.
    """

    def __init__(
        self,
        encoder: VideoEncoder,
        *,
        bitrate_bps: int,
        sending: Sending | None = None,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        self._encoder = encoder
        self._sending = sending or Sending()
        self._clock = clock
        self._lock = threading.Lock()  # for everything but the encoder, and nothing slow
        self._busy = threading.Lock()  # for the encoder: whoever closes waits for a frame's end
        self._closed = False
        self._wish = Wish(bitrate_bps=bitrate_bps)
        self._pacer = Pacer(self._sending.pacing_bps, burst_s=self._sending.burst_s)
        self._protection = Protection()
        self._resender = Resender()
        self._ledger = Ledger()
        self._backlog = Debt()
        self._counts = Counts()
        self._heard: Feedback | None = None  # newest that no frame has followed yet
        self._answered = False

    @property
    def name(self) -> str:
        """The encoder in use, for people."""
        return str(getattr(self._encoder, "name", ""))

    @property
    def loss(self) -> float:
        """As the reports have it, smoothed, 0..1."""
        return self._protection.loss

    @property
    def burst(self) -> float:
        """Mean run of losses, estimated from the reports."""
        return self._protection.burst

    @property
    def counts(self) -> Counts:
        with self._lock:
            return replace(self._counts)

    @property
    def idle(self) -> bool:
        """Nothing waits to be sent."""
        with self._lock:
            return self._pacer.idle

    def steer(self, *, bitrate_bps: int, pacing_bps: float | None = None) -> None:
        """Another bitrate and another pace from now on."""
        with self._lock:
            self._wish = replace(self._wish, bitrate_bps=bitrate_bps)
            self._pacer.set_rate(pacing_bps)

    def want_key(self) -> None:
        """The next frame shall be decodable alone: somebody starts to watch."""
        with self._lock:
            self._wish = replace(self._wish, key=True)

    def hear(self, feedback: Feedback) -> None:
        """Enter what the receiver says."""
        with self._lock:
            self._heard, self._answered = feedback, False
            packets, dropped = self._ledger.reported(feedback.report.highest)
            if packets > dropped:
                # What we dropped ourselves is missed at the other end, but no loss of the link.
                lost = max(0.0, feedback.report.loss * packets - dropped)
                self._protection.heard(lost / (packets - dropped), packets - dropped)

    def answer(self, now_us: int) -> None:
        """Send again what the newest feedback misses, if that will do."""
        with self._lock:
            self._answer(now_us)

    def encode(self, frame: Frame, now: Callable[[], int]) -> Sent:
        """Encode a frame; its packets leave with `take`.

        Raises:
            EncoderError: no encoder could be opened, or this sender is closed.
        """
        with self._lock:
            wish = self._next_wish(now())
        with self._busy:
            if self._closed:
                raise EncoderError("the stream was closed while a frame was on its way")
            (step,) = encode_frames((frame,), self._encoder, lambda _: wish, self._clock)
        at_us, coded = now(), step.coded
        if coded.packets:
            with self._lock:
                self._ledger.sent(coded.number, coded.packets)
                self._resender.sent(coded)
                self._owe(at_us, coded.packets)
                self._enter(at_us, coded.number, coded.packets, droppable=_droppable(coded))
        return Sent(
            frame=frame, at_us=at_us, coded=coded, encode_ms=step.encode_ms, parity=wish.parity
        )

    def take(self, now_us: int) -> list[bytes]:
        """Packets that leave now."""
        with self._lock:
            return self._pacer.take(now_us)

    def close(self) -> None:
        """Waits for a frame that another thread is encoding."""
        with self._busy:
            if not self._closed:
                self._closed = True
                self._encoder.close()

    def _next_wish(self, now_us: int) -> Wish:
        self._answer(now_us)
        heard, self._heard = self._heard, None
        parity = self._sending.parity
        if parity is None:
            parity = self._protection.strength
        wish = replace(
            self._wish,
            report=heard.report if heard else None,
            parity=parity,
            backlog_bits=self._owe(now_us, ()),
        )
        self._wish = replace(self._wish, key=False)
        return wish

    def _answer(self, now_us: int) -> None:
        heard = self._heard
        if heard is None or self._answered or not (heard.report.stuck and self._sending.resend):
            return
        self._answered = True
        packets = self._resender.answer(heard)
        if packets is None:
            return
        if packets:
            self._counts.resent += len(packets)
            self._counts.resent_bytes += sum(map(len, packets))
            self._owe(now_us, packets)
            self._enter(now_us, -1, packets, droppable=False, urgent=True)
        # The encoder need not help.
        self._heard = replace(heard, report=_calm(heard.report))

    def _owe(self, now_us: int, packets: Sequence[bytes]) -> int:
        """What a link of the target's rate has not carried by now, with these; bits.

        With the savings that rate control allows itself: what it owes by its own plan is not more.
        """
        self._backlog.advance(now_us, self._wish.bitrate_bps or 0)
        self._backlog.add(8 * sum(map(len, packets)))
        return max(0, round(self._backlog.bits))

    def _enter(
        self,
        now_us: int,
        unit: int,
        packets: Sequence[bytes],
        *,
        droppable: bool,
        urgent: bool = False,
    ) -> None:
        dropped = self._pacer.enter(now_us, unit, packets, droppable=droppable, urgent=urgent)
        for number in dropped:
            self._ledger.dropped(number)
        self._counts.dropped_units += len(dropped)


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


def _calm(report: ReceiverReport) -> ReceiverReport:
    return replace(report, stuck=False)


def _droppable(coded: Coded) -> bool:
    """Skip units stay: they cost four bytes and keep the receiver from asking."""
    return not coded.reference and coded.kind is not Kind.SKIP
