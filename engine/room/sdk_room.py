"""A LiveKit room through LiveKit's own SDK (extra `livekit`): the other `RoomTransport`.

For what ours cannot do: ICE over TCP, ICE restarts, codecs that PyAV does not decode.  What it
lacks: pictures come decoded only and with no capture time, packets of data tracks with no number,
and it does not say whether anybody watches.
"""

import asyncio
import contextlib
import random
import time
from collections.abc import Coroutine, Sequence
from dataclasses import dataclass
from typing import Any, Final, final

from livekit import rtc
from livekit.protocol import models
from livekit.protocol import rtc as signals
from livekit.rtc.participant import PublishDataError

from auralink.codecs.errors import InputError
from auralink.engine.room.endpoints import check_server
from auralink.engine.room.errors import AccessRefused, ConnectionFailed, RoomError, RoomMissing
from auralink.engine.room.policy import Next, after_leave, pause_s
from auralink.engine.room.roster import TrackRefused
from auralink.engine.room.sdk_publications import SdkData, SdkMedia
from auralink.engine.room.sdk_roster import SdkRoster
from auralink.engine.room.sdk_subscriptions import SdkSubscriptions
from auralink.engine.room.transport import (
    AudioOffer,
    AudioSink,
    DataSink,
    RoomListener,
    VideoOffer,
    VideoSink,
)
from auralink.engine.tasks import spawn

_MAX_CONTROL_BYTES: Final = 15_000
_CONTROL_WAITING: Final = 64
_CONNECT_S: Final = 10.0
_STEADY_S: Final = 5.0  # a connection that lasted so long ends the outage before it


@dataclass(frozen=True, slots=True)
class _Message:
    topic: str
    payload: bytes
    to: list[str]
    reliable: bool


