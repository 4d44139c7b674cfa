"""uvicorn, with our connections, on a socket that is bound before anything else is opened."""

import asyncio
import contextlib
import socket
import ssl
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from functools import partial
from typing import Any, Final, final

import uvicorn
from starlette.types import ASGIApp

from auralink.engine.service.errors import StartError
from auralink.engine.service.http.protocol import Connections, factory
from auralink.engine.service.settings.tree import Http

_BACKLOG: Final = 256
_LAST_ANSWERS_S: Final = 2  # for requests in progress when everything else has ended
_GOODBYE_S: Final = 1.0  # for a client to answer that TLS ends


def bind(host: str, port: int) -> socket.socket:
    """
    Raises:
        StartError: the port is taken, or the address is not this machine's.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        bound = socket.create_server((host, port), family=family, backlog=_BACKLOG)
    except OSError as error:
        refused = StartError(f"HTTP cannot listen on {host}:{port}: {error.strerror}")
        refused.add_note("another process may have the port: set HTTP_PORT")
        raise refused from None
    bound.setblocking(False)
    return bound


def _tls(context: ssl.SSLContext, http: Http) -> dict[str, Any]:
    """How connections begin and end: a handshake has as long as a request."""
    return {
        "ssl": context,
        "ssl_handshake_timeout": http.receive_s,
        "ssl_shutdown_timeout": _GOODBYE_S,
    }


@final
class _Server(uvicorn.Server):
    """Signals are the service's business."""

    def __init__(self, config: uvicorn.Config, tls: dict[str, Any]) -> None:
        super().__init__(config)
        self.listening = asyncio.Event()
        self._tls = tls

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """As uvicorn's, where TLS has a minute for its start and half of one for its end."""
        loop = asyncio.get_running_loop()
        protocol: Any = self.config.http_protocol_class
        make = partial(
            protocol,
            config=self.config,
            server_state=self.server_state,
            app_state=self.lifespan.state,
        )
        self.servers = [
            await loop.create_server(make, sock=bound, backlog=_BACKLOG, **self._tls)
            for bound in sockets or ()
        ]
        self.started = True
        self.listening.set()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


@final
class HttpServer:
    """
    Args:
        bound: from `bind`.
        tls: None: plain.
    """

    def __init__(
        self, app: ASGIApp, bound: socket.socket, http: Http, tls: ssl.SSLContext | None = None
    ) -> None:
        self.connections = Connections(most=http.connections, receive_s=http.receive_s)
        config = uvicorn.Config(
            app,
            http="h11",
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            timeout_keep_alive=max(1, round(http.idle_s)),
            timeout_graceful_shutdown=_LAST_ANSWERS_S,
            h11_max_incomplete_event_size=http.header_bytes,
        )
        config.load()
        config.http_protocol_class = factory(self.connections)
        self._server = _Server(config, {} if tls is None else _tls(tls, http))
        self._bound = bound

    @property
    def port(self) -> int:
        port: int = self._bound.getsockname()[1]
        return port

    @asynccontextmanager
    async def serving(self) -> AsyncIterator["HttpServer"]:
        """Answer until the block ends; then let answers in progress leave."""
        serving = asyncio.create_task(self._server.serve([self._bound]), name="http")
        try:
            await self._server.listening.wait()
            yield self
        finally:
            self._server.should_exit = True
            await asyncio.shield(serving)

    def force(self) -> None:
        """Wait for nobody."""
        self._server.force_exit = self._server.should_exit = True
