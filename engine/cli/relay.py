"""``auralink relay`` and ``auralink join``: LiveKit tracks over a thin link."""

import asyncio
import contextlib
import importlib.metadata
import os
import signal
import time
from pathlib import Path
from typing import Annotated, Any

import typer

from auralink.codecs.video.options import EncoderOptions
from auralink.codecs.video.profiles import DEFAULT_PROFILE, PROFILES
from auralink.codecs.video.rate.controller import LIVE
from auralink.engine.cli import loop, values
from auralink.engine.cli.terminal import Json, note, print_json
from auralink.engine.cli.workers import worker_pool
from auralink.engine.inference.whole import Inference
from auralink.engine.relay.access import from_environment
from auralink.engine.relay.job import Place, RelayJob, RelaySettings, Role
from auralink.engine.relay.opening import encoders_at
from auralink.engine.relay.options import ENCODER_CORES, RelayOptions
from auralink.engine.relay.status import line, status
from auralink.engine.room import compat
from auralink.engine.room.backends import BACKENDS, Backend
from auralink.engine.timeline import NO_TIMELINE, FrameTimeline

Url = Annotated[str | None, typer.Option(help="wss://HOST; default: LIVEKIT_URL.")]
Rate = Annotated[
    int, typer.Option(parser=values.bitrate, metavar="RATE", help="All that the link may carry.")
]
ProfileName = Annotated[str, typer.Option(help="Codec; a wrong name lists them.")]
AudioRate = Annotated[
    int, typer.Option(parser=values.bitrate, metavar="RATE", help="Per audio track, 6k to 64k.")
]
Largest = Annotated[
    values.Size | None,
    typer.Option(parser=values.picture_size, metavar="WxH", help="Ask the room for no more."),
]
Only = Annotated[list[str] | None, typer.Option("--only", help="This identity's tracks; repeat.")]
Name = Annotated[str, typer.Option(help="The bots are called NAME-src, NAME-up, NAME-down.")]
RestoredCodec = Annotated[str, typer.Option("--codec", help="Of restored video: vp8, h264.")]
Preset = Annotated[
    int | None, typer.Option(min=1, max=12, help="Effort; default: what time allows.")
]
BackendName = Annotated[
    str, typer.Option("--backend", help="What bots join with: aiortc (our own client), sdk.")
]
Address = Annotated[
    list[str] | None, typer.Option("--address", help="Local address for media; default: all.")
]
Seconds = Annotated[float | None, typer.Option(min=0.1, help="Leave after so long.")]
Trace = Annotated[
    Path | None, typer.Option(metavar="FILE", help="Write each frame's way, for ui.perfetto.dev.")
]


def relay(
    source: Annotated[str, typer.Argument(metavar="FROM", help="Room whose tracks are taken.")],
    target: Annotated[str, typer.Argument(metavar="TO", help="Room where they appear again.")],
    url: Url = None,
    to_url: Annotated[
        str | None, typer.Option(help="Server of TO; default: LIVEKIT_TO_URL, else the same.")
    ] = None,
    role: Annotated[
        Role, typer.Option(help="Which half runs here: send, receive, both.")
    ] = Role.BOTH,
    rate: Rate = 300_000,
    profile: ProfileName = DEFAULT_PROFILE,
    audio_rate: AudioRate = 16_000,
    size: Largest = None,
    only: Only = None,
    name: Name = "aic",
    codec: RestoredCodec = "vp8",
    preset: Preset = None,
    backend: BackendName = "aiortc",
    address: Address = None,
    seconds: Seconds = None,
    trace: Trace = None,
    json: Json = False,
) -> None:
    """Carry a room's tracks over a thin link into another room.

    Runs until Ctrl-C.  Keys come from LIVEKIT_API_KEY and LIVEKIT_API_SECRET, or a token from
    LIVEKIT_TOKEN; for another server of TO from LIVEKIT_TO_API_KEY and so on.
    """
    environment = dict(os.environ)
    near = from_environment(environment, url=url)
    far = near
    if to_url or "LIVEKIT_TO_URL" in environment:
        far = from_environment(environment, url=to_url, prefix="LIVEKIT_TO")
    _run(
        RelaySettings(
            near=Place(access=near, room=source),
            far=Place(access=far, room=target),
            role=role,
            name=name,
            codec=_codec(codec),
            backend=known_backend(backend),
            options=_options(rate, profile, audio_rate, size, only, preset),
        ),
        seconds,
        address,
        trace,
        json=json,
    )


