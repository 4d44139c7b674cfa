"""A LiveKit room over our own signal client and aiortc: the `RoomTransport` of choice."""

from collections.abc import Sequence
from typing import Final, final

from aiortc import MediaStreamTrack, RTCRtpReceiver
from google.protobuf.message import DecodeError
from livekit.protocol import models, rtc

from auralink.codecs.errors import BitstreamError, InputError
from auralink.engine.room.data_packet import parse_packet
from auralink.engine.room.data_publication import DataPublication
from auralink.engine.room.dual_peer import DualPeer
from auralink.engine.room.errors import ConnectionFailed
from auralink.engine.room.ice import relay_servers
from auralink.engine.room.lossy_tracks import (
    PACKET_TOPIC,
    TRACKS_TOPIC,
    LossyTracks,
    lossy_sid,
    needs_lossy,
)
from auralink.engine.room.media_path import DATA_TRACK, LOSSY, RELIABLE
from auralink.engine.room.peer import Peer, data_packet
from auralink.engine.room.publications import MediaPublication, Publications
from auralink.engine.room.roster import (
    DataTrackRemoved,
    ParticipantLeft,
    Roster,
    TrackRefused,
    TrackRemoved,
)
from auralink.engine.room.signal import Event, SignalClient
from auralink.engine.room.signal_actions import Ended, Joined, Lost, Message, Resumed
from auralink.engine.room.subscriptions import MAX_SUBSCRIBED, Subscriptions
from auralink.engine.room.transport import (
    AudioOffer,
    AudioSink,
    DataSink,
    RoomListener,
    VideoOffer,
    VideoSink,
)

_MAX_CONTROL_BYTES: Final = 15_000  # of a reliable message; servers refuse more than 16 KiB
_MAX_CONTROL_BUFFERED: Final = 65_536


