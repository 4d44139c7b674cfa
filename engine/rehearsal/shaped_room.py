"""A room whose data tracks go through an emulated link first: shaping without root.

Only what we send over data tracks is shaped.  Signalling, reports and everybody else feel nothing;
`auralink.engine.shaping` shapes whole networks instead.
"""

import asyncio
import struct
from collections.abc import Callable, Sequence
from typing import Final, final

from auralink.engine.link.budget import OVERHEAD_BYTES
from auralink.engine.link.netem import LinkCounts, LinkSettings, Netem
from auralink.engine.room.transport import (
    AudioOffer,
    AudioSink,
    DataSink,
    Published,
    PublishedData,
    RoomTransport,
    VideoOffer,
    VideoSink,
)

_TICK_S: Final = 0.002
_HEAD: Final = struct.Struct(">HI")  # track, time stamp; the rest of the headers is padding
_PADDING: Final = bytes(OVERHEAD_BYTES - _HEAD.size)  # headers take their share of the rate


@final
class ShapedRoom:
    """A `RoomTransport` around another."""

    def __init__(
        self,
        room: RoomTransport,
        settings: LinkSettings,
        *,
        seed: int,
        now_us: Callable[[], int],
    ) -> None:
        self._room = room
        self._link = Netem(settings, seed=seed)
        self._now_us = now_us
        self._tracks: list[PublishedData] = []

    @property
    def carried(self) -> LinkCounts:
        return self._link.counts

    @property
    def identity(self) -> str:
        return self._room.identity

    async def run(self) -> None:
        carrying = asyncio.create_task(self._carry())
        try:
            await self._room.run()
        finally:
            carrying.cancel()

    def leave(self) -> None:
        self._room.leave()

    def subscribe_video(self, sid: str, sink: VideoSink) -> None:
        self._room.subscribe_video(sid, sink)

    def subscribe_audio(self, sid: str, sink: AudioSink) -> None:
        self._room.subscribe_audio(sid, sink)

    def subscribe_data(self, sid: str, sink: DataSink) -> None:
        self._room.subscribe_data(sid, sink)

    def unsubscribe(self, sid: str) -> None:
        self._room.unsubscribe(sid)

    def wish_size(self, sid: str, size: tuple[int, int], fps: int) -> None:
        self._room.wish_size(sid, size, fps)

    def received_bytes(self, sid: str) -> int | None:
        return self._room.received_bytes(sid)

    def publish_video(self, offer: VideoOffer) -> Published:
        return self._room.publish_video(offer)

    def publish_audio(self, offer: AudioOffer) -> Published:
        return self._room.publish_audio(offer)

    def publish_data(self, name: str) -> PublishedData:
        track = self._room.publish_data(name)
        self._tracks.append(track)
        return ShapedData(track, len(self._tracks) - 1, self.send)

    def send_control(
        self, topic: str, payload: bytes, to: Sequence[str] = (), *, reliable: bool = True
    ) -> bool:
        return self._room.send_control(topic, payload, to, reliable=reliable)

    def send(self, track: int, payload: bytes, timestamp: int) -> bool:
        """Into the link; a packet that is lost there counts as sent."""
        self._link.send(self._now_us(), _HEAD.pack(track, timestamp) + _PADDING + payload)
        return True

    def deliver(self, now_us: int) -> None:
        """Out of the link into the room."""
        for _, datagram in self._link.poll(now_us):
            track, timestamp = _HEAD.unpack_from(datagram)
            self._tracks[track].send(datagram[OVERHEAD_BYTES:], timestamp)

    async def _carry(self) -> None:
        while True:
            await asyncio.sleep(_TICK_S)
            self.deliver(self._now_us())


@final
class ShapedData:
    """A data track at the near end of the link."""

    def __init__(
        self, track: PublishedData, number: int, send: Callable[[int, bytes, int], bool]
    ) -> None:
        self._track = track
        self._number = number
        self._send = send

    @property
    def sid(self) -> str:
        return self._track.sid

    @property
    def buffered_bytes(self) -> int:
        return self._track.buffered_bytes

    def send(self, payload: bytes, timestamp: int) -> bool:
        return bool(self.sid) and self._send(self._number, payload, timestamp)

    def unpublish(self) -> None:
        self._track.unpublish()