def join(
    room: Annotated[str, typer.Argument(metavar="ROOM")],
    receive: Annotated[
        bool, typer.Option("--receive/--send", help="Restore AIC tracks; or compress tracks.")
    ] = False,
    url: Url = None,
    rate: Rate = 300_000,
    profile: ProfileName = DEFAULT_PROFILE,
    audio_rate: AudioRate = 16_000,
    size: Largest = None,
    only: Only = None,
    name: Name = "aic",
    codec: RestoredCodec = "vp8",
    preset: Preset = None,
    backend: BackendName = "aiortc",
    address: Address = None,
    seconds: Seconds = None,
    trace: Trace = None,
    json: Json = False,
) -> None:
    """Join one room: compress its tracks into data tracks there, or restore those.

    Runs until Ctrl-C.  Keys come from the environment as for `relay`.
    """
    place = Place(access=from_environment(dict(os.environ), url=url), room=room)
    _run(
        RelaySettings(
            near=place,
            far=place,
            role=Role.RECEIVE if receive else Role.SEND,
            name=name,
            codec=_codec(codec),
            backend=known_backend(backend),
            options=_options(rate, profile, audio_rate, size, only, preset),
        ),
        seconds,
        address,
        trace,
        json=json,
    )


def _options(
    rate: int,
    profile: str,
    audio_rate: int,
    size: values.Size | None,
    only: list[str] | None,
    preset: int | None,
) -> RelayOptions:
    return RelayOptions(
        rate_bps=rate,
        start_bps=min(rate, 150_000),
        profile=values.known_name("profile", profile, PROFILES),
        audio_bps=audio_rate,
        size=size.pair if size else RelayOptions().size,
        identities=frozenset(only or ()),
        encoder=EncoderOptions(preset=preset, cores=ENCODER_CORES, rate=LIVE),
    )


def known_backend(name: str) -> Backend:
    values.known_name("backend", name, BACKENDS)
    return "sdk" if name == "sdk" else "aiortc"


def _codec(name: str) -> Any:
    return values.known_name("codec", name, ("vp8", "h264"))


def _run(
    settings: RelaySettings,
    seconds: float | None,
    addresses: list[str] | None,
    trace: Path | None,
    *,
    json: bool,
) -> None:
    if addresses:
        compat.use_addresses(addresses)
    timeline = FrameTimeline() if trace else None
    with worker_pool(timeline or NO_TIMELINE) as pool:
        inference = Inference(pool)
        job = RelayJob(
            settings,
            version=importlib.metadata.version("auralink-aic"),
            clock=time.monotonic,
            told=note,
            encoder=encoders_at(pool),
            decoder=inference.open_decoder,
            restorer=inference.restorer,
            native=inference.open_native,
            timeline=timeline or NO_TIMELINE,
        )
        with contextlib.suppress(KeyboardInterrupt):
            loop.run(_until_asked(job, inference, seconds, quiet=json))
    if timeline and trace:
        timeline.write(trace)
    if json:
        print_json(status(job))
    else:
        note(line(job))


async def _until_asked(
    job: RelayJob, inference: Inference, seconds: float | None, *, quiet: bool
) -> None:
    running = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        with contextlib.suppress(NotImplementedError):  # Windows: Ctrl-C interrupts the loop
            running.add_signal_handler(number, job.leave)
    if seconds is not None:
        running.call_later(seconds, job.leave)
    telling = None if quiet else asyncio.create_task(_tell(job))
    try:
        async with inference:
            await job.run()
    finally:
        if telling is not None:
            telling.cancel()


async def _tell(job: RelayJob) -> None:
    while True:
        await asyncio.sleep(5)
        note(line(job))
