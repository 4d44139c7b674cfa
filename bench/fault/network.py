"""A bad network in front of a good server: an asyncio proxy for TCP."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import final


@final
class Proxy:
    """Passes bytes on; what comes back from the server can be delayed, held back or cut off."""

    def __init__(self, port: int) -> None:
        self._target = port
        self._flowing = asyncio.Event()
        self._flowing.set()
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._writers: set[asyncio.StreamWriter] = set()
        self.port = 0
        self.delay_s: Callable[[], float] = lambda: 0.0  # of each reply
        self.cut_after: int | None = None  # bytes of replies, all connections together
        self.replied = 0
        self.opened = 0

    async def listen(self) -> None:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def go_away(self) -> None:
        """Refuse connections and cut those that there are."""
        server, self._server = self._server, None
        if server is not None:
            server.close()
        for writer in self._writers:
            writer.transport.abort()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def hold(self) -> None:
        """As a server that is frozen: connections stay, nothing comes."""
        self._flowing.clear()

    def release(self) -> None:
        self._flowing.set()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.opened += 1
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self._writers.add(writer)
        try:
            far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self._target)
            self._writers.add(far_writer)
            try:
                async with asyncio.TaskGroup() as both:
                    both.create_task(self._pass(reader, far_writer, reply=False))
                    both.create_task(self._pass(far_reader, writer, reply=True))
            finally:
                self._writers.discard(far_writer)
                far_writer.transport.abort()
        except (OSError, asyncio.CancelledError, ExceptionGroup):
            pass
        finally:
            self._tasks.discard(task)
            self._writers.discard(writer)
            writer.transport.abort()

    async def _pass(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, reply: bool
    ) -> None:
        while data := await reader.read(65_536):
            await self._flowing.wait()
            if reply:
                delay_s = self.delay_s()
                if delay_s:
                    await asyncio.sleep(delay_s)
                if self.cut_after is not None and self.replied + len(data) > self.cut_after:
                    writer.write(data[: max(0, self.cut_after - self.replied)])
                    with contextlib.suppress(OSError):
                        await writer.drain()
                    self.cut_after = None
                    raise ConnectionResetError
                self.replied += len(data)
            writer.write(data)
            await writer.drain()
        raise ConnectionResetError


@asynccontextmanager
async def proxied(port: int) -> AsyncIterator[Proxy]:
    proxy = Proxy(port)
    await proxy.listen()
    try:
        yield proxy
    finally:
        proxy.release()
        await proxy.go_away()
