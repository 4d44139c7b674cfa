"""Data tracks for servers that have none (LiveKit before 1.11).

Packets go as lossy messages to everybody, in the form that they have on a data track; who has which
tracks is said in reliable ones: to all on every change, and to whoever asks by an empty message.
"""

import json
from collections.abc import Callable, Sequence
from typing import Final, final

from auralink.codecs.errors import BitstreamError
from auralink.engine.room.roster import Change, DataTrackAdded, DataTrackRemoved, RemoteDataTrack

TRACKS_TOPIC: Final = "aic.tracks"
PACKET_TOPIC: Final = "aic.d"
_FIRST: Final = (1, 11)  # version of LiveKit with data tracks switched on
MAX_PER_PARTICIPANT: Final = 64
MAX_TRACKS: Final = 1_000
_MAX_NAME: Final = 256

# Topic, message, identities; none of these: everybody.
Send = Callable[[str, bytes, Sequence[str]], bool]


def needs_lossy(version: str) -> bool:
    """Whether a server of this version has no data tracks.  What is no version is not old."""
    parts = version.split(".")
    if len(parts) < 2 or not (parts[0].isdecimal() and parts[1].isdecimal()):
        return False
    return (int(parts[0]), int(parts[1])) < _FIRST


@final
class LossyTracks:
    """
    Args:
        send: a reliable message.
        changed: takes what became of the others' tracks.
    """

    def __init__(self, send: Send, changed: Callable[[Sequence[Change]], None]) -> None:
        self.active = False
        self._send = send
        self._changed = changed
        self._own: dict[int, str] = {}
        self._others: dict[str, dict[int, RemoteDataTrack]] = {}

    def joined(self, *, active: bool) -> None:
        """A room was joined; whether its server needs this."""
        self.active = active
        self._own.clear()
        others, self._others = self._others, {}
        for tracks in others.values():
            self._changed([DataTrackRemoved(track) for track in tracks.values()])

    def opened(self) -> None:
        """Messages can be sent from now on."""
        if self.active:
            self._send(TRACKS_TOPIC, b"", ())
            self._tell(())

    def publish(self, handle: int, name: str) -> None:
        self._own[handle] = name
        self._tell(())

    def unpublish(self, handle: int) -> None:
        if self._own.pop(handle, None) is not None:
            self._tell(())

    def message(self, identity: str, payload: bytes) -> None:
        """
        Raises:
            BitstreamError: no list of tracks.
        """
        if not self.active:
            return
        if not payload:
            self._tell((identity,))
            return
        new = _parse(identity, payload)
        old = self._others.get(identity, {})
        room = MAX_TRACKS - sum(len(tracks) for tracks in self._others.values()) + len(old)
        new = dict(list(new.items())[: max(0, room)])
        self._others[identity] = new
        gone = [DataTrackRemoved(old[one]) for one in old if old[one] != new.get(one)]
        came = [DataTrackAdded(new[one]) for one in new if new[one] != old.get(one)]
        self._changed([*gone, *came])

    def left(self, identity: str) -> None:
        tracks = self._others.pop(identity, {})
        self._changed([DataTrackRemoved(track) for track in tracks.values()])

    def _tell(self, to: Sequence[str]) -> None:
        told = [[handle, name] for handle, name in self._own.items()]
        self._send(TRACKS_TOPIC, json.dumps(told).encode(), to)


def lossy_sid(identity: str, handle: int) -> str:
    """Of a track that no server gave one."""
    return f"{identity}#{handle}"


def is_lossy(sid: str) -> bool:
    """Servers' own sids have no such sign."""
    return "#" in sid


def _parse(identity: str, payload: bytes) -> dict[int, RemoteDataTrack]:
    wrong = BitstreamError("a list of tracks that is none")
    try:
        told = json.loads(payload)
    except (ValueError, RecursionError):
        raise wrong from None
    if not isinstance(told, list) or len(told) > MAX_PER_PARTICIPANT:
        raise wrong
    found = {}
    for one in told:
        if not isinstance(one, list) or len(one) != 2:
            raise wrong
        handle, name = one
        if type(handle) is not int or not 0 < handle <= 0xFFFF:
            raise wrong
        if not isinstance(name, str) or not 0 < len(name) <= _MAX_NAME:
            raise wrong
        found[handle] = RemoteDataTrack(
            sid=lossy_sid(identity, handle), identity=identity, name=name
        )
    return found
