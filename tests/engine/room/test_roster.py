"""Differences between what the server says of the room, one update after the other."""

from livekit.protocol import models

from auralink.engine.room import roster
from auralink.engine.room.roster import (
    DataTrackAdded,
    DataTrackRemoved,
    ParticipantLeft,
    Roster,
    TrackAdded,
    TrackChanged,
    TrackRemoved,
)


def person(
    sid: str, *tracks: tuple[str, bool], data: tuple[str, ...] = (), version: int = 1
) -> models.ParticipantInfo:
    info = models.ParticipantInfo(sid=sid, identity=f"who-{sid}", version=version)
    info.state = models.ParticipantInfo.State.ACTIVE
    for track, muted in tracks:
        info.tracks.add(sid=track, name=f"name-{track}", type=models.TrackType.VIDEO, muted=muted)
    for track in data:
        info.data_tracks.add(sid=track, name=f"name-{track}")
    return info


def kinds(changes: list[roster.Change]) -> list[type]:
    return [type(change) for change in changes]


def test_tells_what_came_changed_and_went() -> None:
    people = Roster()
    people.reset("me")

    first = people.update([person("1", ("T1", False), data=("D1",)), person("me", ("T9", False))])
    again = people.update([person("1", ("T1", False), data=("D1",), version=2)])
    muted = people.update([person("1", ("T1", True), version=3)])
    gone = person("1", version=4)
    gone.state = models.ParticipantInfo.State.DISCONNECTED
    left = people.update([gone])

    assert kinds(first) == [TrackAdded, DataTrackAdded]
    assert again == []
    assert kinds(muted) == [DataTrackRemoved, TrackChanged]
    assert kinds(left) == [TrackRemoved, ParticipantLeft]
    assert people.tracks == people.data_tracks == []


def test_an_update_that_was_overtaken_changes_nothing() -> None:
    people = Roster()
    people.update([person("1", ("T1", False), ("T2", False), version=5)])

    assert people.update([person("1", ("T1", False), version=4)]) == []
    assert len(people.tracks) == 2


def test_joining_anew_forgets_everybody() -> None:
    people = Roster()
    people.update([person("1", ("T1", False))])

    assert kinds(people.reset("me")) == [TrackRemoved, ParticipantLeft]
    assert kinds(people.update([person("1", ("T1", False))])) == [TrackAdded]


def test_a_flood_is_bounded_and_counted() -> None:
    people = Roster()
    people.update(person(str(n)) for n in range(roster.MAX_PARTICIPANTS + 50))
    assert people.left_out == 50

    tracks = [(f"T{n}", False) for n in range(roster.MAX_TRACKS + 7)]
    changes = people.update([person("0", *tracks, version=2)])
    assert len(changes) == roster.MAX_TRACKS
    assert people.left_out == 57
