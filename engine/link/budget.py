"""How much the sender may send: the receiver's estimate, losses, and what the user allows.  Pure.

The loss part follows draft-ietf-rmcat-gcc-02, section 6: below 2 % a little more, above 10 % less
in proportion, in between as before.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, final

_CALM: Final = 0.02
_HEAVY: Final = 0.10
_GROW: Final = 1.05  # a report, and not more often than `_GROW_EVERY_US`
_GROW_EVERY_US: Final = 500_000
_SHRINK_EVERY_US: Final = 500_000
# What packets cost beside their payload: data-track header, SCTP chunk and header, DTLS, UDP, IP.
OVERHEAD_BYTES: Final = 12 + 16 + 12 + 37 + 8 + 20
_SILENT_US: Final = 2_000_000  # without news for so long, be careful
_SILENT_SHRINK: Final = 0.7


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """What one video stream gets.

    Attributes:
        weight: relative to the other streams.
        most_bps: it has no use for more.
    """

    weight: float = 1.0
    most_bps: int = 20_000_000


@final
class Budget:
    """
    Args:
        most_bps: what the user allows the whole link to carry.
        least_bps: less is of no use; the ladder of fallbacks is for that.
    """

    def __init__(self, *, most_bps: int, start_bps: int, least_bps: int = 20_000) -> None:
        self._most_bps = most_bps
        self._least_bps = least_bps
        self._loss_bps = float(most_bps)
        self._delay_bps = float(min(start_bps, most_bps))
        self._grown_us = self._shrunk_us = self._heard_us = 0

    @property
    def total_bps(self) -> int:
        rate = min(self._loss_bps, self._delay_bps, self._most_bps)
        return round(max(rate, self._least_bps))

    def hear(self, now_us: int, *, estimate_bps: float, loss: float) -> None:
        """Enter the receiver's estimate and the share of packets lost since it spoke last."""
        self._heard_us = now_us
        self._delay_bps = min(max(estimate_bps, self._least_bps), self._most_bps)
        if loss > _HEAVY:
            if now_us - self._shrunk_us >= _SHRINK_EVERY_US:
                self._shrunk_us = now_us
                self._loss_bps = max(self.total_bps * (1 - 0.5 * loss), self._least_bps)
        elif loss < _CALM and now_us - self._grown_us >= _GROW_EVERY_US:
            self._grown_us = now_us
            self._loss_bps = min(self._loss_bps * _GROW, self._most_bps)

    def tick(self, now_us: int) -> None:
        """Time passed; a receiver that is not heard from may get nothing."""
        if self._heard_us and now_us - self._heard_us > _SILENT_US:
            self._heard_us = now_us
            self._delay_bps = max(self._delay_bps * _SILENT_SHRINK, self._least_bps)


def allot(total_bps: int, audio_bps: int, shares: Mapping[int, Share]) -> dict[int, int]:
    """Bits for each video stream: audio is served first, the rest by weight, no stream over its
    own limit, and what one leaves the others get.
    """
    left = max(0.0, float(total_bps - audio_bps))
    open_streams = dict(shares)
    given: dict[int, int] = {}
    while open_streams:
        weights = sum(share.weight for share in open_streams.values())
        full = [
            stream
            for stream, share in open_streams.items()
            if left * share.weight / weights >= share.most_bps
        ]
        if not full:
            for stream, share in open_streams.items():
                given[stream] = round(left * share.weight / weights)
            break
        for stream in full:
            most = open_streams.pop(stream).most_bps
            given[stream] = most
            left -= most
    return given
