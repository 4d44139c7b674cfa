"""How much the sender may send, by the receiver's estimate, losses and the user's limit.  Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, final

from auralink.engine.link.loss_limit import LossLimit

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
        self._loss = LossLimit(most_bps=most_bps, least_bps=least_bps)
        self._delay_bps = float(min(start_bps, most_bps))
        self._heard_us = 0

    @property
    def total_bps(self) -> int:
        rate = min(self._loss.rate_bps, self._delay_bps, self._most_bps)
        return round(max(rate, self._least_bps))

    def hear(self, now_us: int, *, estimate_bps: float, loss: float) -> None:
        """Enter the receiver's estimate and the share of packets lost since it spoke last."""
        self._heard_us = now_us
        self._delay_bps = min(max(estimate_bps, self._least_bps), self._most_bps)
        self._loss.hear(now_us, loss, self.total_bps)

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
