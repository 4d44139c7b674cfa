"""The whole engine against a real LiveKit server: a job over HTTP, what it measured, its end."""

import asyncio
import os
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import aioice.ice
import pytest
from livekit import api

from auralink.engine.inference.whole import Inference
from auralink.engine.running import context_of, figures_of, open_pool
from auralink.engine.service import serving
from auralink.engine.service.auth.principal import Role
from auralink.engine.service.settings.load import Sources, load
from auralink.engine.service.settings.reload import LiveSettings

from ...codecs.pictures import noisy
from ..room.people import camera, member, until
from ..room.server import KEY, Server, find_server, free_port
from ..room.server import SECRET as LIVEKIT_SECRET
from .services import API, SECRET, token_of

SIZE = (320, 240)
PICTURE_US = 400_000  # that the network has: a loaded machine must not look like a fault


@asynccontextmanager
async def engine(folder: Path, port: int, livekit: Server) -> AsyncIterator[Any]:
    """As `auralink serve` puts it together; gives what asks it."""
    environment = {
        "AURALINK_AUTH__SECRET": SECRET,
        "AURALINK_HTTP__PORT": str(port),
        "AURALINK_GRPC__ENABLED": "false",
        "AURALINK_LIMITS__ENABLED": "false",
        "AURALINK_DATABASE__INTERVAL_S": "1",
        "AURALINK_ENGINE__DRAIN_S": "0",
        "DATABASE_URL": f"sqlite:///{folder / 'records.db'}",
        "LIVEKIT_URL": livekit.url,
        "LIVEKIT_API_KEY": KEY,
        "LIVEKIT_API_SECRET": LIVEKIT_SECRET,
    }
    sources = Sources(flags={}, environment=environment)
    live = LiveSettings(load(sources), sources)
    pool = open_pool(live.now)
    figures = figures_of(live.now)
    inference = Inference(pool, told=figures.of_inference(pool), picture_us=PICTURE_US)
    context = context_of(live, pool, inference, figures)
    ready = asyncio.Event()
    running = asyncio.create_task(serving.serve(context, serving.Told(ready=ready.set)))
    headers = {"Authorization": f"Bearer {token_of(role=Role.ADMIN)}"}
    try:
        await asyncio.wait(
            [running, asyncio.create_task(ready.wait())], return_when=asyncio.FIRST_COMPLETED
        )
        async with aiohttp.ClientSession(f"http://127.0.0.1:{port}", headers=headers) as client:

            async def ask(method: str, path: str, **body: Any) -> Any:
                async with client.request(method, path, json=body or None) as response:
                    assert response.status < 300, await response.text()
                    kind = response.content_type
                    return await (response.json() if "json" in kind else response.text())

            yield ask
    finally:
        context.ending.ask()
        code = await running
        await inference.close()
        await asyncio.to_thread(pool.close)
    assert code == 0


@pytest.mark.skipif(find_server() is None, reason="no livekit-server: make tools")
async def test_a_job_over_http_relays_a_call_and_tells_what_it_measured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # aioice never offers loopback, which is all that the server listens on.
    monkeypatch.setattr(aioice.ice, "get_host_addresses", lambda *families, **more: ["127.0.0.1"])
    port = free_port(socket.SOCK_STREAM)
    hooks = f"http://127.0.0.1:{port}/api/v1/livekit/webhook"
    livekit = Server(str(find_server()), tmp_path, webhooks=hooks)
    livekit.start()
    near, far = f"near-{os.getpid()}", f"far-{os.getpid()}"
    try:
        async with (
            engine(tmp_path, port, livekit) as ask,
            member(livekit, near, "alice") as (alice, _),
            member(livekit, far, "bob") as (_, seen),
            camera(alice, lambda number: noisy(number % 60, SIZE)),
        ):
            # So few bits that pictures are coded small, and restored by the network.
            await ask("POST", f"{API}/jobs", id="call", room=near, to_room=far, rate_bps=30_000)
            await until(lambda: seen.track("aic/alice/cam"), "the restored track")
            job = await told(ask, f"{API}/jobs/call", lambda job: decoded(job) > 20)
            await told(ask, f"{API}/jobs/call", lambda job: down(job)["restored"] > 10)
            swapped = await ask("PUT", f"{API}/models/restore-s", version="1.0.0", precision="fp32")
            restored = down(await ask("GET", f"{API}/jobs/call"))["restored"]
            after = await told(
                ask, f"{API}/jobs/call", lambda job: down(job)["restored"] > restored + 10
            )
            key = await ask("POST", f"{API}/jobs/call/key-frame")
            await ask("PUT", f"{API}/jobs/call/rung", rung="small")
            held = await told(ask, f"{API}/jobs/call", lambda job: up(job)["rung"] == "small")
            rows = await told(ask, f"{API}/metrics", measured)
            sessions = await ask("GET", f"{API}/sessions?live=true")
            metrics = await ask("GET", "/metrics")
            async with api.LiveKitAPI(livekit.url, KEY, LIVEKIT_SECRET) as admin:
                await admin.room.delete_room(api.DeleteRoomRequest(room=near))
            over = await told(ask, f"{API}/jobs/call", lambda job: job["state"] == "ended")
    finally:
        livekit.stop()

    assert job["state"] == "running"
    assert up(job)["failed"] == 0
    assert (swapped["precision"], swapped["generation"]) == ("fp32", 2)
    assert "fell_back_invalid" not in down(after)["answers"]
    assert 'aic_breaker_state{name="restore-s"} 0.0' in metrics
    assert key["streams"] >= 1
    assert up(held)["cause"] == "operator"
    assert measured(rows)["link_bytes"] > 0
    assert {one["job_id"] for one in sessions["sessions"]} == {"call"}
    assert 'aic_jobs{state="running"} 1.0' in metrics
    assert over["state"] == "ended"


async def told(ask: Any, path: str, holds: Any) -> Any:
    """Ask again and again until the answer is what is waited for."""
    async with asyncio.timeout(30):
        while not holds(found := await ask("GET", path)):  # noqa: ASYNC110  # it is not ours to tell
            await asyncio.sleep(0.2)
    return found


def up(job: Any) -> Any:
    return job["status"]["up"]["streams"][0]


def down(job: Any) -> Any:
    return job["status"]["down"]["streams"][0]


def decoded(job: Any) -> int:
    streams = job["status"]["down"]["streams"]
    return int(streams[0]["decoded"]) if streams else 0


def measured(found: Any) -> Any:
    """A row of the stream that was sent."""
    rows = [row for row in found["metrics"] if row["frames"] > 0 and row["link_bytes"]]
    return rows[0] if rows else None
