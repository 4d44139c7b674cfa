"""`auralink worker` as a supervisor runs it: a process, signals, an exit code."""

import asyncio
import json
import os
import sys

from livekit import api

from ..room.server import KEY, SECRET, Server
from .nodes import admin, dispatch


async def test_a_worker_process_drains_on_sigterm_and_says_what_it_did(
    livekit: Server, room: str
) -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        "from auralink.engine.cli.main import main; main()",
        *["worker", "--agent-name", "aic-cli", "--jobs", "2", "--role", "receive", "--json"],
        *["--address", "127.0.0.1"],
        env=os.environ
        | {"LIVEKIT_URL": livekit.url, "LIVEKIT_API_KEY": KEY, "LIVEKIT_API_SECRET": SECRET},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    assert process.stderr is not None
    said = []

    async def line(text: str) -> None:
        assert process.stderr is not None
        async with asyncio.timeout(30):
            while text not in (heard := (await process.stderr.readline()).decode()):
                assert heard, "".join(said)
                said.append(heard)
            said.append(heard)

    try:
        await line("registered as")
        await dispatch(livekit, "aic-cli", room)
        await line("running")
        process.terminate()
        await line("draining")
        assert process.returncode is None  # the job goes on
        async with admin(livekit) as lk:
            await lk.room.delete_room(api.DeleteRoomRequest(room=room))
        async with asyncio.timeout(30):
            out, err = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()

    assert process.returncode == 0, err.decode()
    (job,) = json.loads(out)["jobs"]
    assert job["state"] == "ended"
    assert job["spec"]["near"] == {"url": livekit.url, "room": room}
    assert SECRET not in out.decode() + err.decode() + "".join(said)
