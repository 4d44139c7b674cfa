"""Bots: a room transport, and what the bot does there, as one thing that runs and ends."""

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any, TypeAlias, final

from auralink.engine.room.errors import RoomError
from auralink.engine.room.roster import Change
from auralink.engine.room.transport import RoomListener, RoomTransport


@dataclass(frozen=True, slots=True, kw_only=True)
class Duty:
    """What somebody wants to hear of a room."""

    changed: Callable[[Change], None] = lambda change: None
    control: Callable[[str, str, bytes], None] = lambda identity, topic, payload: None


OpenRoom: TypeAlias = Callable[[RoomListener], RoomTransport]


@dataclass(slots=True)
class RoomState:
    """What a room told last, for people and health checks."""

    joins: int = 0
    losses: int = 0
    connected: bool = False
    last_loss: str = ""
    error: RoomError | None = None


@final
class Bot:
    """A participant whose duties hear of everything in the order in which they were added.

    Args:
        open_room: makes the transport, given who listens.
    """

    def __init__(
        self, open_room: OpenRoom, *, told: Callable[[str], None] = lambda text: None
    ) -> None:
        self.state = RoomState()
        self._told = told
        self._duties: list[Duty] = []
        self.room = open_room(self)

    def add(self, duty: Duty) -> None:
        self._duties.append(duty)

    # -- RoomListener ----------------------------------------------------------------------------

    def joined(self) -> None:
        self.state.joins += 1
        self.state.connected = True
        self._told(f"joined as {self.room.identity}")

    def lost(self, why: str) -> None:
        self.state.losses += 1
        self.state.connected = False
        self.state.last_loss = why
        self._told(f"lost the room: {why}")

    def ended(self, error: RoomError | None) -> None:
        self.state.connected = False
        self.state.error = error

    def changed(self, change: Change) -> None:
        for duty in self._duties:
            duty.changed(change)

    def control(self, identity: str, topic: str, payload: bytes) -> None:
        for duty in self._duties:
            duty.control(identity, topic, payload)


@dataclass(slots=True)
class Crew:
    """Bots and the work that goes on while they are in their rooms."""

    bots: list[Bot]
    work: list[Callable[[], Coroutine[Any, Any, None]]] = field(default_factory=list)

    async def run(self) -> None:
        """Until one bot is told to end; then all leave.

        Raises:
            RoomError: why a bot cannot be in its room any more.
            Exception: a fault of ours ended the work.
        """
        rooms = [asyncio.create_task(bot.room.run()) for bot in self.bots]
        work = [asyncio.create_task(one()) for one in self.work]
        try:
            await asyncio.wait([*rooms, *work], return_when=asyncio.FIRST_COMPLETED)
        except asyncio.CancelledError:
            for room in rooms:
                room.cancel()  # no time for a goodbye
            raise
        finally:
            for task in work:
                task.cancel()
            await asyncio.gather(*work, return_exceptions=True)
            self.leave()
            await asyncio.gather(*rooms, return_exceptions=True)
        for bot in self.bots:
            if bot.state.error is not None:
                raise bot.state.error
        for task in (*rooms, *work):
            if not task.cancelled() and (error := task.exception()) is not None:
                raise error

    def leave(self) -> None:
        for bot in self.bots:
            bot.room.leave()
