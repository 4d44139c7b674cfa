"""`auralink relay` as people run it: a process of its own, encoders in theirs, a real server."""

import asyncio
import json
import os
import sys
import time
from pathlib import Path

from auralink.engine.room.transport import AudioOffer
from auralink.engine.room.video_in import VideoIn

from ...codecs.pictures import moving, psnr
from ..room.people import Tone, camera, member, until
from ..room.server import KEY, SECRET, Server

SIZE = (320, 240)


async def test_relay_carries_a_call_and_says_what_it_did(
    livekit: Server, room: str, tmp_path: Path
) -> None:
    near, far = room + "-near", room + "-far"
    trace = tmp_path / "trace.json"
    words = ["relay", near, far, "--rate", "200k", "--preset", "11", "--json"]
    words += ["--address", "127.0.0.1", "--trace", str(trace)]
    environment = os.environ | {
        "LIVEKIT_URL": livekit.url,
        "LIVEKIT_API_KEY": KEY,
        "LIVEKIT_API_SECRET": SECRET,
    }
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        "from auralink.engine.cli.main import main; main()",
        *words,
        env=environment,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    async with (
        member(livekit, near, "alice") as (alice, _),
        member(livekit, far, "bob") as (bob, seen),
        camera(alice, lambda index: moving(index % 60, SIZE)),
    ):
        alice.publish_audio(AudioOffer(name="mic", make_track=lambda: Tone(440)))
        await until(lambda: seen.track("aic/alice/cam"), "the restored picture")
        await until(lambda: seen.track("aic/alice/mic"), "the restored sound")
        video = VideoIn(time.monotonic)
        bob.subscribe_video(seen.track("aic/alice/cam"), video.push)
        async with asyncio.timeout(20):
            frames = [await video.take() for _ in range(60)]
        process.terminate()  # as a supervisor does
        async with asyncio.timeout(30):
            out, err = await process.communicate()

    assert process.returncode == 0, err.decode()
    told = json.loads(out)
    assert SECRET not in out.decode() + err.decode()
    assert {room["joins"] for room in told["rooms"]} == {1}
    assert max(psnr(frames[-1].y, moving(index, SIZE).y) for index in range(60)) > 25
    assert ["wait", "encode", "coding a frame", "decode", "decoding a unit", "hold"] in ways(trace)


def ways(trace: Path) -> list[list[str]]:
    """The spans of each frame, in the order of `order`."""
    order = ["wait", "encode", "coding a frame", "decode", "decoding a unit"]
    order += ["restore", "running restore-s", "hold"]
    frames: dict[int, set[str]] = {}
    for event in json.loads(trace.read_text("utf-8"))["traceEvents"]:
        if event["ph"] == "X":
            frames.setdefault(event["args"]["frame"], set()).add(event["name"])
    return [sorted(names, key=order.index) for names in frames.values()]


async def test_wrong_keys_end_with_a_reason_and_exit_code_2(livekit: Server, room: str) -> None:
    environment = os.environ | {
        "LIVEKIT_URL": livekit.url,
        "LIVEKIT_API_KEY": KEY,
        "LIVEKIT_API_SECRET": "another secret of enough length",
    }
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        "from auralink.engine.cli.main import main; main()",
        *["join", room, "--address", "127.0.0.1"],
        env=environment,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    async with asyncio.timeout(30):
        _, err = await process.communicate()

    assert process.returncode == 2
    assert "refused the token" in err.decode()
    assert "another secret" not in err.decode()
