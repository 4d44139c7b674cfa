"""The one peer connection of a participant (signal protocol 1: everything over one, we offer).

::

    dirty ──► offer ──► answer with the same id ──► streams registered ──► dirty again?
                          │ 15 s without one: failed

One exchange at a time: an offer made before the transport is connected confuses aiortc.
"""

import asyncio
import json
from collections import deque
from collections.abc import Callable, Sequence
from typing import Final, Protocol, final

from aiortc import (
    MediaStreamTrack,
    RTCBundlePolicy,
    RTCConfiguration,
    RTCDataChannel,
    RTCIceServer,
    RTCPeerConnection,
    RTCRtpReceiver,
    RTCRtpSender,
    RTCSessionDescription,
)
from aiortc.sdp import candidate_from_sdp
from livekit.protocol import models, rtc

from auralink.engine.room import compat
from auralink.engine.room.errors import ConnectionFailed, IceTcpOnly
from auralink.engine.room.ice import IceServer, has_udp
from auralink.engine.tasks import spawn

RELIABLE: Final = "_reliable"
LOSSY: Final = "_lossy"
DATA_TRACK: Final = "_data_track"

MAX_SECTIONS: Final = 128  # of SDP: what arrives in them is somebody else's doing
_ANSWER_S: Final = 15.0
_CONNECT_S: Final = 15.0
_CANDIDATE_S: Final = 5.0  # from the answer to the first address that we can use
_EARLY: Final = 64  # candidates before the first answer
_SETTLE_S: Final = 0.01  # what becomes dirty together goes into one offer


class PeerListener(Protocol):
    """Called on the event loop; must return at once."""

    def connected(self) -> None: ...

    def failed(self, error: ConnectionFailed) -> None: ...

    def section(self, mid: str, receiver: RTCRtpReceiver, track: MediaStreamTrack) -> None:
        """A section that receives exists; which track it carries, `mapped` says."""

    def mapped(self, tracks: dict[str, str]) -> None:
        """Track sid by section, complete."""

    def message(self, label: str, data: bytes) -> None: ...

    def opened(self, label: str) -> None: ...


