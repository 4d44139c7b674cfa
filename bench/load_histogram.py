"""Latencies by the hundred thousand in memory that does not grow."""

from typing import Final, final

import numpy as np

_BIN_MS: Final = 0.05
_BINS: Final = 8_000  # up to 400 ms; what is longer counts as that


@final
class Histogram:
    """Counts of milliseconds in bins of a twentieth."""

    def __init__(self) -> None:
        self._counts = [0] * _BINS  # of a list: an array takes four times as long to count in

    @property
    def count(self) -> int:
        return sum(self._counts)

    def enter(self, value_ms: float) -> None:
        self._counts[min(max(int(value_ms / _BIN_MS), 0), _BINS - 1)] += 1

    def quantile(self, share: float) -> float:
        """Upper edge of the bin that holds it, milliseconds; 0 if nothing was entered."""
        total = self.count
        if total == 0:
            return 0.0
        index = int(np.searchsorted(np.cumsum(self._counts), share * total))
        return (min(index, _BINS - 1) + 1) * _BIN_MS
