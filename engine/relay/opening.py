"""What a job runs, and how it is put together."""

import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias

from auralink.codecs.base.native import open_encoder as open_native
from auralink.codecs.video.base_session import Clock
from auralink.codecs.video.profiles import open_decoder
from auralink.codecs.video.protocol import VideoDecoder, VideoEncoder
from auralink.engine.inference.base import encoder_at
from auralink.engine.inference.hosts import Host
from auralink.engine.relay.downlink import OpenNative
from auralink.engine.relay.job import OpenEncoder, OpenRestorer, RelayJob, RelaySettings
from auralink.engine.relay.options import RelayOptions
from auralink.engine.timeline import NO_TIMELINE, Timeline


class Relay(Protocol):
    """What a job runs: `RelayJob`, or a stand-in."""

    @property
    def connected(self) -> bool: ...

    async def run(self) -> None: ...

    def leave(self) -> None: ...

    def want_key(self, track: str | None = None) -> int: ...

    def force_rung(self, name: str | None, track: str | None = None) -> int: ...

    def status(self) -> dict[str, Any]: ...


# Takes a line for people.
Told: TypeAlias = Callable[[str], None]
OpenRelay: TypeAlias = Callable[[RelaySettings, Told], Relay]


@dataclass(frozen=True, slots=True, kw_only=True)
class Clocks:
    """
    Attributes:
        monotonic: seconds, for pauses and durations.
        wall: seconds of the Unix clock, for people.
        random: 0..1.
    """

    monotonic: Callable[[], float] = time.monotonic
    wall: Callable[[], float] = time.time
    random: Callable[[], float] = random.random


def relay_opener(
    *,
    version: str,
    clocks: Clocks,
    encoder: OpenEncoder | None = None,
    decoder: Callable[[], VideoDecoder] = open_decoder,
    restorer: OpenRestorer | None = None,
    native: OpenNative = open_native,
    timeline: Timeline = NO_TIMELINE,
) -> OpenRelay:
    """
    Args:
        version: of this engine, shown to servers.
        encoder: opens the video encoder of a stream; None: with its native code in a process.
        decoder: opens the decoder of a stream.
        restorer: makes the network of a stream whose decoder has none.
        native: opens the encoder of a restored track.
        timeline: takes the spans of every frame.
    """

    def open_relay(settings: RelaySettings, told: Told) -> Relay:
        return RelayJob(
            settings,
            version=version,
            clock=clocks.monotonic,
            told=told,
            encoder=encoder,
            decoder=decoder,
            restorer=restorer,
            native=native,
            timeline=timeline,
        )

    return open_relay


def encoders_at(host: Host) -> OpenEncoder:
    """Encoders whose native code and networks run at a host's workers."""

    def open_encoder(options: RelayOptions, clock: Clock) -> VideoEncoder:
        return encoder_at(
            host, options.profile, fps=options.fps, options=options.encoder, clock=clock
        )

    return open_encoder
