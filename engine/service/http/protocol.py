"""HTTP/1.1 connections with a deadline and a place in a queue.

uvicorn waits for ever for a request that trickles in.  Here a request must have arrived whole, head
and body, ``receive_s`` after its first byte (after the connection was made, for the first one), or
the connection is closed with 408.  And when there are more connections than may be, the one that
has waited longest without a whole request makes room: so probes are answered under a flood, which a
refusal of new connections would not do.
"""

import asyncio
import sys
from collections import OrderedDict
from functools import partial
from typing import Any, Final, final

import h11
from uvicorn.config import Config
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.server import ServerState

_WAITS: Final = frozenset({h11.IDLE, h11.SEND_BODY})
_TEXT: Final = {
    400: "malformed request",
    408: "the request did not arrive in time",
    431: "the request's head is too large",
}


@final
class Connections:
    """Those that wait for a request to be whole, the longest first.

    Args:
        most: connections in all.
    """

    def __init__(self, *, most: int, receive_s: float) -> None:
        self.most = most
        self.receive_s = receive_s
        self.evicted = 0
        self.timed_out = 0
        self._waiting: OrderedDict[GuardedProtocol, None] = OrderedDict()

    def waits(self, one: "GuardedProtocol") -> None:
        self._waiting.setdefault(one)

    def busy(self, one: "GuardedProtocol") -> None:
        self._waiting.pop(one, None)

    def admit(self, connected: int) -> None:
        """Make room for one more."""
        if connected > self.most and self._waiting:
            oldest, _ = self._waiting.popitem(last=False)
            self.evicted += 1
            oldest.hang_up()


@final
class GuardedProtocol(H11Protocol):
    """See the module.  uvicorn makes one per connection."""

    def __init__(
        self,
        connections: Connections,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self._all = connections
        self._deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._all.waits(self)
        self._arm()
        self._all.admit(len(self.connections))

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self.transport.is_closing():
            return
        if self.conn.their_state in _WAITS:
            self._all.waits(self)
            self._arm()
        else:
            self._disarm()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        # What was pipelined behind is being answered already, or is part of a request.
        if self.conn.their_state is h11.IDLE and not self.transport.is_closing():
            self._all.waits(self)
            if self.conn.trailing_data[0]:
                self._arm()

    def connection_lost(self, exc: Exception | None) -> None:
        self._disarm()
        super().connection_lost(exc)

    def send_400_response(self, msg: str) -> None:
        """uvicorn calls this while it handles h11's error, which knows the status better."""
        error = sys.exc_info()[1]
        self._refuse(getattr(error, "error_status_hint", 400))

    def hang_up(self) -> None:
        """Without a word: whoever it was did not ask for anything yet."""
        self._disarm()
        self.transport.abort()

    def _arm(self) -> None:
        if self._deadline is None:
            self._deadline = self.loop.call_later(self._all.receive_s, self._late)

    def _disarm(self) -> None:
        self._all.busy(self)
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _late(self) -> None:
        self._deadline = None
        self._all.timed_out += 1
        cycle = self.cycle  # the last request's, until the head of this one is whole
        answering = cycle is not None and cycle.response_started and not cycle.response_complete
        if not answering and not self.transport.is_closing():
            self._refuse(408)
        self.hang_up_soon()

    def hang_up_soon(self) -> None:
        """After what is written has left, but not later than a moment."""
        self._all.busy(self)
        self.transport.close()
        self.loop.call_later(1.0, self.transport.abort)

    def _refuse(self, status: int) -> None:
        """A last answer, past h11: its state is an error already."""
        words = _TEXT.get(status, _TEXT[400]).encode()
        phrase = {408: b"Request Timeout", 431: b"Request Header Fields Too Large"}
        self.transport.write(
            b"HTTP/1.1 %d %s\r\ncontent-type: text/plain; charset=utf-8\r\n"
            b"content-length: %d\r\nconnection: close\r\n\r\n%s"
            % (status, phrase.get(status, b"Bad Request"), len(words), words)
        )
        self.transport.close()


def factory(connections: Connections) -> Any:
    """For `uvicorn.Config.http_protocol_class`."""
    return partial(GuardedProtocol, connections)
