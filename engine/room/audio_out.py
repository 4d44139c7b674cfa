"""Sound out: a track that sends Opus frames which are coded already."""

import asyncio
from collections import deque
from dataclasses import dataclass
from fractions import Fraction
from typing import Final, final

from aiortc import MediaStreamTrack
from aiortc.mediastreams import MediaStreamError
from av.packet import Packet
from av.stream import Stream

_MICROSECONDS: Final = Fraction(1, 1_000_000)
_MOST_WAITING: Final = 25  # half a second


@dataclass(slots=True)
class AudioOutCounts:
    sent: int = 0
    dropped: int = 0


@final
class AudioOut(MediaStreamTrack):
    kind = "audio"

    def __init__(self) -> None:
        super().__init__()
        self.counts = AudioOutCounts()
        self._queue: deque[tuple[bytes, int]] = deque()
        self._arrived = asyncio.Event()
        self._last_us = -1

    def play(self, frame: bytes, pts_us: int) -> None:
        """Send one frame; times must go up."""
        if pts_us <= self._last_us:
            self.counts.dropped += 1
            return
        self._last_us = pts_us
        if len(self._queue) == _MOST_WAITING:
            self._queue.popleft()
            self.counts.dropped += 1
        self._queue.append((frame, pts_us))
        self._arrived.set()

    async def recv(self) -> "Packet[Stream]":
        """
        Raises:
            MediaStreamError: stopped.
        """
        while not self._queue:
            self._arrived.clear()
            if self.readyState != "live":
                raise MediaStreamError
            await self._arrived.wait()
        if self.readyState != "live":
            raise MediaStreamError
        frame, pts_us = self._queue.popleft()
        self.counts.sent += 1
        packet: Packet[Stream] = Packet(frame)
        packet.pts = pts_us
        packet.time_base = _MICROSECONDS
        return packet

    def stop(self) -> None:
        super().stop()
        self._arrived.set()
