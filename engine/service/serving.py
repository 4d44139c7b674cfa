"""Serve until asked to end: listen, start the parts, wait, drain, close.

::

    bind ─► listen ─► start parts ─► wait ──asked──► not ready ─► drain jobs ─► close parts ─► 0
      │                  │                                 └──asked again──► close at once ─► 130
      └── StartError ◄───┘
"""

import asyncio
import contextlib
import logging
import signal
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Final

from auralink.engine.service.context import Context
from auralink.engine.service.errors import ServiceError, StartError
from auralink.engine.service.http.app import create_app
from auralink.engine.service.http.server import HttpServer, bind
from auralink.engine.service.http.tls import server_context

log = logging.getLogger(__name__)

DONE: Final = 0
FORCED: Final = 130
_FORCED_S: Final = 1.5  # for closing, once somebody hurries


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What somebody may want to hear of.

    Attributes:
        listening: the HTTP port is open; nothing behind it is, yet.
        ready: all parts are.
    """

    listening: Callable[[int], None] = lambda port: None
    ready: Callable[[], None] = lambda: None


async def serve(context: Context, told: Told | None = None) -> int:
    """
    Returns:
        The exit code: 0, or 130 if it was hurried.

    Raises:
        ConfigError: TLS files cannot be used.
        StartError: a port is taken, or a part that is required could not be opened.
    """
    hears = told or Told()
    http = context.settings.now.http
    files = http.files()
    tls = server_context(files) if files is not None else None
    bound = bind(http.host, http.port)
    server = HttpServer(create_app(context), bound, http, tls)
    async with AsyncExitStack() as stack:
        stack.callback(bound.close)
        stack.enter_context(_signals(context))
        await stack.enter_async_context(context.heartbeat.beating())
        await stack.enter_async_context(server.serving())
        hears.listening(server.port)
        try:
            return await _until_the_end(context, hears, server)
        finally:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_FORCED_S if context.ending.forced.is_set() else None):
                    await context.lifecycle.stop()


async def _until_the_end(context: Context, hears: Told, server: HttpServer) -> int:
    if not await _start(context):
        return DONE
    hears.ready()
    await context.ending.asked.wait()
    log.info("draining")
    async with _hurried(context, server) as hurry:
        await context.jobs.get().drain(context.settings.now.engine.drain_s, hurry)
    return FORCED if context.ending.forced.is_set() else DONE


async def _start(context: Context) -> bool:
    """Whether it started; False: it was asked to end before that."""
    starting = asyncio.create_task(context.lifecycle.start())
    asked = asyncio.create_task(context.ending.asked.wait())
    await asyncio.wait([starting, asked], return_when=asyncio.FIRST_COMPLETED)
    asked.cancel()
    if not starting.done():
        await context.lifecycle.stop()
    try:
        await starting
    except StartError:
        raise
    except ServiceError:
        return False
    return True


@asynccontextmanager
async def _hurried(context: Context, server: HttpServer) -> AsyncIterator[asyncio.Event]:
    """An event that is set when somebody asks again; what then goes on is cancelled soon."""
    draining = asyncio.current_task()
    assert draining is not None

    async def watch() -> None:
        await context.ending.forced.wait()
        server.force()
        await asyncio.sleep(_FORCED_S)
        draining.cancel()

    watching = asyncio.create_task(watch())
    try:
        yield context.ending.forced
    except asyncio.CancelledError:
        if not context.ending.forced.is_set():
            raise
        draining.uncancel()
    finally:
        watching.cancel()


@contextlib.contextmanager
def _signals(context: Context) -> Iterator[None]:
    loop = asyncio.get_running_loop()
    handlers = {
        signal.SIGTERM: context.ending.signal,
        signal.SIGINT: context.ending.signal,
        signal.SIGHUP: lambda: _reload(context),
    }
    installed = []
    for number, handler in handlers.items():
        # Not in a thread that is not the main one, and not on Windows.
        with contextlib.suppress(NotImplementedError, RuntimeError, ValueError):
            loop.add_signal_handler(number, handler)
            installed.append(number)
    try:
        yield
    finally:
        for number in installed:
            loop.remove_signal_handler(number)


def _reload(context: Context) -> None:
    change = context.settings.reload()
    if change.error:
        log.error("settings stay as they were: %s", change.error)
    else:
        log.info(
            "settings read again: changed %s; after a restart: %s",
            ", ".join(change.changed) or "nothing",
            ", ".join(change.waiting) or "nothing",
        )
