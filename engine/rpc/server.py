"""The gRPC server: one object that is started and stopped, in the process of everything else.

::

    start():  checks, credentials, port  ──►  health SERVING
    drain():  health NOT_SERVING, no new streams
    stop():   drain, calls in progress get `drain_s`, then encoders are closed
"""

import asyncio
import contextlib
import ipaddress
import logging
from typing import Any, Final, final

from google.protobuf.internal import api_implementation
from grpc import aio
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_health.v1.health import aio as health
from grpc_reflection.v1alpha import reflection

from auralink.engine.rpc.access import HEALTH, SERVICE, Gate
from auralink.engine.rpc.methods import handlers
from auralink.engine.rpc.parts import Parts
from auralink.engine.rpc.service import CompressionService
from auralink.engine.rpc.settings import RpcSettings
from auralink.engine.rpc.streams import Streams
from auralink.engine.rpc.tls import server_credentials
from auralink.engine.service.errors import ConfigError, StartError
from auralink.engine.tasks import spawn

log = logging.getLogger(__name__)

_SWEEP_S: Final = 1.0
# Pings: a client may send one in ten seconds.  Two more often, and it is told ENHANCE_YOUR_CALM.
_PING_MS: Final = 10_000
_PING_STRIKES: Final = 2
_KEEPALIVE_MS: Final = 30_000
_METADATA_BYTES: Final = 16 << 10
_STREAMS_PER_CONNECTION: Final = 100


def options(settings: RpcSettings) -> list[tuple[str, Any]]:
    """gRPC core's arguments, https://grpc.github.io/grpc/core/group__grpc__arg__keys.html"""
    return [
        ("grpc.max_receive_message_length", settings.max_message_bytes),
        ("grpc.max_send_message_length", settings.max_message_bytes),
        ("grpc.max_concurrent_streams", _STREAMS_PER_CONNECTION),
        ("grpc.max_metadata_size", _METADATA_BYTES // 2),  # soft: refused at random above it
        ("grpc.absolute_max_metadata_size", _METADATA_BYTES),
        ("grpc.keepalive_time_ms", _KEEPALIVE_MS),
        ("grpc.keepalive_timeout_ms", _PING_MS),
        ("grpc.http2.min_ping_interval_without_data_ms", _PING_MS),
        ("grpc.http2.min_recv_ping_interval_without_data_ms", _PING_MS),
        ("grpc.http2.max_ping_strikes", _PING_STRIKES),
        ("grpc.so_reuseport", 0),  # a port in use is an error, never half of the calls
    ]


def check_exposure(settings: RpcSettings, *, authenticated: bool) -> None:
    """
    Raises:
        ConfigError: production, and open to others than this machine.
    """
    if settings.tls is None and not is_loopback(settings.host):
        if settings.production:
            error = ConfigError("grpc.host: outside loopback without TLS, in production")
            error.add_note("name a certificate and its key, or listen on 127.0.0.1")
            raise error
        log.warning("gRPC is open to the network without TLS")
    if settings.production and not authenticated:
        error = ConfigError("grpc: no authentication is set up, in production")
        error.add_note("name the keys that tokens are signed with")
        raise error


def is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


@final
class GrpcServer:
    def __init__(self, parts: Parts, settings: RpcSettings, *, version: str) -> None:
        self._settings = settings
        self._parts = parts
        self._streams = Streams(parts, settings)
        self._service = CompressionService(parts, settings, self._streams, version)
        self._health = health.HealthServicer()
        self._server: aio.Server | None = None
        self._sweeper: asyncio.Task[None] | None = None
        self._port = 0

    @property
    def port(self) -> int:
        """What it listens on; 0 before `start`."""
        return self._port

    @property
    def streams(self) -> Streams:
        return self._streams

    async def start(self) -> None:
        """Listen.

        Raises:
            ConfigError: settings that would be unsafe, or TLS files that cannot be used.
            StartError: the port is taken, or is not ours to take.
        """
        if self._server is not None:
            raise StartError("the gRPC server was started before")
        if api_implementation.Type() != "upb":
            raise StartError("protobuf runs without its C core, which bounds nesting: reinstall it")
        check_exposure(self._settings, authenticated=self._parts.door is not None)
        server = self._build()
        self._port = self._bind(server)
        await server.start()
        self._server = server
        for name in ("", SERVICE):
            await self._health.set(name, health_pb2.HealthCheckResponse.SERVING)
        self._sweeper = spawn(self._sweep(), "rpc-sweeper", lambda error: None)
        tls = "plain" if self._settings.tls is None else "TLS"
        log.info("gRPC on %s:%d, %s", self._settings.host, self._port, tls)

    async def drain(self) -> None:
        """Say that this server is about to stop, and open no more streams.  Calls go on."""
        self._service.serving = False
        self._streams.drain()
        await self._health.enter_graceful_shutdown()

    async def stop(self, drain_s: float | None = None) -> None:
        """Safe to call twice, and before `start`.

        Args:
            drain_s: for calls in progress; None: as the settings say.
        """
        server, self._server = self._server, None
        if server is None:
            return
        await self.drain()
        if self._sweeper is not None:
            self._sweeper.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._sweeper
        await server.stop(self._settings.drain_s if drain_s is None else drain_s)
        await self._streams.close_all()
        await self._service.close()

    def _build(self) -> aio.Server:
        observer = self._parts.observer
        server = aio.server(
            interceptors=(Gate(self._parts.door, observer.call_ended),),
            options=options(self._settings),
            maximum_concurrent_rpcs=self._settings.max_calls,
        )
        made = handlers(self._service.methods(), observer.call_ended, self._parts.tracer)
        server.add_generic_rpc_handlers((made,))
        health_pb2_grpc.add_HealthServicer_to_server(self._health, server)
        if self._settings.reflection:
            names = (SERVICE, HEALTH, reflection.SERVICE_NAME)
            reflection.enable_server_reflection(names, server)
        return server

    def _bind(self, server: aio.Server) -> int:
        host = self._settings.host
        address = f"[{host}]" if ":" in host and not host.startswith("[") else host
        target = f"{address}:{self._settings.port}"
        tls = self._settings.tls
        credentials = None if tls is None else server_credentials(tls)
        try:
            if credentials is None:
                port = server.add_insecure_port(target)
            else:
                port = server.add_secure_port(target, credentials)
        except RuntimeError as refused:
            error = StartError(f"gRPC cannot listen on {target}: {refused}")
            error.add_note("another process may have the port: set GRPC_PORT")
            raise error from refused
        if not port:
            raise StartError(f"gRPC cannot listen on {target}")
        return port

    async def _sweep(self) -> None:
        while True:
            await asyncio.sleep(_SWEEP_S)
            self._streams.sweep()
