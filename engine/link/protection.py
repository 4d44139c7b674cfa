"""How much parity the measured loss deserves.

::

    loss per report ──► fast mean ─┐
                    └─► slow mean ─┴► the larger ──► step of the table ──► strength
                                                         ▲ hysteresis

Attack is faster than release: the larger of two means rises with the fast one and falls with the
slow one.  Means are over packets, not over time: a report about two packets says less than one
about twenty, and a thin stream needs longer to know its loss.

Losses in bursts defeat parity over neighbours, so their mean length is estimated, too: from the
spread of the loss of equal stretches of packets.  For the Gilbert chain the variance of the number
of losses is ``2 B (1 - p) - 1`` times that of independent ones, with ``p`` the loss and ``B`` the
mean burst (stretches much longer than a burst).

Pure: no clock, no randomness.
"""

import math
from dataclasses import dataclass
from typing import Final, final

_FAST_PACKETS: Final = 40.0  # two seconds of a thin stream's packets
_SLOW_PACKETS: Final = 200.0
_STRETCH: Final = 24  # packets; several bursts long, and four or so reports
_STRETCHES: Final = 30  # memory of the spread
_SETTLED: Final = 6  # stretches before the spread is believed
_DOWN: Final = 0.6  # a step is left below this share of the loss at which it is entered


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """From this loss on, so many parity packets per packet of reference units."""

    loss: float
    strength: float
    bursty: float  # the same where losses come in bursts


# Measured at equal bits, parity included, on three clips of people (352x288, 120 kbit/s, SVT-AV1
# with lost units sent again, 100 ms round trip): mean SSIM, its 5th percentile, frozen time.
STEPS: Final = (
    # 2 %: .937 without; any parity costs more bits than it saves pictures.  5 %: .933 without and
    # .926 with an eighth or a quarter; in a call .916 without and .912 with an eighth.  In bursts
    # .910 without, .909, .902 and .905 with.
    Step(loss=0.0, strength=0.0, bursty=0.0),
    # 10 %: .909 without, .921, .916, .917 with an eighth, a quarter, a half; p5 .752, .829, .843,
    # .869; frozen 26, 17, 18, 9 %.  In bursts only a half gains: p5 .738 to .811.
    Step(loss=0.07, strength=0.25, bursty=0.5),
    # 20 %: .867 without, .898 with a half, frozen 50 to 25 %; in bursts .846 to .877.  A whole,
    # repetition, is worse than a half again: .894 and .863.
    Step(loss=0.12, strength=0.5, bursty=0.5),
)
_CALM: Final = 1.5
BURSTY: Final = 2.0  # from this mean run of losses on; independent ones have 1.0 to 1.25


@final
class Protection:
    """One stream's policy.  Tell it of every report; ask for the `strength` of the next frame."""

    def __init__(self, steps: tuple[Step, ...] = STEPS) -> None:
        self._steps = steps
        self._at = 0
        self._is_bursty = False
        self._fast = 0.0
        self._slow = 0.0
        self._stretch_packets = 0.0
        self._stretch_lost = 0.0
        self._stretches = 0
        self._share = 0.0  # mean loss of stretches
        self._spread = 0.0  # mean of squared deviations of lost packets
        self._usual = 0.0  # the same if losses were independent

    @property
    def loss(self) -> float:
        """Smoothed share of packets lost, 0..1."""
        return max(self._fast, self._slow)

    @property
    def burst(self) -> float:
        """Estimated mean length of a run of losses, at least 1."""
        if self._usual <= 0.0 or self._share >= 1.0:
            return 1.0
        return max(1.0, (self._spread / self._usual + 1) / (2 * (1 - self._share)))

    @property
    def strength(self) -> float:
        """Packets of parity per packet of reference units, 0..1."""
        step = self._steps[self._at]
        return step.bursty if self._is_bursty else step.strength

    def heard(self, loss: float, packets: int) -> None:
        """Enter a report: the share lost of ``packets`` packets."""
        if packets <= 0:
            return
        self._fast += (1 - math.exp(-packets / _FAST_PACKETS)) * (loss - self._fast)
        self._slow += (1 - math.exp(-packets / _SLOW_PACKETS)) * (loss - self._slow)
        self._note_spread(loss, packets)
        while self._at + 1 < len(self._steps) and self.loss >= self._steps[self._at + 1].loss:
            self._at += 1
        while self._at and self.loss < _DOWN * self._steps[self._at].loss:
            self._at -= 1

    def _note_spread(self, loss: float, packets: int) -> None:
        self._stretch_packets += packets
        self._stretch_lost += loss * packets
        if self._stretch_packets < _STRETCH:
            return
        self._stretches += 1
        count = self._stretch_packets
        weight = 1 / min(self._stretches, _STRETCHES)
        self._share += weight * (self._stretch_lost / count - self._share)
        share = self._share
        self._spread += weight * ((self._stretch_lost - count * share) ** 2 - self._spread)
        self._usual += weight * (count * share * (1 - share) - self._usual)
        limit = _CALM if self._is_bursty else BURSTY
        self._is_bursty = self._stretches >= _SETTLED and self.burst >= limit
        self._stretch_packets = self._stretch_lost = 0.0
