"""How long to wait before starting again what has just died.

The first deaths cost nothing: a crash should be a hiccup.  Who keeps dying waits twice as long each
time, so that a crash loop costs the machine little.  Pure: times are arguments, in seconds.
"""

from typing import Final, final

FREE: Final = 2  # deaths in a row that are followed by a start at once
FIRST_S: Final = 0.1
MOST_S: Final = 5.0
CALM_S: Final = 10.0  # who lived so long has recovered


@final
class Backoff:
    def __init__(self, *, first_s: float = FIRST_S, most_s: float = MOST_S) -> None:
        self._first_s = first_s
        self._most_s = most_s
        self._deaths = 0
        self._died_at = float("-inf")

    def died(self, now: float) -> None:
        if now - self._died_at >= CALM_S + self._delay_s():
            self._deaths = 0
        self._deaths += 1
        self._died_at = now

    def wait_s(self, now: float) -> float:
        """Time until the next start; 0 if it may be now."""
        return max(0.0, self._died_at + self._delay_s() - now)

    def _delay_s(self) -> float:
        over = self._deaths - FREE
        return 0.0 if over <= 0 else min(self._first_s * 2.0 ** (over - 1), self._most_s)
