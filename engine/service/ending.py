"""The way out: asked for by a signal or a request, hurried by a second signal."""

import asyncio
from collections.abc import Callable
from typing import final

from auralink.engine.service.lifecycle import Lifecycle


@final
class Ending:
    """
    Attributes:
        asked: the engine shall end: nothing new, and what goes on has until the deadline.
        forced: at once.
    """

    def __init__(self, lifecycle: Lifecycle) -> None:
        self.asked = asyncio.Event()
        self.forced = asyncio.Event()
        self._lifecycle = lifecycle
        self._listeners: list[Callable[[], None]] = []

    def on_ask(self, listener: Callable[[], None]) -> None:
        """`listener` is called once, at once: to say "not ready" to whoever probes."""
        self._listeners.append(listener)

    def ask(self) -> None:
        """Readiness is gone when this returns.  Once more changes nothing."""
        if self.asked.is_set():
            return
        self._lifecycle.drain()
        for listener in self._listeners:
            listener()
        self.asked.set()

    def signal(self) -> None:
        """Ask; the second time, force."""
        if self.asked.is_set():
            self.forced.set()
        self.ask()
