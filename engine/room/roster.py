"""Who is in the room and what they publish, as differences between the server's updates.  Pure."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final, TypeAlias, final

from livekit.protocol import models

MAX_PARTICIPANTS: Final = 1000
MAX_TRACKS: Final = 5000  # of all participants together


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoteTrack:
    """A track that somebody else publishes."""

    sid: str
    identity: str  # of its publisher
    name: str
    kind: str  # "audio", "video"
    source: str  # "camera", "microphone", "screen_share", "screen_share_audio", "unknown"
    muted: bool
    width: int
    height: int
    mime: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoteDataTrack:
    sid: str
    identity: str
    name: str


@dataclass(frozen=True, slots=True)
class TrackAdded:
    track: RemoteTrack


@dataclass(frozen=True, slots=True)
class TrackChanged:
    """Muted, unmuted, or of another size."""

    track: RemoteTrack


@dataclass(frozen=True, slots=True)
class TrackRemoved:
    track: RemoteTrack


@dataclass(frozen=True, slots=True)
class DataTrackAdded:
    track: RemoteDataTrack


@dataclass(frozen=True, slots=True)
class DataTrackRemoved:
    track: RemoteDataTrack


@dataclass(frozen=True, slots=True)
class TrackRefused:
    """A track that was asked for does not come: none of our codecs, for instance."""

    sid: str
    reason: str


@dataclass(frozen=True, slots=True)
class ParticipantLeft:
    identity: str


Change: TypeAlias = (
    TrackAdded
    | TrackChanged
    | TrackRemoved
    | TrackRefused
    | DataTrackAdded
    | DataTrackRemoved
    | ParticipantLeft
)


@dataclass(slots=True)
class _Participant:
    identity: str
    version: int = 0
    tracks: dict[str, RemoteTrack] = field(default_factory=dict)
    data: dict[str, RemoteDataTrack] = field(default_factory=dict)


@final
class Roster:
    """Feed it every participant the server tells of; it says what that changed."""

    def __init__(self) -> None:
        self._people: dict[str, _Participant] = {}  # by sid
        self._own_sid = ""
        self.left_out = 0  # participants and tracks beyond the bounds

    @property
    def own_sid(self) -> str:
        return self._own_sid

    @property
    def tracks(self) -> list[RemoteTrack]:
        return [track for person in self._people.values() for track in person.tracks.values()]

    @property
    def data_tracks(self) -> list[RemoteDataTrack]:
        return [track for person in self._people.values() for track in person.data.values()]

    def reset(self, own_sid: str) -> list[Change]:
        """Everybody is gone: this participant joined anew."""
        self._own_sid = own_sid
        changes = [change for sid in list(self._people) for change in self._remove(sid)]
        self.left_out = 0
        return changes

    def update(self, infos: Iterable[models.ParticipantInfo]) -> list[Change]:
        changes: list[Change] = []
        for info in infos:
            if info.sid == self._own_sid:
                continue
            if info.state == models.ParticipantInfo.State.DISCONNECTED:
                changes += self._remove(info.sid)
            else:
                changes += self._merge(info)
        return changes

    def snapshot(self, infos: Iterable[models.ParticipantInfo]) -> list[Change]:
        """Everybody who is there, after a time of hearing nothing: who is missing has left."""
        people = list(infos)
        there = {info.sid for info in people}
        gone = [
            change for sid in list(self._people) if sid not in there for change in self._remove(sid)
        ]
        return gone + self.update(people)

    def _remove(self, sid: str) -> list[Change]:
        person = self._people.pop(sid, None)
        if person is None:
            return []
        return [
            *(TrackRemoved(track) for track in person.tracks.values()),
            *(DataTrackRemoved(track) for track in person.data.values()),
            ParticipantLeft(person.identity),
        ]

    def _merge(self, info: models.ParticipantInfo) -> list[Change]:
        person = self._people.get(info.sid)
        if person is None:
            if len(self._people) >= MAX_PARTICIPANTS:
                self.left_out += 1
                return []
            person = self._people[info.sid] = _Participant(info.identity)
        elif info.version < person.version:
            return []  # updates may overtake each other
        person.version = info.version
        tracks = {track.sid: _track(info.identity, track) for track in info.tracks}
        data = {
            track.sid: RemoteDataTrack(sid=track.sid, identity=info.identity, name=track.name)
            for track in info.data_tracks
        }
        room = MAX_TRACKS - sum(len(p.tracks) + len(p.data) for p in self._people.values())
        new = [sid for sid in (*tracks, *data) if sid not in person.tracks | person.data]
        for sid in new[max(0, room) :]:
            self.left_out += 1
            tracks.pop(sid, None)
            data.pop(sid, None)
        changes = _differences(person, tracks, data)
        person.tracks, person.data = tracks, data
        return changes


def _differences(
    person: _Participant, tracks: dict[str, RemoteTrack], data: dict[str, RemoteDataTrack]
) -> list[Change]:
    changes: list[Change] = []
    changes += [TrackRemoved(old) for sid, old in person.tracks.items() if sid not in tracks]
    changes += [DataTrackRemoved(old) for sid, old in person.data.items() if sid not in data]
    for sid, track in tracks.items():
        before = person.tracks.get(sid)
        if before is None:
            changes.append(TrackAdded(track))
        elif before != track:
            changes.append(TrackChanged(track))
    changes += [DataTrackAdded(track) for sid, track in data.items() if sid not in person.data]
    return changes


def _track(identity: str, info: models.TrackInfo) -> RemoteTrack:
    return RemoteTrack(
        sid=info.sid,
        identity=identity,
        name=info.name,
        kind=models.TrackType.Name(info.type).lower() if info.type in (0, 1) else "other",
        source=_SOURCES.get(info.source, "unknown"),
        muted=info.muted,
        width=info.width,
        height=info.height,
        mime=info.mime_type.lower(),
    )


_SOURCES: Final = {
    models.TrackSource.CAMERA: "camera",
    models.TrackSource.MICROPHONE: "microphone",
    models.TrackSource.SCREEN_SHARE: "screen_share",
    models.TrackSource.SCREEN_SHARE_AUDIO: "screen_share_audio",
}
