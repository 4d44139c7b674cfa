"""Two peer connections, as servers before 1.9.11 want them (signal protocol 0).

::

    up: we offer, what we publish and send        down: the server offers, what we take and hear

A server cannot resume this with us: it restarts ICE below, which aiortc does not follow.
"""

import asyncio
import re
from collections.abc import Callable, Sequence
from typing import final

from aiortc import MediaStreamTrack, RTCRtpReceiver, RTCRtpSender, RTCSessionDescription
from livekit.protocol import rtc

from auralink.engine.room import compat
from auralink.engine.room.errors import ConnectionFailed
from auralink.engine.room.ice import IceServer
from auralink.engine.room.media_path import MediaPath, PeerListener
from auralink.engine.room.peer import Peer
from auralink.engine.tasks import spawn


@final
class DualPeer:
    """To a room the same as `Peer`."""

    def __init__(
        self,
        send: Callable[[rtc.SignalRequest], None],
        listener: PeerListener,
        ice_servers: Sequence[IceServer] = (),
    ) -> None:
        self._up = Peer(send, _Upward(listener), ice_servers)
        self._down = Answerer(send, listener, ice_servers)

    @property
    def path(self) -> MediaPath:
        """The one over which this participant is there at all."""
        return self._down.path

    def start(self) -> None:
        self._down.start()
        self._up.start()

    def answer(self, description: rtc.SessionDescription) -> None:
        self._up.answer(description)

    def offer(self, description: rtc.SessionDescription) -> None:
        self._down.offer(description)

    async def trickle(self, candidate: rtc.TrickleRequest) -> None:
        down = candidate.target == rtc.SignalTarget.SUBSCRIBER
        await (self._down.path if down else self._up).trickle(candidate)

    def need_sections(self, audios: int, videos: int) -> None:
        """Sections for what we take come with the server's own offers."""

    def add_track(self, track: MediaStreamTrack, codec: str | None = None) -> RTCRtpSender:
        return self._up.add_track(track, codec)

    def offer_soon(self) -> None:
        self._up.offer_soon()

    def remove_track(self, sender: RTCRtpSender) -> None:
        self._up.remove_track(sender)

    def send(self, label: str, data: bytes) -> bool:
        return self._up.send(label, data)

    def buffered(self, label: str) -> int:
        return self._up.buffered(label)

    def sync_state(self) -> rtc.SyncState:
        return self._up.sync_state()

    async def close(self) -> None:
        await self._up.close()
        await self._down.close()


@final
class Answerer:
    """A peer connection that the server offers."""

    def __init__(
        self,
        send: Callable[[rtc.SignalRequest], None],
        listener: PeerListener,
        ice_servers: Sequence[IceServer] = (),
    ) -> None:
        self.path = MediaPath(listener, ice_servers)
        self._send = send
        self._listener = listener
        self._newest: rtc.SessionDescription | None = None
        self._arrived = asyncio.Event()
        self._answering: asyncio.Task[None] | None = None

    def start(self) -> None:
        self.path.start()
        self._answering = spawn(self._answer(), "answers", self.path.broken)

    def offer(self, description: rtc.SessionDescription) -> None:
        """The newest counts: it describes everything."""
        self._newest = description
        self._arrived.set()

    async def close(self) -> None:
        if self._answering is not None:
            self._answering.cancel()
            await asyncio.gather(self._answering, return_exceptions=True)
        await self.path.close()

    async def _answer(self) -> None:
        while not self.path.closed:
            await self._arrived.wait()
            self._arrived.clear()
            offer, self._newest = self._newest, None
            if offer is not None and not await self.path.attempt(self._exchange(offer)):
                return

    async def _exchange(self, offer: rtc.SessionDescription) -> None:
        connection = self.path.connection
        await connection.setRemoteDescription(RTCSessionDescription(offer.sdp, "offer"))
        await connection.setLocalDescription(await connection.createAnswer())
        answer = rtc.SessionDescription(
            type="answer",
            sdp=compat.hide_idle_sections(connection.localDescription.sdp),
            id=offer.id,
        )
        self._send(rtc.SignalRequest(answer=answer))
        await self.path.described(offer.sdp)
        self._listener.mapped(dict(offer.mid_to_track_id) or tracks_of(offer.sdp))
        await self.path.wait_usable()


@final
class _Upward:
    """What the upward connection tells: nothing of what is received, for there is nothing."""

    def __init__(self, listener: PeerListener) -> None:
        self._listener = listener

    def connected(self) -> None:
        pass

    def failed(self, error: ConnectionFailed) -> None:
        self._listener.failed(error)

    def section(self, mid: str, receiver: RTCRtpReceiver, track: MediaStreamTrack) -> None:
        pass

    def mapped(self, tracks: dict[str, str]) -> None:
        pass

    def message(self, label: str, data: bytes) -> None:
        self._listener.message(label, data)

    def opened(self, label: str) -> None:
        self._listener.opened(label)


def tracks_of(sdp: str) -> dict[str, str]:
    """Track sid by section, from the stream names of a server that does not say it otherwise."""
    found = {}
    for section in re.split(r"(?m)^(?=m=)", sdp)[1:]:
        mid = re.search(r"(?m)^a=mid:(\S+)", section)
        track = re.search(r"(?m)^a=msid:\S+ (TR_\S+)", section)
        if mid and track:
            found[mid[1]] = track[1]
    return found
