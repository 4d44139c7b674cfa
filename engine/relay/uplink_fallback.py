"""What a video stream sends when it cannot send what was wished: the ladder, tied to an encoder.

::

    how coding goes, bits ──► signs ──► FallbackLadder ──move──► another encoder, size, frame rate

The lowest rungs need no worker: native codecs run in this process, and sound goes on by itself.
"""

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from typing import Final, TypeAlias, final

from auralink.codecs.frame import Frame
from auralink.codecs.resample import Resampler
from auralink.codecs.video.profiles import LEARNED_PROFILES, open_encoder
from auralink.codecs.video.protocol import Coded, Outcome, VideoEncoder
from auralink.engine.inference.call_window import CallWindow
from auralink.engine.inference.fallback_ladder import Cause, FallbackLadder, Move, Signs
from auralink.engine.inference.fallback_rungs import Need, Order, order
from auralink.engine.inference.outcome import FrameOutcome
from auralink.engine.relay.options import RelayOptions

OpenFor: TypeAlias = Callable[[RelayOptions], VideoEncoder]

# Speed control finds a faster preset within two seconds; only what that does not mend is ours.
_LATE_US: Final = 4_000_000
_WEIGHT: Final = 0.1  # of a picture in the load
_FAILURES: Final = 2  # in a row: one costs a stream a picture, and a new worker mends it
_GONE_US: Final = 3_000_000  # after the last failure workers may be tried again
_DEADLINE_US: Final = 33_000
# Why pictures are native, as their outcome says it.
_NATIVE: Final = {
    Cause.WORKERS: FrameOutcome.NO_MODEL,
    Cause.MODEL: FrameOutcome.NO_MODEL,
    Cause.LATE: FrameOutcome.LATE,
    Cause.SLOW: FrameOutcome.LATE,
}


@final
class VideoFallback:
    """
    Args:
        wished: what the user wants, and what each rung starts from.
        open_for: opens an encoder of the rungs that need workers, in a worker thread.
    """

    def __init__(self, wished: RelayOptions, open_for: OpenFor, now_us: int) -> None:
        self.answers: Counter[FrameOutcome] = Counter()
        self._wished = wished
        self._open_for = open_for
        self._ladder = FallbackLadder(now_us, late_us=_LATE_US)
        self._order = self._made()
        self._times = CallWindow(calls=30, span_us=1_000_000)
        self._load = 0.0
        self._failures = 0
        self._failed_us = now_us
        self._frames = 0
        self._next_unit = 0
        self._resampler = Resampler("area")

    @property
    def rung(self) -> str:
        return self._ladder.rung.name

    @property
    def cause(self) -> Cause:
        return self._ladder.cause

    @property
    def order(self) -> Order | None:
        """What the encoder shall be; None: no pictures."""
        return self._order

    def force(self, name: str | None) -> None:
        """See `FallbackLadder.force`."""
        self._ladder.force(name)

    def look(self, bits_bps: int, now_us: int) -> Move | None:
        """Move if it is time to: then the encoder must be opened anew."""
        counts = self._times.counts(now_us)
        gone = self._failures >= _FAILURES and now_us - self._failed_us < _GONE_US
        signs = Signs(
            gone=frozenset({self._suspect}) if gone else frozenset(),
            late_share=counts.slow / counts.calls if counts.calls >= 10 else 0.0,
            load=self._load,
            bits_bps=bits_bps,
        )
        move = self._ladder.look(signs, now_us)
        if move is not None:
            self._order = self._made()
            self._times.clear()
            self._load = 0.0
        return move

    def sets_aside(self) -> FrameOutcome | None:
        """Whether the next picture is not to be coded, and why."""
        if self._order is None:
            self.answers[FrameOutcome.PAUSED] += 1
            return FrameOutcome.PAUSED
        self._frames += 1
        if self._frames % self._ladder.rung.divisor:
            self.answers[FrameOutcome.STALE] += 1
            return FrameOutcome.STALE
        return None

    def open(self) -> VideoEncoder:
        """Goes on counting where the encoder before stopped.

        Raises:
            AuraLinkError: it cannot be opened.
        """
        made = self._order
        assert made is not None
        options = replace(made.options, first_unit=self._next_unit)
        if self._ladder.rung.native:
            return open_encoder(made.profile, fps=made.fps, options=options)
        return self._open_for(
            replace(
                self._wished,
                profile=made.profile,
                size=made.size,
                fps=made.fps,
                encoder=options,
            )
        )

    def fit(self, frame: Frame) -> Frame:
        """Not larger than the rung allows; the same frame where the room sends it so."""
        if self._order is None or self._ladder.rung.scale == 1.0:
            return frame
        width, height = frame.size
        most_width, most_height = self._order.size
        factor = min(1.0, max(most_width, most_height) / max(width, height))
        if factor == 1.0:
            return frame
        return self._resampler.resize(frame, _even(width * factor), _even(height * factor))

    def coded(self, coded: Coded, encode_ms: float, now_us: int) -> None:
        """A picture went through the encoder."""
        if coded.packets:
            self._next_unit = coded.number + 1
        if not self._ladder.rung.native:
            self._failures = 0
        if coded.outcome in (Outcome.CODED, Outcome.SKIPPED):
            native = self._ladder.rung.native
            answer = _NATIVE.get(self.cause, FrameOutcome.CODED) if native else FrameOutcome.CODED
        else:
            answer = (
                FrameOutcome.STALE
            )  # another picture stands for it: the rate does not allow all
        self.answers[answer] += 1
        made = self._order
        if made is None:
            return
        interval_us = 1e6 / made.fps
        self._load += _WEIGHT * (encode_ms * 1e3 / interval_us - self._load)
        late = encode_ms * 1e3 > max(_DEADLINE_US, interval_us)
        self._times.enter(now_us, failed=False, slow=late)

    def failed(self, now_us: int) -> bool:
        """The encoder could not be opened, or died; whether that may be worth waiting for."""
        self.answers[FrameOutcome.INVALID] += 1
        self._failures += 1
        self._failed_us = now_us
        return self._failures < _FAILURES or self._ladder.rung.native

    @property
    def _suspect(self) -> Need:
        """What is gone if an encoder cannot be had."""
        learned = self._wished.profile in LEARNED_PROFILES and self._ladder.rung.net
        return Need.MODEL if learned else Need.WORKERS

    def _made(self) -> Order | None:
        wished = self._wished
        whole = Order(
            profile=wished.profile, options=wished.encoder, size=wished.size, fps=wished.fps
        )
        return order(self._ladder.rung, whole)


def _even(side: float) -> int:
    return max(2, round(side / 2) * 2)
