"""What a job runs, and how it is put together."""

import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias

from auralink.codecs.video.profiles import open_decoder
from auralink.codecs.video.protocol import VideoDecoder
from auralink.engine.relay.job import RelayJob, RelaySettings


class Relay(Protocol):
    """What a job runs: `RelayJob`, or a stand-in."""

    @property
    def connected(self) -> bool: ...

    async def run(self) -> None: ...

    def leave(self) -> None: ...

    def want_key(self, track: str | None = None) -> int: ...

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
    *, version: str, clocks: Clocks, decoder: Callable[[], VideoDecoder] = open_decoder
) -> OpenRelay:
    """
    Args:
        version: of this engine, shown to servers.
        decoder: opens the decoder of a stream.
    """

    def open_relay(settings: RelaySettings, told: Told) -> Relay:
        return RelayJob(
            settings, version=version, clock=clocks.monotonic, told=told, decoder=decoder
        )

    return open_relay
