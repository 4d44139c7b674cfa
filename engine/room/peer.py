"""The one peer connection of a participant (signal protocol 1: everything over one, we offer).

::

    dirty ──► offer ──► answer with the same id ──► streams registered ──► dirty again?
                          │ 15 s without one: failed

One exchange at a time: an offer made before the transport is connected confuses aiortc.
"""

import asyncio
from collections.abc import Callable, Sequence
from typing import Final, final

from aiortc import MediaStreamTrack, RTCRtpSender, RTCSessionDescription
from livekit.protocol import models, rtc

from auralink.engine.room import compat
from auralink.engine.room.ice import IceServer
from auralink.engine.room.media_path import DATA_TRACK, LOSSY, RELIABLE, MediaPath, PeerListener
from auralink.engine.tasks import spawn

MAX_SECTIONS: Final = 128  # of SDP: what arrives in them is somebody else's doing
_ANSWER_S: Final = 15.0
_SETTLE_S: Final = 0.01  # what becomes dirty together goes into one offer


@final
class Peer:
    def __init__(
        self,
        send: Callable[[rtc.SignalRequest], None],
        listener: PeerListener,
        ice_servers: Sequence[IceServer] = (),
    ) -> None:
        self.path = MediaPath(listener, ice_servers)
        self._connection = self.path.connection
        self._send = send
        self._listener = listener
        self._dirty = asyncio.Event()
        self._answer: asyncio.Future[rtc.SessionDescription] | None = None
        self._offer_id = 0
        self._negotiation: asyncio.Task[None] | None = None
        self._stopping: set[asyncio.Task[None]] = set()

    def start(self) -> None:
        """Offer one section of each kind and the data channels, and stay in step from then on."""
        # Without both kinds in the first offer the server's answer may use payload types that
        # aiortc has given to something else.
        self._connection.addTransceiver("audio", direction="recvonly")
        self._connection.addTransceiver("video", direction="recvonly")
        create = self._connection.createDataChannel
        self.path.attach(create(RELIABLE, ordered=True))
        for label in (LOSSY, DATA_TRACK):
            self.path.attach(create(label, ordered=False, maxRetransmits=0))
        self.path.start()
        self._dirty.set()
        self._negotiation = spawn(self._negotiate(), "negotiation", self.path.broken)

    # -- what the server says --------------------------------------------------------------------

    def answer(self, description: rtc.SessionDescription) -> None:
        """Of an older offer: ignored."""
        stale = description.id and description.id != self._offer_id
        if self._answer is not None and not self._answer.done() and not stale:
            self._answer.set_result(description)

    def offer(self, description: rtc.SessionDescription) -> None:
        """Servers do not offer over a single connection."""

    async def trickle(self, candidate: rtc.TrickleRequest) -> None:
        await self.path.trickle(candidate)

    def need_sections(self, audios: int, videos: int) -> None:
        """The server has tracks for us and no section to put them in; 0 and 0: offer again."""
        room = MAX_SECTIONS - len(self._connection.getTransceivers())
        for kind, count in (("audio", audios), ("video", videos)):
            for _ in range(min(count, max(0, room))):
                self._connection.addTransceiver(kind, direction="recvonly")
                room -= 1
        self._dirty.set()

    # -- what we publish ---------------------------------------------------------------------------

    def add_track(self, track: MediaStreamTrack, codec: str | None = None) -> RTCRtpSender:
        """Send a track from the next offer on.

        Args:
            codec: "vp8" or "h264" for video; None: what aiortc prefers.
        """
        transceiver = self._connection.addTransceiver(track, direction="sendonly")
        if codec is not None:
            offered = RTCRtpSender.getCapabilities(track.kind).codecs
            wanted = [one for one in offered if one.mimeType.lower() == f"{track.kind}/{codec}"]
            again = [one for one in offered if one.mimeType.lower() == f"{track.kind}/rtx"]
            transceiver.setCodecPreferences(wanted + again)
        return transceiver.sender

    def offer_soon(self) -> None:
        self._dirty.set()

    def remove_track(self, sender: RTCRtpSender) -> None:
        for transceiver in self._connection.getTransceivers():
            if transceiver.sender is sender:
                sender.replaceTrack(None)
                transceiver.direction = "inactive"
                self._dirty.set()
                # Its section stays for ever, what it holds need not.
                ending = compat.end_sender(transceiver)
                stopping = spawn(ending, "end of a sender", self.path.broken)
                self._stopping.add(stopping)
                stopping.add_done_callback(self._stopping.discard)

    def send(self, label: str, data: bytes) -> bool:
        """False: the channel is not open."""
        return self.path.send(label, data)

    def buffered(self, label: str) -> int:
        """Bytes handed over and not acknowledged as sent yet."""
        return self.path.buffered(label)

    def sync_state(self) -> rtc.SyncState:
        """What a resumed connection tells the server."""
        connection = self._connection
        state = rtc.SyncState(subscription=rtc.UpdateSubscription(subscribe=True))
        if connection.localDescription is not None:
            offer = rtc.SessionDescription(type="offer", sdp=connection.localDescription.sdp)
            state.offer.CopyFrom(offer)
        if connection.remoteDescription is not None:
            answer = rtc.SessionDescription(type="answer", sdp=connection.remoteDescription.sdp)
            state.answer.CopyFrom(answer)
        for label, channel in self.path.channels.items():
            state.data_channels.add(
                label=label, id=channel.id or 0, target=rtc.SignalTarget.PUBLISHER
            )
        return state

    async def close(self) -> None:
        if self._negotiation is not None:
            self._negotiation.cancel()
            await asyncio.gather(self._negotiation, return_exceptions=True)
        await self.path.close()

    # -- inside ------------------------------------------------------------------------------------

    async def _negotiate(self) -> None:
        while not self.path.closed:
            await self._dirty.wait()
            await asyncio.sleep(_SETTLE_S)
            self._dirty.clear()
            if not await self.path.attempt(self._exchange()):
                return

    async def _exchange(self) -> None:
        connection = self._connection
        self._offer_id += 1
        await connection.setLocalDescription(await connection.createOffer())
        self._answer = asyncio.get_running_loop().create_future()
        offer = rtc.SessionDescription(
            type="offer",
            sdp=compat.hide_idle_sections(connection.localDescription.sdp),
            id=self._offer_id,
        )
        self._send(rtc.SignalRequest(offer=offer))
        async with asyncio.timeout(_ANSWER_S):
            answer = await self._answer
        await connection.setRemoteDescription(RTCSessionDescription(answer.sdp, "answer"))
        await self.path.described(answer.sdp)
        self._listener.mapped(dict(answer.mid_to_track_id))
        await self.path.wait_usable()


def data_packet(
    payload: bytes, topic: str, *, reliable: bool, sequence: int = 0, to: Sequence[str] = ()
) -> bytes:
    """A user message for `RELIABLE` or `LOSSY`."""
    packet = models.DataPacket(
        user=models.UserPacket(payload=payload, topic=topic), destination_identities=to
    )
    if reliable:
        packet.sequence = sequence
    return packet.SerializeToString()