@final
class LiveKitRoom:
    """
    Args:
        server: ``wss://HOST`` or ``ws://HOST:PORT``.
        token: with ``roomJoin`` for the room, and what the bot shall be allowed to do.
        version: of this engine, shown to the server.

    Raises:
        InputError: no such address.
    """

    def __init__(self, server: str, token: str, listener: RoomListener, *, version: str) -> None:
        self._listener = listener
        self._signal = SignalClient(server, token, self._event, version=version)
        self._roster = Roster()
        self._peer: Peer | DualPeer | None = None
        self._joined = False
        self._resumed = False  # and the participants are not told anew yet
        self._publications = Publications(self)
        self._subscriptions = Subscriptions(self.request)
        self._lossy = LossyTracks(self.send_control, self._changes)
        self._identity = ""
        self._sequence = 0
        self.bad_packets = 0

    # -- RoomTransport -----------------------------------------------------------------------------

    @property
    def identity(self) -> str:
        return self._identity

    @property
    def signal(self) -> SignalClient:
        """For its state and counts."""
        return self._signal

    async def run(self) -> None:
        try:
            await self._signal.run()
        finally:
            await self._drop_peer()

    def leave(self) -> None:
        self._signal.stop()

    def subscribe_video(self, sid: str, sink: VideoSink) -> None:
        self._check_room()
        self._subscriptions.video(sid, sink)

    def subscribe_audio(self, sid: str, sink: AudioSink) -> None:
        self._check_room()
        self._subscriptions.audio(sid, sink)

    def subscribe_data(self, sid: str, sink: DataSink) -> None:
        self._check_room()
        self._subscriptions.data(sid, sink)

    def unsubscribe(self, sid: str) -> None:
        self._subscriptions.end(sid)

    def wish_size(self, sid: str, size: tuple[int, int], fps: int) -> None:
        settings = rtc.UpdateTrackSettings(track_sids=[sid], width=size[0], height=size[1], fps=fps)
        self.request(rtc.SignalRequest(track_setting=settings))

    def received_bytes(self, sid: str) -> int | None:
        return self._subscriptions.received_bytes(sid)

    def publish_video(self, offer: VideoOffer) -> MediaPublication:
        return self._publications.add_media(offer, now=self._joined)

    def publish_audio(self, offer: AudioOffer) -> MediaPublication:
        return self._publications.add_media(offer, now=self._joined)

    def publish_data(self, name: str) -> DataPublication:
        return self._publications.add_data(name, now=self._joined)

    def send_control(
        self, topic: str, payload: bytes, to: Sequence[str] = (), *, reliable: bool = True
    ) -> bool:
        peer = self._peer
        if len(payload) > _MAX_CONTROL_BYTES:
            raise InputError(f"control message of {len(payload)} bytes: at most 15,000")
        label = RELIABLE if reliable else LOSSY
        if peer is None or peer.buffered(label) > _MAX_CONTROL_BUFFERED:
            return False
        self._sequence += reliable
        packet = data_packet(payload, topic, reliable=reliable, sequence=self._sequence, to=to)
        return peer.send(label, packet)

    # -- Wire, for publications --------------------------------------------------------------------

    @property
    def peer(self) -> Peer | DualPeer | None:
        return self._peer

    @property
    def lossy(self) -> LossyTracks:
        return self._lossy

    def request(self, request: rtc.SignalRequest) -> None:
        self._signal.send(request)

    # -- the signal connection ---------------------------------------------------------------------

    async def _event(self, event: Event) -> None:
        match event:
            case Joined(response):
                await self._join(response)
            case Resumed():
                await self._resume()
            case Lost(reason):
                self._joined = False
                await self._drop_peer()
                self._listener.lost(reason)
            case Message(kind, response):
                await self._message(kind, response)
            case Ended(error):
                self._joined = False
                await self._drop_peer()
                self._listener.ended(error)

    async def _join(self, join: rtc.JoinResponse) -> None:
        await self._drop_peer()
        self._identity = join.participant.identity
        self._joined = True
        self._resumed = False
        self._changes(self._roster.reset(join.participant.sid))
        self._lossy.joined(active=needs_lossy(join.server_info.version))
        kind = DualPeer if self._signal.old else Peer
        self._peer = kind(self.request, self, relay_servers(join))
        self._peer.start()
        self._publications.joined(_permission(join.participant))
        self._listener.joined()
        self._changes(self._roster.update(join.other_participants))

    async def _resume(self) -> None:
        if self._peer is None:
            return
        self._resumed = True
        state = self._peer.sync_state()
        self._publications.sync(state)
        self._subscriptions.sync(state)
        await self._signal.send_first(rtc.SignalRequest(sync_state=state))

    async def _message(self, kind: str, response: rtc.SignalResponse) -> None:
        peer = self._peer
        if peer is None:
            return
        match kind:
            case "answer":
                peer.answer(response.answer)
            case "offer":
                peer.offer(response.offer)
            case "trickle":
                await peer.trickle(response.trickle)
            case "media_sections_requirement":
                need = response.media_sections_requirement
                peer.need_sections(need.num_audios, need.num_videos)
            case "update":
                self._update(response.update.participants)
            case "track_published":
                self._publications.track_published(response.track_published, peer)
            case "track_unpublished":
                self._publications.track_unpublished(response.track_unpublished.track_sid)
            case "publish_data_track_response":
                self._publications.data_published(response.publish_data_track_response)
            case "subscribed_quality_update":
                self._publications.quality(response.subscribed_quality_update)
            case "data_track_subscriber_handles":
                self._subscriptions.handles(response.data_track_subscriber_handles)
            case "subscription_response":
                self._refused(response.subscription_response)
            case "room_moved":
                moved = response.room_moved
                self._changes(self._roster.reset(moved.participant.sid))
                self._changes(self._roster.update(moved.other_participants))
            case _:
                pass  # speakers, connection quality and the like are nobody's concern here

    def _update(self, people: Sequence[models.ParticipantInfo]) -> None:
        for info in people:
            if info.sid == self._roster.own_sid:
                self._publications.permitted(_permission(info))
        # After a resume the server tells of everybody at once, ourselves among them.
        if self._resumed and any(info.sid == self._roster.own_sid for info in people):
            self._resumed = False
            self._changes(self._roster.snapshot(people))
        else:
            self._changes(self._roster.update(people))

    def _refused(self, response: rtc.SubscriptionResponse) -> None:
        self._subscriptions.gone(response.track_sid)
        reason = models.SubscriptionError.Name(response.err).removeprefix("SE_").lower()
        self._listener.changed(TrackRefused(response.track_sid, reason))

    def _changes(self, changes: Sequence[object]) -> None:
        for change in changes:
            if isinstance(change, TrackRemoved | DataTrackRemoved):
                self._subscriptions.gone(change.track.sid)
            elif isinstance(change, ParticipantLeft):
                self._lossy.left(change.identity)
            self._listener.changed(change)  # type: ignore[arg-type]

    async def _drop_peer(self) -> None:
        peer, self._peer = self._peer, None
        await self._subscriptions.close()
        if peer is not None:
            await peer.close()

    def _check_room(self) -> None:
        if self._subscriptions.count >= MAX_SUBSCRIBED:
            raise InputError(f"a participant takes at most {MAX_SUBSCRIBED} tracks here")

    # -- PeerListener ------------------------------------------------------------------------------

    def connected(self) -> None:
        pass

    def failed(self, error: ConnectionFailed) -> None:
        self._signal.media_failed(error)

    def section(self, mid: str, receiver: RTCRtpReceiver, track: MediaStreamTrack) -> None:
        self._subscriptions.section(mid, receiver, track)

    def mapped(self, tracks: dict[str, str]) -> None:
        self._subscriptions.mapped(tracks)

    def opened(self, label: str) -> None:
        if label == RELIABLE:
            self._lossy.opened()

    def message(self, label: str, data: bytes) -> None:
        try:
            if label == DATA_TRACK:
                self._subscriptions.packet(parse_packet(data))
                return
            packet = models.DataPacket.FromString(data)
            if packet.WhichOneof("value") == "user":
                identity = packet.participant_identity or packet.user.participant_identity
                self._user(identity, packet.user.topic, packet.user.payload)
        except (BitstreamError, DecodeError):
            self.bad_packets += 1

    def _user(self, identity: str, topic: str, payload: bytes) -> None:
        if topic == PACKET_TOPIC:
            packet = parse_packet(payload)
            self._subscriptions.packet_of(lossy_sid(identity, packet.handle), packet)
        elif topic == TRACKS_TOPIC:
            self._lossy.message(identity, payload)
        else:
            self._listener.control(identity, topic, payload)


def _permission(own: models.ParticipantInfo) -> models.ParticipantPermission:
    if own.HasField("permission"):
        return own.permission
    return models.ParticipantPermission(can_publish=True, can_publish_data=True)
