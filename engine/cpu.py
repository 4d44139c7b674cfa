"""How busy this machine's processors are."""

from collections.abc import Callable
from typing import Final, NamedTuple, final

import psutil

_EVERY_S: Final = 1.0  # between looks: what happens within is read from the last one
_WEIGHT: Final = 0.4  # of the newest second: a burst of one second neither fills nor empties it


class Times(NamedTuple):
    """Seconds since the machine started, of all processors together."""

    busy: float
    total: float


def machine_times() -> Times:
    """Everything that runs here counts, for it takes the same processors.

    In a container that may use fewer processors than the machine has, the share comes out too low.
    """
    times = psutil.cpu_times()
    idle = times.idle + getattr(times, "iowait", 0.0)
    # Guests are counted in `user` already.
    total = sum(times) - getattr(times, "guest", 0.0) - getattr(times, "guest_nice", 0.0)
    return Times(total - idle, total)


@final
class CpuShare:
    """Call it for the share that is busy, 0..1, over about the last three seconds.

    Args:
        clock: seconds, monotonic.
    """

    def __init__(
        self, clock: Callable[[], float], times: Callable[[], Times] = machine_times
    ) -> None:
        self._clock = clock
        self._times = times
        self._at = clock()
        self._last = times()
        self._share: float | None = None

    def __call__(self) -> float:
        now = self._clock()
        if now - self._at >= _EVERY_S:
            times = self._times()
            passed = times.total - self._last.total
            if passed > 0:
                newest = min(1.0, max(0.0, (times.busy - self._last.busy) / passed))
                before = newest if self._share is None else self._share
                # After a long silence what was before says nothing.
                weight = 1 - (1 - _WEIGHT) ** ((now - self._at) / _EVERY_S)
                self._share = before + weight * (newest - before)
            self._at, self._last = now, times
        return self._share or 0.0
