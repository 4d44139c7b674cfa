"""A relay between two rooms of a real server, its encoders in this process."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable

from auralink.codecs.base.native import open_encoder as open_native
from auralink.codecs.video.options import EncoderOptions
from auralink.codecs.video.profiles import open_decoder, open_encoder
from auralink.codecs.video.protocol import VideoDecoder, VideoEncoder
from auralink.engine.relay.bots import Bot, Crew, Duty
from auralink.engine.relay.downlink import Downlink, OpenNative
from auralink.engine.relay.downlink_streams import Restorer
from auralink.engine.relay.options import RelayOptions
from auralink.engine.relay.uplink import Uplink
from auralink.engine.relay.uplink_fallback import OpenFor
from auralink.engine.room.livekit_room import LiveKitRoom

from ..room.server import Server, token


def encoder() -> VideoEncoder:
    """In this process: a worker per test would only test patience."""
    return open_encoder("hybrid", fps=30, options=EncoderOptions(preset=11, screen=False))


@contextlib.asynccontextmanager
async def relay(
    server: Server,
    near: str,
    far: str,
    options: RelayOptions,
    *,
    encoding: Callable[[], VideoEncoder] = encoder,
    open_for: OpenFor | None = None,
    decoder: Callable[[], VideoDecoder] = open_decoder,
    restorer: Callable[[], Restorer] | None = None,
    native: OpenNative = open_native,
) -> AsyncIterator[tuple[Uplink, Downlink]]:
    """One bot in each room; the data tracks are in the far one.

    Args:
        open_for: with it, video has its ladder of fallbacks.
    """

    def bot(identity: str, room: str) -> Bot:
        return Bot(
            lambda listener: LiveKitRoom(server.url, token(identity, room), listener, version="0")
        )

    source, sender, receiver = bot("src", near), bot("up", far), bot("down", far)
    uplink = Uplink(
        source.room,
        sender.room,
        options,
        encoder=encoding if open_for is None else None,
        open_for=open_for,
        clock=time.monotonic,
    )
    source.add(Duty(changed=uplink.changed))
    sender.add(Duty(control=uplink.control))
    downlink = Downlink(
        receiver.room,
        receiver.room,
        identities=frozenset({"up"}),
        decoder=decoder,
        restorer=restorer,
        native=native,
    )
    receiver.add(Duty(changed=downlink.changed, control=downlink.control))
    crew = Crew([source, sender, receiver], [uplink.run, downlink.run])
    task = asyncio.create_task(crew.run())
    try:
        yield uplink, downlink
    finally:
        crew.leave()
        async with asyncio.timeout(20):
            await task
