"""``auralink worker``: relay jobs from LiveKit's own dispatcher."""

import asyncio
import contextlib
import enum
import importlib.metadata
import os
import signal
import uuid
from typing import Annotated

import typer

from auralink.codecs.video.profiles import DEFAULT_PROFILE, PROFILES
from auralink.engine.agent.plan import JOB_TYPES, Plan
from auralink.engine.agent.worker import Worker
from auralink.engine.cli import loop, values
from auralink.engine.cli.relay import (
    Address,
    AudioRate,
    BackendName,
    Largest,
    Preset,
    ProfileName,
    Rate,
    RestoredCodec,
    Url,
    known_backend,
)
from auralink.engine.cli.terminal import Json, note, print_json
from auralink.engine.cli.workers import worker_pool
from auralink.engine.cpu import CpuShare
from auralink.engine.inference.pool import WorkerPool
from auralink.engine.inference.whole import Inference
from auralink.engine.relay.access import from_environment
from auralink.engine.relay.job import Role
from auralink.engine.relay.job_events import EventKind
from auralink.engine.relay.jobs import Jobs
from auralink.engine.relay.opening import Clocks, encoders_at, relay_opener
from auralink.engine.relay.request import RelayRequest
from auralink.engine.room import compat


class JobKind(enum.Enum):
    """For what LiveKit makes a job."""

    ROOM = "room"
    PUBLISHER = "publisher"
    PARTICIPANT = "participant"


def worker(
    agent_name: Annotated[
        str, typer.Option(help="Dispatches to this name; empty: every new room, unasked.")
    ] = "auralink",
    kind: Annotated[
        JobKind, typer.Option("--for", help="A job for each: room, publisher, participant.")
    ] = JobKind.ROOM,
    jobs: Annotated[int, typer.Option(min=1, max=256, help="As many at one time.")] = 4,
    drain: Annotated[
        float, typer.Option(min=0, help="Seconds that jobs may go on after SIGTERM.")
    ] = 600.0,
    url: Url = None,
    to_url: Annotated[
        str | None, typer.Option(help="Server of the target; default: LIVEKIT_TO_URL, else same.")
    ] = None,
    role: Annotated[
        Role, typer.Option(help="Which half runs here: send, receive, both.")
    ] = Role.BOTH,
    rate: Rate = 300_000,
    profile: ProfileName = DEFAULT_PROFILE,
    audio_rate: AudioRate = 16_000,
    size: Largest = None,
    name: Annotated[str, typer.Option(help="Bots are called NAME-JOB-src and so on.")] = "aic",
    codec: RestoredCodec = "vp8",
    preset: Preset = None,
    backend: BackendName = "aiortc",
    address: Address = None,
    json: Json = False,
) -> None:
    """Take relay jobs from LiveKit's dispatcher, together with other workers.

    A job's metadata (JSON) says what to do; the options are for what it leaves out.  The first
    SIGTERM or Ctrl-C drains, the second ends at once.
    """
    environment = dict(os.environ)
    near = from_environment(environment, url=url)
    far = None
    if to_url or "LIVEKIT_TO_URL" in environment:
        far = from_environment(environment, url=to_url, prefix="LIVEKIT_TO")
    width, height = size.pair if size else (RelayRequest().width, RelayRequest().height)
    defaults = RelayRequest(
        role=role.value,
        rate_bps=rate,
        profile=values.known_name("profile", profile, PROFILES),
        audio_bps=audio_rate,
        width=width,
        height=height,
        codec=values.known_name("codec", codec, ("vp8", "h264")),  # type: ignore[arg-type]
        preset=preset,
        backend=known_backend(backend),
    )
    defaults.check()
    if address:
        compat.use_addresses(address)
    plan = Plan(access=near, far=far, defaults=defaults, name=name)
    with worker_pool() as pool:
        loop.run(_work(plan, agent_name, kind, pool, most=jobs, drain_s=drain, json=json))


async def _work(
    plan: Plan,
    agent_name: str,
    kind: JobKind,
    pool: WorkerPool,
    *,
    most: int,
    drain_s: float,
    json: bool,
) -> None:
    version = importlib.metadata.version("auralink-aic")
    clocks = Clocks()
    inference = Inference(pool)
    opener = relay_opener(
        version=version,
        clocks=clocks,
        encoder=encoders_at(pool),
        decoder=inference.open_decoder,
        restorer=inference.restorer,
        native=inference.open_native,
    )
    async with (
        inference,
        Jobs(
            opener,
            clocks=clocks,
            new_id=lambda: uuid.uuid4().hex,
            most=most,
            cpu=CpuShare(clocks.monotonic),
        ) as jobs,
    ):
        one = Worker(
            jobs,
            plan,
            agent_name=agent_name,
            job_type=JOB_TYPES[kind.value],
            version=version,
            told=note,
        )
        running = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            with contextlib.suppress(NotImplementedError):  # Windows: Ctrl-C interrupts the loop
                running.add_signal_handler(number, one.drain, drain_s)
        telling = asyncio.create_task(_tell(jobs))
        try:
            await one.run()
        finally:
            telling.cancel()
        if json:
            print_json({"jobs": [job.plain() for job in jobs.list()]})


async def _tell(jobs: Jobs) -> None:
    with jobs.events.subscribe() as events:
        async for event in events:
            said = event.text
            if event.kind is EventKind.STATE:
                said = f"{event.state.value}{f': {event.text}' if event.text else ''}"
            note(f"job {event.job} {said}")
