"""A data track that this participant publishes."""

from collections.abc import Callable
from typing import Final, Protocol, final

from livekit.protocol import rtc

from auralink.codecs.errors import InputError
from auralink.engine.room.data_packet import MAX_BYTES, DataPacket, write_packet
from auralink.engine.room.dual_peer import DualPeer
from auralink.engine.room.lossy_tracks import PACKET_TOPIC, LossyTracks, lossy_sid
from auralink.engine.room.media_path import DATA_TRACK, LOSSY
from auralink.engine.room.peer import Peer, data_packet

# An SCTP send queue is delay: at this many bytes a packet is late before it starts.
MAX_BUFFERED_BYTES: Final = 32_768


class Wire(Protocol):
    """The room as publications see it."""

    def request(self, request: rtc.SignalRequest) -> None: ...

    @property
    def peer(self) -> Peer | DualPeer | None: ...

    @property
    def identity(self) -> str: ...

    @property
    def lossy(self) -> LossyTracks: ...


@final
class DataPublication:
    """One data track; a packet of ours is a frame of one packet there."""

    def __init__(
        self, wire: Wire, name: str, handle: int, forget: Callable[[object], None]
    ) -> None:
        self._wire = wire
        self._forget = forget
        self._frame = 0
        self.name = name
        self.handle = handle
        self.sid = ""
        self.info: rtc.PublishDataTrackResponse | None = None
        self.dropped = 0

    def announce(self) -> None:
        self.sid, self.info = "", None
        if self._wire.lossy.active:
            self.sid = lossy_sid(self._wire.identity, self.handle)
            self._wire.lossy.publish(self.handle, self.name)
            return
        request = rtc.PublishDataTrackRequest(pub_handle=self.handle, name=self.name)
        self._wire.request(rtc.SignalRequest(publish_data_track_request=request))

    def accepted(self, info: rtc.PublishDataTrackResponse) -> None:
        self.info = info
        self.sid = info.info.sid

    def withdraw(self) -> None:
        """The server does not carry it any more."""
        self.sid, self.info = "", None
        self._wire.lossy.unpublish(self.handle)

    @property
    def buffered_bytes(self) -> int:
        peer = self._wire.peer
        return 0 if peer is None else peer.buffered(self._label)

    def send(self, payload: bytes, timestamp: int) -> bool:
        peer = self._wire.peer
        if peer is None or not self.sid or self.buffered_bytes > MAX_BUFFERED_BYTES:
            self.dropped += 1
            return False
        packet = DataPacket(
            handle=self.handle,
            sequence=self._frame,
            frame=self._frame,
            timestamp=timestamp,
            payload=payload,
        )
        data = write_packet(packet)
        if len(data) > MAX_BYTES:
            raise InputError(f"data-track packet of {len(data)} bytes: at most {MAX_BYTES}")
        self._frame += 1
        if self._label == LOSSY:
            data = data_packet(data, PACKET_TOPIC, reliable=False)
        sent = peer.send(self._label, data)
        self.dropped += not sent
        return sent

    @property
    def _label(self) -> str:
        return LOSSY if self._wire.lossy.active else DATA_TRACK

    def unpublish(self) -> None:
        self._forget(self)
        if self._wire.lossy.active:
            self.withdraw()
        elif self.sid:
            request = rtc.UnpublishDataTrackRequest(pub_handle=self.handle)
            self._wire.request(rtc.SignalRequest(unpublish_data_track_request=request))
