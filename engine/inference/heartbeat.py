"""Is a process still alive?  It counts up; whoever does not see the count move waits, then acts.

Pure: times are arguments, seconds of a clock that does not go back.
"""

from typing import Final, final

BEAT_S: Final = 0.05  # how often a worker counts
SILENCE_S: Final = 0.8  # 16 beats missed: stopped, or held by native code that lets nobody in


@final
class Heartbeat:
    """
    Args:
        silence_s: without a beat for so long a process is taken for dead.
        glance_s: longest time between two looks that still says something.  When the observer
            itself was away for longer (a suspended machine), the process gets its time again.
    """

    def __init__(self, now: float, *, silence_s: float = SILENCE_S, glance_s: float = 0.3) -> None:
        self._silence_s = silence_s
        self._glance_s = glance_s
        self._count: int | None = None
        self._moved_at = now
        self._looked_at = now

    def is_alive(self, count: int, now: float) -> bool:
        """Note what the count is now."""
        away = now - self._looked_at > self._glance_s
        self._looked_at = now
        if count != self._count or away:
            self._count, self._moved_at = count, now
        return now - self._moved_at < self._silence_s
