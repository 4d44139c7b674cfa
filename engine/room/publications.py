"""What this participant publishes, kept as wishes so that every join can repeat them."""

from collections.abc import Callable
from typing import Final, final

from aiortc import MediaStreamTrack, RTCRtpSender
from livekit.protocol import models, rtc

from auralink.codecs.errors import InputError
from auralink.engine.room import compat
from auralink.engine.room.data_publication import DataPublication, Wire
from auralink.engine.room.dual_peer import DualPeer
from auralink.engine.room.peer import Peer
from auralink.engine.room.transport import AudioOffer, VideoOffer

MAX_PUBLISHED: Final = 64

_SOURCES: Final = {
    "camera": models.TrackSource.CAMERA,
    "microphone": models.TrackSource.MICROPHONE,
    "screen_share": models.TrackSource.SCREEN_SHARE,
    "screen_share_audio": models.TrackSource.SCREEN_SHARE_AUDIO,
}


@final
class MediaPublication:
    """One audio or video track."""

    def __init__(
        self, wire: Wire, offer: VideoOffer | AudioOffer, forget: Callable[[object], None]
    ) -> None:
        self._wire = wire
        self._offer = offer
        self._forget = forget
        self._track: MediaStreamTrack | None = None
        self._sender: RTCRtpSender | None = None
        self._muted = False
        self.sid = ""
        self.info: rtc.TrackPublishedResponse | None = None

    @property
    def cid(self) -> str:
        return "" if self._track is None else self._track.id

    def announce(self) -> None:
        """Ask the server to take the track; it answers with `TrackPublishedResponse`."""
        self._track = self._offer.make_track()
        self._sender = None
        self.sid, self.info = "", None
        self._wire.request(rtc.SignalRequest(add_track=self._request()))

    def accepted(self, info: rtc.TrackPublishedResponse, peer: Peer | DualPeer) -> None:
        """The server knows the track: send it."""
        self.info = info
        self.sid = info.track.sid
        if self._track is None or self._sender is not None:
            return
        offer = self._offer
        if isinstance(offer, VideoOffer):
            self._sender = peer.add_track(self._track, offer.codec)
            compat.on_key_request(self._sender, offer.key_wanted)
        else:
            self._sender = peer.add_track(self._track)
        peer.offer_soon()
        if self._muted:
            self.mute(True)

    def watched(self, update: rtc.SubscribedQualityUpdate) -> None:
        """Dynacast: whether anybody looks at any layer."""
        if not isinstance(self._offer, VideoOffer):
            return
        qualities = [quality.enabled for quality in update.subscribed_qualities]
        qualities += [
            quality.enabled for codec in update.subscribed_codecs for quality in codec.qualities
        ]
        if qualities:
            self._offer.paused(not any(qualities))

    def mute(self, muted: bool) -> None:
        self._muted = muted
        if self.sid:
            request = rtc.MuteTrackRequest(sid=self.sid, muted=muted)
            self._wire.request(rtc.SignalRequest(mute=request))

    def unpublish(self) -> None:
        self._forget(self)
        self.withdraw()

    def withdraw(self) -> None:
        """Stop sending; `announce` begins afresh."""
        peer, sender = self._wire.peer, self._sender
        if peer is not None and sender is not None:
            peer.remove_track(sender)
        if self._track is not None:
            self._track.stop()
        self._track, self._sender = None, None
        self.sid, self.info = "", None

    def _request(self) -> rtc.AddTrackRequest:
        offer = self._offer
        request = rtc.AddTrackRequest(
            cid=self.cid,
            name=offer.name,
            muted=self._muted,
            source=_SOURCES.get(offer.source, models.TrackSource.UNKNOWN),
        )
        if isinstance(offer, VideoOffer):
            request.type = models.TrackType.VIDEO
            request.width, request.height = offer.size
            request.layers.add(
                quality=models.VideoQuality.HIGH,
                width=offer.size[0],
                height=offer.size[1],
                bitrate=offer.bitrate_bps,
            )
        else:
            request.type = models.TrackType.AUDIO
            request.disable_red = True
        return request


@final
class Publications:
    """All of them, and which answer belongs to which."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self._media: list[MediaPublication] = []
        self._data: list[DataPublication] = []
        self._next_handle = 1
        self._may_media = True
        self._may_data = True

    def add_media(self, offer: VideoOffer | AudioOffer, *, now: bool) -> MediaPublication:
        """
        Args:
            now: the room is joined: announce at once.

        Raises:
            InputError: too many.
        """
        self._check()
        publication = MediaPublication(self._wire, offer, self._forget)
        self._media.append(publication)
        if now and self._may_media:
            publication.announce()
        return publication

    def add_data(self, name: str, *, now: bool) -> DataPublication:
        self._check()
        publication = DataPublication(self._wire, name, self._next_handle, self._forget)
        self._next_handle += 1
        self._data.append(publication)
        if now and self._may_data:
            publication.announce()
        return publication

    def joined(self, permission: models.ParticipantPermission) -> None:
        """Announce everything that is allowed."""
        self._may_media, self._may_data = permission.can_publish, permission.can_publish_data
        if self._may_media:
            for media in self._media:
                media.announce()
        if self._may_data:
            for data in self._data:
                data.announce()

    def permitted(self, permission: models.ParticipantPermission) -> None:
        """What may be published has changed, perhaps: servers end what may not, and say no more."""
        may_media, may_data = permission.can_publish, permission.can_publish_data
        if may_media is not self._may_media:
            self._may_media = may_media
            for media in self._media:
                (media.announce if may_media else media.withdraw)()
        if may_data is not self._may_data:
            self._may_data = may_data
            for data in self._data:
                (data.announce if may_data else data.withdraw)()

    def track_published(self, response: rtc.TrackPublishedResponse, peer: Peer | DualPeer) -> None:
        for publication in self._media:
            if publication.cid == response.cid:
                publication.accepted(response, peer)

    def data_published(self, response: rtc.PublishDataTrackResponse) -> None:
        for publication in self._data:
            if publication.handle == response.info.pub_handle:
                publication.accepted(response)

    def track_unpublished(self, sid: str) -> None:
        """By the server, for instance when an administrator does so: announce it again? No."""
        self._media = [publication for publication in self._media if publication.sid != sid]

    def quality(self, update: rtc.SubscribedQualityUpdate) -> None:
        for publication in self._media:
            if publication.sid == update.track_sid:
                publication.watched(update)

    def sync(self, state: rtc.SyncState) -> None:
        """Name everything to a server that a connection is resumed with."""
        state.publish_tracks.extend(one.info for one in self._media if one.info is not None)
        state.publish_data_tracks.extend(one.info for one in self._data if one.info is not None)

    def _check(self) -> None:
        if len(self._media) + len(self._data) >= MAX_PUBLISHED:
            raise InputError(f"a participant publishes at most {MAX_PUBLISHED} tracks here")

    def _forget(self, publication: object) -> None:
        self._media = [one for one in self._media if one is not publication]
        self._data = [one for one in self._data if one is not publication]
