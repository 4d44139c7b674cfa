"""Pictures out: a track whose packets come from our own real-time encoder.

::

    show(frame) ──► newest only ──► encode (worker thread) ──► packet ──► aiortc packs and sends

Only the newest picture waits: what would be late is replaced, never queued.
"""

import asyncio
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from typing import Final, final

from aiortc import MediaStreamTrack
from aiortc.mediastreams import MediaStreamError
from av.packet import Packet
from av.stream import Stream

from auralink.codecs.base.protocol import BaseEncoder, BaseUnit, Order
from auralink.codecs.errors import AuraLinkError
from auralink.codecs.frame import Frame

_MICROSECONDS: Final = Fraction(1, 1_000_000)
# Keys that many viewers ask for at once are one key: LiveKit itself limits them to two a second.
_KEY_EVERY_S: Final = 0.5


@dataclass(slots=True)
class VideoOutCounts:
    coded: int = 0
    keys: int = 0
    replaced: int = 0  # by a newer picture before they were coded
    unwatched: int = 0  # shown while nobody looked
    failed: int = 0
    bytes: int = 0


@final
class VideoOut(MediaStreamTrack):
    """
    Args:
        open_encoder: opens a real-time encoder; called again after a failure.
        bitrate_bps: asked of the encoder.
        clock: seconds, monotonic.
    """

    kind = "video"

    def __init__(
        self,
        open_encoder: Callable[[], BaseEncoder],
        *,
        bitrate_bps: int,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__()
        self.counts = VideoOutCounts()
        self.bitrate_bps = bitrate_bps
        self._open = open_encoder
        self._encoder: BaseEncoder | None = None
        self._clock = clock
        self._newest: Frame | None = None
        self._arrived = asyncio.Event()
        self._number = 0
        self._key_wanted = True
        self._key_at = float("-inf")
        self._last_us = -1
        self._watched = True
        self._busy = threading.Lock()  # for the encoder, which works in other threads

    def show(self, frame: Frame) -> None:
        """Publish a picture; its time counts, and must go up."""
        if not self._watched:
            self.counts.unwatched += 1
            return
        self.counts.replaced += self._newest is not None
        self._newest = frame
        self._arrived.set()

    def want_key(self) -> None:
        self._key_wanted = True

    def pause(self, paused: bool) -> None:
        """Nobody watches, or somebody does again, who then needs a key."""
        if self._watched and paused:
            self._newest = None
            self._arrived.clear()
        if paused is self._watched:
            self._watched = not paused
            self._key_wanted = True

    async def recv(self) -> "Packet[Stream]":
        """The next coded picture.

        Raises:
            MediaStreamError: stopped.
        """
        while True:
            await self._arrived.wait()
            if self.readyState != "live":
                raise MediaStreamError
            self._arrived.clear()
            frame, self._newest = self._newest, None
            if frame is None or frame.pts_us <= self._last_us:
                continue
            packet = await self._code(frame)
            if packet is not None:
                return packet

    def stop(self) -> None:
        super().stop()
        self._newest = None
        self._arrived.set()
        # An encoder at work is closed when it has done: the event loop does not wait for it.
        if self._busy.acquire(blocking=False):
            try:
                self._close()
            finally:
                self._busy.release()

    async def _code(self, frame: Frame) -> "Packet[Stream] | None":
        now = self._clock()
        key = self._encoder is None or (self._key_wanted and now - self._key_at >= _KEY_EVERY_S)
        order = Order(number=self._number, bitrate_bps=self.bitrate_bps, key=key)
        try:
            unit = await asyncio.to_thread(self._encode, frame, order)
        except AuraLinkError:
            self.counts.failed += 1
            self._encoder = None
            return None
        self._number += 1
        self._last_us = frame.pts_us
        if unit.key:
            self._key_wanted, self._key_at = False, now
            self.counts.keys += 1
        self.counts.coded += 1
        self.counts.bytes += len(unit.data)
        packet: Packet[Stream] = Packet(unit.data)
        packet.pts = frame.pts_us
        packet.time_base = _MICROSECONDS
        return packet

    def _encode(self, frame: Frame, order: Order) -> BaseUnit:
        with self._busy:
            if self._encoder is None:
                self._encoder = self._open()
            try:
                return self._encoder.encode(frame, order)
            finally:
                if self.readyState != "live":
                    self._close()

    def _close(self) -> None:
        encoder, self._encoder = self._encoder, None
        if encoder is not None:
            encoder.close()