@final
class Peer:
    def __init__(
        self,
        send: Callable[[rtc.SignalRequest], None],
        listener: PeerListener,
        ice_servers: Sequence[IceServer] = (),
    ) -> None:
        compat.check()
        compat.limit_chunks()
        compat.free_window()
        self._send = send
        self._listener = listener
        servers = [
            RTCIceServer(
                urls=list(server.urls),
                username=server.username or None,
                credential=server.credential or None,
            )
            for server in ice_servers
            if server.urls
        ]
        self._connection = RTCPeerConnection(
            RTCConfiguration(iceServers=servers, bundlePolicy=RTCBundlePolicy.MAX_BUNDLE)
        )
        self._channels: dict[str, RTCDataChannel] = {}
        self._streams: dict[str, int] = {}  # primary stream by section
        self._repeaters: dict[str, compat.NackRepeater] = {}
        self._early: deque[rtc.TrickleRequest] = deque(maxlen=_EARLY)
        self._dirty = asyncio.Event()
        self._answer: asyncio.Future[rtc.SessionDescription] | None = None
        self._offer_id = 0
        self._usable = asyncio.Event()
        self._reachable = asyncio.Event()  # the server named an address that we can use
        self._tasks: list[asyncio.Task[None]] = []
        self._closed = False

    def start(self) -> None:
        """Offer one section of each kind and the data channels, and stay in step from then on."""
        # Without both kinds in the first offer the server's answer may use payload types that
        # aiortc has given to something else.
        self._connection.addTransceiver("audio", direction="recvonly")
        self._connection.addTransceiver("video", direction="recvonly")
        self._attach(self._connection.createDataChannel(RELIABLE, ordered=True))
        for label in (LOSSY, DATA_TRACK):
            self._attach(self._connection.createDataChannel(label, ordered=False, maxRetransmits=0))
        self._connection.on("connectionstatechange", self._state_changed)
        self._connection.on("track", self._track)
        self._connection.on("datachannel", self._attach)
        self._dirty.set()
        self._tasks = [
            spawn(self._negotiate(), "negotiation", self._broken),
            spawn(self._repeat_nacks(), "loss reports", self._broken),
        ]

    # -- what the server says --------------------------------------------------------------------

    def answer(self, description: rtc.SessionDescription) -> None:
        """Of an older offer: ignored."""
        stale = description.id and description.id != self._offer_id
        if self._answer is not None and not self._answer.done() and not stale:
            self._answer.set_result(description)

    async def trickle(self, candidate: rtc.TrickleRequest) -> None:
        if self._connection.remoteDescription is None:
            self._early.append(candidate)
            return
        if candidate.candidateInit:
            told = json.loads(candidate.candidateInit)
            line = str(told.get("candidate", "")).removeprefix("candidate:")
            if line:
                found = candidate_from_sdp(line)
                if found.protocol.lower() == "udp":
                    self._reachable.set()
                found.sdpMid = told.get("sdpMid") or "0"
                found.sdpMLineIndex = told.get("sdpMLineIndex")
                await self._connection.addIceCandidate(found)
        if candidate.final:
            await self._connection.addIceCandidate(None)

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

    def send(self, label: str, data: bytes) -> bool:
        """False: the channel is not open."""
        channel = self._channels.get(label)
        if channel is None or channel.readyState != "open":
            return False
        channel.send(data)
        return True

    def buffered(self, label: str) -> int:
        """Bytes handed over and not acknowledged as sent yet."""
        channel = self._channels.get(label)
        return 0 if channel is None else channel.bufferedAmount

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
        for label, channel in self._channels.items():
            state.data_channels.add(
                label=label, id=channel.id or 0, target=rtc.SignalTarget.PUBLISHER
            )
        return state

    async def close(self) -> None:
        self._closed = True
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._connection.close()

    # -- inside ------------------------------------------------------------------------------------

    async def _negotiate(self) -> None:
        while not self._closed:
            await self._dirty.wait()
            await asyncio.sleep(_SETTLE_S)
            self._dirty.clear()
            try:
                await self._exchange()
            except IceTcpOnly as only:
                self._give_up(only)
                return
            except TimeoutError:
                self._fail("no answer to an offer, or no connection after it")
                return
            except (ValueError, KeyError) as odd:
                self._fail(f"the server's description cannot be used: {odd}")
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
        if has_udp(answer.sdp):
            self._reachable.set()
        while self._early:
            await self.trickle(self._early.popleft())
        compat.register_streams(connection, self._streams)
        self._listener.mapped(dict(answer.mid_to_track_id))
        async with asyncio.timeout(_CONNECT_S):
            await self._wait_for_address()
            await self._usable.wait()

    async def _wait_for_address(self) -> None:
        if self._usable.is_set():
            return
        try:
            async with asyncio.timeout(_CANDIDATE_S):
                await self._reachable.wait()
        except TimeoutError:
            raise IceTcpOnly(
                "the server offers no UDP address, as LiveKit does for five minutes after UDP "
                "failed: set rtc.allow_tcp_fallback to false there, or use another identity"
            ) from None

    async def _repeat_nacks(self) -> None:
        while not self._closed:
            await asyncio.sleep(compat.REPEAT_S)
            for mid, repeater in list(self._repeaters.items()):  # sections come while we wait
                if mid in self._streams:
                    await repeater.repeat(self._streams[mid])

    def _state_changed(self) -> None:
        state = self._connection.connectionState
        if state == "connected":
            self._usable.set()
            self._listener.connected()
        elif state in ("failed", "closed") and not self._closed:
            self._fail(f"the peer connection {state}")

    def _broken(self, error: BaseException) -> None:
        self._fail(f"{type(error).__name__} in the peer connection")

    def _fail(self, why: str) -> None:
        self._give_up(ConnectionFailed(why))

    def _give_up(self, error: ConnectionFailed) -> None:
        if not self._closed:
            self._listener.failed(error)

    def _track(self, track: MediaStreamTrack) -> None:
        for transceiver in self._connection.getTransceivers():
            receiver = transceiver.receiver
            if receiver.track is track and transceiver.mid is not None:
                if track.kind == "video":
                    self._repeaters[transceiver.mid] = compat.NackRepeater(receiver)
                self._listener.section(transceiver.mid, receiver, track)

    def _attach(self, channel: RTCDataChannel) -> None:
        label = channel.label
        if label in (RELIABLE, LOSSY, DATA_TRACK) and label not in self._channels:
            self._channels[label] = channel
        channel.on("open", lambda: self._listener.opened(label))
        channel.on("message", lambda data: self._message(label, data))

    def _message(self, label: str, data: bytes | str) -> None:
        self._listener.message(label, data.encode() if isinstance(data, str) else data)


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
