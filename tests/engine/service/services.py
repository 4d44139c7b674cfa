"""A whole service on a free port of this machine, with relays that only pretend to be in rooms."""

import asyncio
import itertools
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp

from auralink.engine.relay.job import RelaySettings
from auralink.engine.service.auth.principal import Principal, Role
from auralink.engine.service.auth.tokens import sign
from auralink.engine.service.compose import Works, compose
from auralink.engine.service.context import Clocks, Context, LoadedModel
from auralink.engine.service.http.problems import MEDIA_TYPE
from auralink.engine.service.lifecycle import State
from auralink.engine.service.serving import Told, serve
from auralink.engine.service.settings.load import Sources, load
from auralink.engine.service.settings.reload import LiveSettings
from auralink.engine.telemetry.metrics import Page
from auralink.models.errors import ModelError

SECRET = "canary-secret-of-the-tokens-0123456789"
LIVEKIT_SECRET = "canary-secret-of-livekit-0123456789"
API = "/api/v1/aic"


class PretendedRelay:
    """In its room at once, until it is told to leave."""

    def __init__(self, settings: RelaySettings, told: Callable[[str], None]) -> None:
        self.settings = settings
        self.keys: list[str | None] = []
        self.rungs: list[str | None] = []
        self.connected = False
        self._told = told
        self._left = asyncio.Event()

    async def run(self) -> None:
        self.connected = True
        self._told("joined")
        await self._left.wait()

    def leave(self) -> None:
        self._left.set()

    def want_key(self, track: str | None = None) -> int:
        self.keys.append(track)
        return 1

    def force_rung(self, name: str | None, track: str | None = None) -> int:
        self.rungs.append(name)
        return 1

    def status(self) -> dict[str, Any]:
        identity = f"{self.settings.name}-up"
        return {"rooms": [{"identity": identity, "connected": self.connected}]}


class OneModel:
    """Has versions 1 and 2 of one network; 3 is broken."""

    def __init__(self) -> None:
        self.now = LoadedModel(name="restore-s", version="1", precision="int8", generation=1)

    def loaded(self) -> list[LoadedModel]:
        return [self.now]

    async def swap(self, name: str, version: str, precision: Any) -> LoadedModel:
        if (name, version) not in {("restore-s", "1"), ("restore-s", "2")}:
            raise ModelError(f"{name} {version}: its golden vectors do not come out")
        self.now = LoadedModel(
            name=name, version=version, precision=precision, generation=self.now.generation + 1
        )
        return self.now


class CountedRequests:
    def __init__(self) -> None:
        self.seen: list[tuple[str, str, int]] = []

    def request(self, *, method: str, route: str, status: int, seconds: float) -> None:
        self.seen.append((method, route, status))

    def page(self) -> Page:
        body = "".join(f"{method} {route} {status}\n" for method, route, status in self.seen)
        return Page(body=body.encode(), content_type="text/plain; version=0.0.4; charset=utf-8")


@dataclass
class Service:
    context: Context
    port: int
    client: aiohttp.ClientSession
    relays: list[PretendedRelay]
    telemetry: CountedRequests
    running: "asyncio.Task[int]"

    async def forget(self) -> None:
        """End all jobs, and what was noted of requests."""
        board = self.context.jobs.get()
        for job in board.here.list():
            await board.stop(job.id, "the next test begins")
            await board.here.wait(job.id)
        self.relays.clear()
        self.telemetry.seen.clear()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def ask(self, method: str, path: str, *, token: str | None = "", **more: Any) -> "Answer":
        """
        Args:
            token: "": an administrator's; None: none.
        """
        headers = dict(more.pop("headers", {}))
        if token is not None:
            headers["Authorization"] = f"Bearer {token or token_of(role=Role.ADMIN)}"
        async with self.client.request(
            method, self.url + path, headers=headers, **more
        ) as response:
            text = await response.text()
            return Answer(response.status, text, response)


