"""Engines that register with a real server, their relays real or played."""

import asyncio
import contextlib
import itertools
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

from livekit import api
from livekit.protocol import agent

from auralink.engine.agent.plan import Plan
from auralink.engine.agent.session import State
from auralink.engine.agent.worker import Worker
from auralink.engine.relay.access import Access
from auralink.engine.relay.job import RelaySettings
from auralink.engine.relay.jobs import Jobs
from auralink.engine.relay.opening import Clocks, OpenRelay, Told
from auralink.engine.relay.request import RelayRequest

from ..room.people import until
from ..room.server import KEY, SECRET, Server


def access(server: Server, secret: str = SECRET) -> Access:
    return Access(url=server.url, key=KEY, secret=secret)


@dataclass
class Played:
    """A relay that joins no room; enough where the dispatcher is what is tested."""

    settings: RelaySettings
    told: Told
    connected: bool = False
    over: asyncio.Event = field(default_factory=asyncio.Event)

    async def run(self) -> None:
        self.connected = True
        self.told("joined")
        await self.over.wait()

    def leave(self) -> None:
        self.over.set()

    def want_key(self, track: str | None = None) -> int:
        return 0

    def status(self) -> dict[str, Any]:
        return {}


@dataclass
class Node:
    jobs: Jobs
    worker: Worker
    task: asyncio.Task[None]
    told: list[str]
    played: list[Played]


@contextlib.asynccontextmanager
async def node(
    server: Server,
    agent_name: str,
    *,
    most: int = 4,
    job_type: agent.JobType = agent.JobType.JT_ROOM,
    open_relay: OpenRelay | None = None,
    defaults: RelayRequest | None = None,
) -> AsyncIterator[Node]:
    played: list[Played] = []
    told: list[str] = []

    def play(settings: RelaySettings, tell: Told) -> Played:
        played.append(Played(settings, tell))
        return played[-1]

    numbers = itertools.count()
    async with Jobs(
        open_relay or play, clocks=Clocks(), new_id=lambda: f"J{next(numbers)}", most=most
    ) as jobs:
        worker = Worker(
            jobs,
            Plan(access=access(server), defaults=defaults or RelayRequest()),
            agent_name=agent_name,
            job_type=job_type,
            version="0",
            told=told.append,
        )
        task = asyncio.create_task(worker.run())
        await until(lambda: worker.session.state is State.REGISTERED, "registration")
        try:
            yield Node(jobs, worker, task, told, played)
        finally:
            worker.stop()
            async with asyncio.timeout(20):
                await task


async def dispatch(server: Server, agent_name: str, room: str, metadata: str = "") -> str:
    """Ask for an agent as an application does; gives the id of the dispatch."""
    async with admin(server) as lk:
        made = await lk.agent_dispatch.create_dispatch(
            api.CreateAgentDispatchRequest(agent_name=agent_name, room=room, metadata=metadata)
        )
    return str(made.id)


def admin(server: Server) -> api.LiveKitAPI:
    return api.LiveKitAPI(server.url.replace("ws", "http"), KEY, SECRET)