@final
class SdkRoom:
    """
    Args:
        server: ``wss://HOST`` or ``ws://HOST:PORT``.
        token: with ``roomJoin`` for the room, and what the bot shall be allowed to do.

    Raises:
        InputError: no such address.
    """

    def __init__(self, server: str, token: str, listener: RoomListener) -> None:
        check_server(server)
        self._server = server
        self._token = token
        self._listener = listener
        self._room: rtc.Room | None = None
        self._roster = SdkRoster(self._listener.changed)
        self._subscriptions = SdkSubscriptions(self._roster, self._start)
        self._media: list[SdkMedia] = []
        self._data: list[SdkData] = []
        self._control: asyncio.Queue[_Message] = asyncio.Queue(_CONTROL_WAITING)
        self._identity = ""
        self._leaving = asyncio.Event()
        self._over: asyncio.Future[int] | None = None  # why the connection ended
        self._tasks: set[asyncio.Task[None]] = set()

    # -- RoomTransport -----------------------------------------------------------------------------

    @property
    def identity(self) -> str:
        return self._identity

    async def run(self) -> None:
        error: RoomError | None = None
        tries = 0
        try:
            while not self._leaving.is_set():
                began = time.monotonic()
                try:
                    reason = await self._once()
                except RoomError as failed:
                    if not failed.retry:
                        error = failed
                        return
                else:
                    if time.monotonic() - began >= _STEADY_S:
                        tries = 0
                    error = self._lost(reason)
                    if error is not None:
                        return
                await self._pause(pause_s(tries, random.random()))
                tries += 1
        finally:
            await self._end_tasks()
            self._listener.ended(error)

    def leave(self) -> None:
        self._leaving.set()

    def subscribe_video(self, sid: str, sink: VideoSink) -> None:
        self._subscriptions.video(sid, sink)

    def subscribe_audio(self, sid: str, sink: AudioSink) -> None:
        self._subscriptions.audio(sid, sink)

    def subscribe_data(self, sid: str, sink: DataSink) -> None:
        self._subscriptions.data(sid, sink)

    def unsubscribe(self, sid: str) -> None:
        self._subscriptions.end(sid)

    def wish_size(self, sid: str, size: tuple[int, int], fps: int) -> None:
        self._subscriptions.wish_size(sid, size)

    def received_bytes(self, sid: str) -> int | None:
        return None  # the SDK keeps packets to itself

    def publish_video(self, offer: VideoOffer) -> SdkMedia:
        return self._publish(offer)

    def publish_audio(self, offer: AudioOffer) -> SdkMedia:
        return self._publish(offer)

    def publish_data(self, name: str) -> SdkData:
        data = SdkData(name, self._start, self._data.remove)
        self._data.append(data)
        if self._room is not None:
            data.announce(self._room)
        return data

    def send_control(
        self, topic: str, payload: bytes, to: Sequence[str] = (), *, reliable: bool = True
    ) -> bool:
        if len(payload) > _MAX_CONTROL_BYTES:
            raise InputError(f"control message of {len(payload)} bytes: at most 15,000")
        if self._room is None or self._control.full():
            return False
        self._control.put_nowait(_Message(topic, payload, list(to), reliable))
        return True

    # -- one connection ----------------------------------------------------------------------------

    async def _once(self) -> int:
        """Be in the room until it ends; why it did.

        Raises:
            RoomError: it was never joined.
        """
        room = rtc.Room()
        over = self._over = asyncio.get_running_loop().create_future()
        room.on("disconnected", self._disconnected)
        room.on("data_received", self._received)
        room.on("track_subscription_failed", self._refused)
        self._roster.follow(room)
        self._subscriptions.follow(room)
        options = rtc.RoomOptions(auto_subscribe=False, connect_timeout=_CONNECT_S)
        try:
            await room.connect(self._server, self._token, options)
        except rtc.ConnectError as failed:
            raise classify(str(failed), self._server) from None
        self._room = room
        self._identity = room.local_participant.identity
        room.on("token_refreshed", lambda: self._refresh(room))
        self._listener.joined()
        self._roster.start(room)
        for one in self._publications:
            one.announce(room)
        sending = self._start(self._send(room), "control messages")
        try:
            leaving = asyncio.ensure_future(self._leaving.wait())
            await asyncio.wait([over, leaving], return_when=asyncio.FIRST_COMPLETED)
            leaving.cancel()
        finally:
            self._room = None
            sending.cancel()
            for one in self._publications:
                one.withdraw()
            await self._subscriptions.close()
            await room.disconnect()
        return over.result() if over.done() else models.DisconnectReason.CLIENT_INITIATED

    def _lost(self, reason: int) -> RoomError | None:
        """After a connection: the error that ends it all, if it is one."""
        self._roster.clear()
        if self._leaving.is_set():
            return None
        name = models.DisconnectReason.Name(reason)
        then, error = after_leave(signals.LeaveRequest(reason=name))
        if then is Next.END:
            return error
        self._listener.lost(f"the SDK lost the room: {name}")
        return None

    async def _send(self, room: rtc.Room) -> None:
        while True:
            message = await self._control.get()
            with contextlib.suppress(PublishDataError):  # its receiver asks again
                await room.local_participant.publish_data(
                    message.payload,
                    reliable=message.reliable,
                    topic=message.topic,
                    destination_identities=message.to,
                )

    def _disconnected(self, reason: int) -> None:
        if self._over is not None and not self._over.done():
            self._over.set_result(reason)

    def _refused(self, person: rtc.RemoteParticipant, sid: str, reason: str) -> None:
        self._listener.changed(TrackRefused(sid, reason))

    def _received(self, packet: rtc.DataPacket) -> None:
        identity = packet.participant.identity if packet.participant else ""
        self._listener.control(identity, packet.topic or "", packet.data)

    def _refresh(self, room: rtc.Room) -> None:
        self._token = room._token or self._token

    def _publish(self, offer: VideoOffer | AudioOffer) -> SdkMedia:
        media = SdkMedia(offer, self._start, self._media.remove)
        self._media.append(media)
        if self._room is not None:
            media.announce(self._room)
        return media

    @property
    def _publications(self) -> list[SdkMedia | SdkData]:
        return [*self._media, *self._data]

    # -- tasks -------------------------------------------------------------------------------------

    def _start(self, work: Coroutine[Any, Any, None], name: str) -> asyncio.Task[None]:
        task = spawn(work, name, lambda error: None)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _pause(self, seconds: float) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._leaving.wait()

    async def _end_tasks(self) -> None:
        for one in self._publications:
            one.withdraw()
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def classify(text: str, server: str) -> RoomError:
    """What the SDK says of a failed join; it may quote the token, so it is not passed on."""
    if "401" in text or "403" in text:
        return AccessRefused("the server refused the token: wrong, expired, or no roomJoin")
    if "not exist" in text:
        return RoomMissing("the room does not exist and the server does not create it")
    return ConnectionFailed(f"the SDK cannot connect to {server}")