@dataclass
class Answer:
    status: int
    text: str
    response: aiohttp.ClientResponse

    @property
    def json(self) -> Any:
        import json

        return json.loads(self.text)

    @property
    def problem(self) -> Any:
        """The body, which must be a problem."""
        assert self.response.content_type == MEDIA_TYPE, self.text
        found = self.json
        assert found["status"] == self.status
        assert found["request_id"] == self.response.headers["X-Request-ID"]
        assert found["hint"]
        return found


def token_of(
    subject: str = "ann", tenant: str = "blue", role: Role = Role.OPERATOR, **more: Any
) -> str:
    return sign(
        Principal(subject=subject, tenant=tenant, role=role),
        kid="main",
        algorithm="HS256",
        material=SECRET.encode(),
        issuer="auralink",
        audience="auralink-aic",
        now=time.time(),
        lifetime_s=600,
    )


@dataclass
class Wanted:
    """What is other than usual about a service."""

    settings: dict[str, str] = field(default_factory=dict)
    works: dict[str, Any] = field(default_factory=dict)
    file: Path | None = None
    wait: bool = True


@asynccontextmanager
async def service_in(folder: Path, wanted: Wanted | None = None) -> AsyncIterator[Service]:
    asked = wanted or Wanted()
    environment = {
        "AURALINK_AUTH__SECRET": SECRET,
        "AURALINK_HTTP__PORT": "0",
        "AURALINK_LIMITS__REQUESTS_PER_MINUTE": "100000",
        "AURALINK_LIMITS__ATTEMPTS_PER_MINUTE": "10000",
        "AURALINK_ENGINE__DRAIN_S": "0",
        "DATABASE_URL": f"sqlite:///{folder / 'records.db'}",
        "LIVEKIT_URL": "ws://127.0.0.1:7880",
        "LIVEKIT_API_KEY": "key",
        "LIVEKIT_API_SECRET": LIVEKIT_SECRET,
    } | asked.settings
    sources = Sources(
        flags={}, environment={k: v for k, v in environment.items() if v}, file=asked.file
    )
    live = LiveSettings(load(sources), sources)
    relays: list[PretendedRelay] = []
    telemetry, models = CountedRequests(), OneModel()
    numbers = itertools.count(1)

    def open_relay(settings: RelaySettings, told: Callable[[str], None]) -> PretendedRelay:
        relays.append(PretendedRelay(settings, told))
        return relays[-1]

    works: dict[str, Any] = {
        "open_relay": open_relay,
        "telemetry": lambda: as_context(telemetry),
        "models": lambda: as_context(models),
        "new_id": lambda: f"job-{next(numbers)}",
    }
    context = compose(
        live,
        Works(**(works | asked.works)),
        clocks=Clocks(wall=time.time, monotonic=time.monotonic),
        version="1.2.3",
        engine_id="engine-1",
    )
    listening: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    ready = asyncio.Event()
    running = asyncio.create_task(
        serve(context, Told(listening=listening.set_result, ready=ready.set))
    )
    async with AsyncExitStack() as stack:
        stack.push_async_callback(_end, context, running)
        await first_of(listening, running)
        if asked.wait:
            await first_of(asyncio.create_task(ready.wait()), running)
        client = await stack.enter_async_context(aiohttp.ClientSession())
        yield Service(context, listening.result(), client, relays, telemetry, running)


@asynccontextmanager
async def as_context(value: Any) -> AsyncIterator[Any]:
    yield value


async def first_of(wanted: "asyncio.Future[Any]", running: "asyncio.Task[int]") -> None:
    """Wait for something; raise if the service ended first."""
    await asyncio.wait([wanted, running], return_when=asyncio.FIRST_COMPLETED)
    if not wanted.done():
        wanted.cancel()
        await running


async def _end(context: Context, running: "asyncio.Task[int]") -> None:
    context.ending.ask()
    await asyncio.gather(running, return_exceptions=True)
    assert context.lifecycle.state in (State.STOPPED, State.NEW)


async def until(holds: Callable[[], bool]) -> None:
    """Let the loop turn until something holds; the test's own time limit ends it else."""
    while not holds():  # noqa: ASYNC110  # what is waited for has no event of its own
        await asyncio.sleep(0.001)
