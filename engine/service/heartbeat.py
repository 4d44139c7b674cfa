"""Whether the event loop turns: a beat on it, and a thread that looks from outside.

When the loop stands still, the thread writes down where; the loop itself could not.
"""

import asyncio
import logging
import sys
import threading
import traceback
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Final, final

log = logging.getLogger(__name__)

_BEAT_S: Final = 0.25
# A stack is worth a line in the log from here on; a call hears a tenth of that.
_NOTE_S: Final = 1.0


@final
class Heartbeat:
    """
    Args:
        clock: seconds, monotonic.
        lag: told how late each beat came, in seconds.
    """

    def __init__(
        self, clock: Callable[[], float], *, lag: Callable[[float], None] = lambda seconds: None
    ) -> None:
        self._clock = clock
        self._lag = lag
        self._last = clock()
        self._noted = self._last
        self._end = threading.Event()

    @property
    def age_s(self) -> float:
        """Seconds since the last beat."""
        return self._clock() - self._last

    @asynccontextmanager
    async def beating(self) -> AsyncIterator["Heartbeat"]:
        """Beat until the block ends."""
        loop_thread = threading.get_ident()
        watcher = threading.Thread(
            target=self._watch, args=(loop_thread,), name="heartbeat", daemon=True
        )
        self._last = self._clock()
        beat = asyncio.create_task(self._beat(), name="heartbeat")
        watcher.start()
        try:
            yield self
        finally:
            self._end.set()
            beat.cancel()
            await asyncio.to_thread(watcher.join)

    async def _beat(self) -> None:
        while True:
            due = self._clock() + _BEAT_S
            await asyncio.sleep(_BEAT_S)
            self._last = self._clock()
            self._lag(max(0.0, self._last - due))

    def _watch(self, loop_thread: int) -> None:
        while not self._end.wait(_BEAT_S):
            last = self._last
            if self._clock() - last < _NOTE_S + _BEAT_S or last == self._noted:
                continue
            self._noted = last
            frame = sys._current_frames().get(loop_thread)
            stack = "".join(traceback.format_stack(frame)) if frame is not None else "?"
            log.error("the event loop stands still for %.1f s at\n%s", self.age_s, stack)
