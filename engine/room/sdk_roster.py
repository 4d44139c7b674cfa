"""Who is in a room and with which tracks, as LiveKit's own SDK tells it."""

from collections.abc import Callable
from typing import Final, final

from livekit import rtc

from auralink.engine.room.roster import (
    Change,
    DataTrackAdded,
    DataTrackRemoved,
    ParticipantLeft,
    RemoteDataTrack,
    RemoteTrack,
    TrackAdded,
    TrackChanged,
    TrackRemoved,
)

_KINDS: Final = {rtc.TrackKind.KIND_AUDIO: "audio", rtc.TrackKind.KIND_VIDEO: "video"}
_SOURCES: Final = {
    rtc.TrackSource.SOURCE_CAMERA: "camera",
    rtc.TrackSource.SOURCE_MICROPHONE: "microphone",
    rtc.TrackSource.SOURCE_SCREENSHARE: "screen_share",
    rtc.TrackSource.SOURCE_SCREENSHARE_AUDIO: "screen_share_audio",
}


@final
class SdkRoster:
    """
    Args:
        tell: takes every change.
    """

    def __init__(self, tell: Callable[[Change], None]) -> None:
        self._tell = tell
        self._tracks: dict[str, RemoteTrack] = {}
        self._publications: dict[str, rtc.RemoteTrackPublication] = {}
        self._data: dict[str, tuple[RemoteDataTrack, rtc.RemoteDataTrack]] = {}
        self._started = False

    def publication(self, sid: str) -> rtc.RemoteTrackPublication | None:
        return self._publications.get(sid)

    def data_track(self, sid: str) -> rtc.RemoteDataTrack | None:
        found = self._data.get(sid)
        return None if found is None else found[1]

    def follow(self, room: rtc.Room) -> None:
        """Before it connects."""
        self._started = False
        room.on("track_published", self._published)
        room.on("track_unpublished", lambda publication, person: self._gone(publication.sid))
        room.on("track_muted", lambda person, publication: self._changed(publication))
        room.on("track_unmuted", lambda person, publication: self._changed(publication))
        room.on("participant_disconnected", self._left)
        room.on("data_track_published", self._data_published)
        room.on("data_track_unpublished", self._data_gone)

    def start(self, room: rtc.Room) -> None:
        """It is connected: who is there already."""
        self._started = True
        for told, _ in self._data.values():
            self._tell(DataTrackAdded(told))
        for person in room.remote_participants.values():
            for publication in person.track_publications.values():
                self._published(publication, person)

    def clear(self) -> None:
        """The connection is gone, and everybody with it."""
        for sid in list(self._tracks):
            self._gone(sid)
        for sid in list(self._data):
            self._data_gone(sid)
        self._started = False

    def _published(
        self, publication: rtc.RemoteTrackPublication, person: rtc.RemoteParticipant
    ) -> None:
        # Some come twice: as an event, and as what was there when the room was joined.
        if not self._started or publication.sid in self._tracks:
            return
        track = _track(publication, person.identity)
        self._tracks[track.sid] = track
        self._publications[track.sid] = publication
        self._tell(TrackAdded(track))

    def _changed(self, publication: rtc.TrackPublication) -> None:
        before = self._tracks.get(publication.sid)
        if before is not None:
            track = _track(publication, before.identity)
            self._tracks[track.sid] = track
            self._tell(TrackChanged(track))

    def _gone(self, sid: str) -> None:
        track = self._tracks.pop(sid, None)
        self._publications.pop(sid, None)
        if track is not None:
            self._tell(TrackRemoved(track))

    def _left(self, person: rtc.RemoteParticipant) -> None:
        for sid in [one.sid for one in self._tracks.values() if one.identity == person.identity]:
            self._gone(sid)
        for sid in [sid for sid, (one, _) in self._data.items() if one.identity == person.identity]:
            self._data_gone(sid)
        self._tell(ParticipantLeft(person.identity))

    def _data_published(self, track: rtc.RemoteDataTrack) -> None:
        info = track.info
        if info.sid in self._data:
            return
        told = RemoteDataTrack(sid=info.sid, identity=track.publisher_identity, name=info.name)
        self._data[info.sid] = told, track
        if self._started:
            self._tell(DataTrackAdded(told))

    def _data_gone(self, sid: str) -> None:
        found = self._data.pop(sid, None)
        if found is not None:
            self._tell(DataTrackRemoved(found[0]))


def _track(publication: rtc.TrackPublication, identity: str) -> RemoteTrack:
    return RemoteTrack(
        sid=publication.sid,
        identity=identity,
        name=publication.name,
        kind=_KINDS.get(publication.kind, "other"),
        source=_SOURCES.get(publication.source, "unknown"),
        muted=publication.muted,
        width=publication.width,
        height=publication.height,
        mime=publication.mime_type.lower(),
    )
