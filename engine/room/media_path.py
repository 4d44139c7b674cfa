"""One peer connection, whoever offers: sections, channels, candidates, loss reports."""

import asyncio
import json
import time
from collections import deque
from collections.abc import Coroutine, Sequence
from typing import Any, Final, Protocol, final

from aiortc import (
    MediaStreamTrack,
    RTCBundlePolicy,
    RTCConfiguration,
    RTCDataChannel,
    RTCIceServer,
    RTCPeerConnection,
    RTCRtpReceiver,
)
from aiortc.exceptions import OperationError
from aiortc.sdp import candidate_from_sdp
from livekit.protocol import rtc

from auralink.engine.room import compat, liveness
from auralink.engine.room.errors import ConnectionFailed, IceTcpOnly
from auralink.engine.room.ice import IceServer, has_udp
from auralink.engine.tasks import spawn

RELIABLE: Final = "_reliable"
LOSSY: Final = "_lossy"
DATA_TRACK: Final = "_data_track"

_CONNECT_S: Final = 15.0
_CANDIDATE_S: Final = 5.0  # from the description to the first address that we can use
_WATCH_S: Final = 0.5
_EARLY: Final = 64  # candidates before the first description


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
class MediaPath:
    def __init__(self, listener: PeerListener, ice_servers: Sequence[IceServer]) -> None:
        compat.check()
        compat.limit_chunks()
        compat.free_window()
        compat.limit_forwards()
        liveness.note_arrivals()
        servers = [
            RTCIceServer(
                urls=list(server.urls),
                username=server.username or None,
                credential=server.credential or None,
            )
            for server in ice_servers
            if server.urls
        ]
        self.connection = RTCPeerConnection(
            RTCConfiguration(iceServers=servers, bundlePolicy=RTCBundlePolicy.MAX_BUNDLE)
        )
        self.usable = asyncio.Event()
        self._listener = listener
        self._reachable = asyncio.Event()  # the server named an address that we can use
        self._channels: dict[str, RTCDataChannel] = {}
        self._streams: dict[str, int] = {}  # primary stream by section
        self._repeaters: dict[str, compat.NackRepeater] = {}
        self._early: deque[rtc.TrickleRequest] = deque(maxlen=_EARLY)
        self._tasks: list[asyncio.Task[None]] = []
        self._closed = False

    @property
    def closed(self) -> bool:
        return self._closed

    @property
    def channels(self) -> dict[str, RTCDataChannel]:
        """By label."""
        return self._channels

    def start(self) -> None:
        self.connection.on("connectionstatechange", self._state_changed)
        self.connection.on("track", self._track)
        self.connection.on("datachannel", self.attach)
        self._tasks = [
            spawn(self._repeat_nacks(), "loss reports", self.broken),
            spawn(self._watch(), "liveness", self.broken),
        ]

    def attach(self, channel: RTCDataChannel) -> None:
        label = channel.label
        if label in (RELIABLE, LOSSY, DATA_TRACK) and label not in self._channels:
            self._channels[label] = channel
        channel.on("open", lambda: self._listener.opened(label))
        channel.on("message", lambda data: self._message(label, data))

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

    async def trickle(self, candidate: rtc.TrickleRequest) -> None:
        if self.connection.remoteDescription is None:
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
                await self.connection.addIceCandidate(found)
        if candidate.final:
            await self.connection.addIceCandidate(None)

    async def described(self, sdp: str) -> None:
        """The server's description was applied."""
        if has_udp(sdp):
            self._reachable.set()
        while self._early:
            await self.trickle(self._early.popleft())
        compat.register_streams(self.connection, self._streams)

    async def wait_usable(self) -> None:
        """
        Raises:
            IceTcpOnly: no address that we can use.
            TimeoutError: no connection.
        """
        async with asyncio.timeout(_CONNECT_S):
            await self._wait_for_address()
            await self.usable.wait()

    async def attempt(self, exchange: Coroutine[Any, Any, None]) -> bool:
        """Await an exchange of descriptions; False: it failed, and the listener knows."""
        try:
            await exchange
        except IceTcpOnly as only:
            self.fail(only)
        except TimeoutError:
            self.fail(ConnectionFailed("no answer to an offer, or no connection after it"))
        except (ValueError, KeyError, OperationError) as odd:
            self.fail(ConnectionFailed(f"the server's description cannot be used: {odd}"))
        else:
            return True
        return False

    def broken(self, error: BaseException) -> None:
        """A task of ours failed."""
        self.fail(ConnectionFailed(f"{type(error).__name__} in the peer connection"))

    def fail(self, error: ConnectionFailed) -> None:
        if not self._closed:
            self._listener.failed(error)

    async def close(self) -> None:
        self._closed = True
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.connection.close()

    async def _wait_for_address(self) -> None:
        if self.usable.is_set():
            return
        try:
            async with asyncio.timeout(_CANDIDATE_S):
                await self._reachable.wait()
        except TimeoutError:
            raise IceTcpOnly(
                "the server offers no UDP address, as LiveKit does for five minutes after UDP "
                "failed: set rtc.allow_tcp_fallback to false there, or use another identity"
            ) from None

    async def _watch(self) -> None:
        await self.usable.wait()
        while not self._closed:
            await asyncio.sleep(_WATCH_S)
            heard = liveness.last_heard(self.connection)
            if heard is not None and time.monotonic() - heard >= liveness.SILENCE_S:
                silent = f"nothing came over the media path for {liveness.SILENCE_S:g} s"
                self.fail(ConnectionFailed(silent))
                return

    async def _repeat_nacks(self) -> None:
        while not self._closed:
            await asyncio.sleep(compat.REPEAT_S)
            for mid, repeater in list(self._repeaters.items()):  # sections come while we wait
                if mid in self._streams:
                    await repeater.repeat(self._streams[mid])

    def _state_changed(self) -> None:
        state = self.connection.connectionState
        if state == "connected":
            self.usable.set()
            self._listener.connected()
        elif state in ("failed", "closed"):
            self.fail(ConnectionFailed(f"the peer connection {state}"))

    def _track(self, track: MediaStreamTrack) -> None:
        for transceiver in self.connection.getTransceivers():
            receiver = transceiver.receiver
            if receiver.track is track and transceiver.mid is not None:
                if track.kind == "video":
                    compat.prompt_frames(receiver)
                    self._repeaters[transceiver.mid] = compat.NackRepeater(receiver)
                self._listener.section(transceiver.mid, receiver, track)

    def _message(self, label: str, data: bytes | str) -> None:
        self._listener.message(label, data.encode() if isinstance(data, str) else data)
