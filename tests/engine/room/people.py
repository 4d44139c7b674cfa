"""Participants for live tests: rooms of ours with a listener that remembers."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from fractions import Fraction

import av
import numpy as np
from aiortc import MediaStreamTrack

from auralink.codecs.base.native import open_encoder
from auralink.codecs.frame import Frame
from auralink.engine.room.errors import RoomError
from auralink.engine.room.livekit_room import LiveKitRoom
from auralink.engine.room.roster import Change, DataTrackAdded, TrackAdded
from auralink.engine.room.transport import VideoOffer
from auralink.engine.room.video_out import VideoOut

from .server import Server, token

PATIENCE_S = 20.0


@dataclass
class Witness:
    """A `RoomListener` that keeps what it is told."""

    joins: int = 0
    losses: list[str] = field(default_factory=list)
    ends: list[RoomError | None] = field(default_factory=list)
    changes: list[Change] = field(default_factory=list)
    messages: list[tuple[str, str, bytes]] = field(default_factory=list)

    def joined(self) -> None:
        self.joins += 1

    def lost(self, why: str) -> None:
        self.losses.append(why)

    def ended(self, error: RoomError | None) -> None:
        self.ends.append(error)

    def changed(self, change: Change) -> None:
        self.changes.append(change)

    def control(self, identity: str, topic: str, payload: bytes) -> None:
        self.messages.append((identity, topic, payload))

    def track(self, name: str) -> str:
        """The sid of a track by its name, empty while there is none."""
        for change in reversed(self.changes):
            if isinstance(change, TrackAdded | DataTrackAdded) and change.track.name == name:
                return change.track.sid
        return ""


async def until(true: Callable[[], object], what: str = "", patience_s: float = PATIENCE_S) -> None:
    """Wait for something to become true; fail by name."""
    deadline = time.monotonic() + patience_s
    while not true():
        assert time.monotonic() < deadline, f"never came: {what or true}"
        await asyncio.sleep(0.02)


@contextlib.asynccontextmanager
async def member(
    server: Server, room: str, identity: str, *, jwt: str | None = None
) -> AsyncIterator[tuple[LiveKitRoom, Witness]]:
    """A participant that leaves at the end."""
    witness = Witness()
    one = LiveKitRoom(server.url, jwt or token(identity, room), witness, version="0")
    task = asyncio.create_task(one.run())
    try:
        await until(lambda: witness.joins or witness.ends, f"{identity} joins")
        yield one, witness
    finally:
        one.leave()
        async with asyncio.timeout(PATIENCE_S):
            await task


@contextlib.asynccontextmanager
async def camera(
    room: LiveKitRoom, pictures: Callable[[int], Frame], *, name: str = "cam", fps: float = 30
) -> AsyncIterator[list[VideoOut]]:
    """Publish pictures as VP8; gives the tracks made so far, the newest last."""
    outs: list[VideoOut] = []

    def make() -> VideoOut:
        outs.append(VideoOut(lambda: open_encoder("vp8", fps), bitrate_bps=600_000))
        return outs[-1]

    first = pictures(0)
    room.publish_video(
        VideoOffer(
            name=name,
            size=first.size,
            make_track=make,
            key_wanted=lambda: outs[-1].want_key(),
            paused=lambda paused: outs[-1].pause(paused),
        )
    )

    async def show() -> None:
        started, index = time.monotonic(), 0
        while True:
            await asyncio.sleep(max(0.0, started + index / fps - time.monotonic()))
            if outs:
                outs[-1].show(pictures(index).at(round(time.monotonic() * 1e6)))
            index += 1

    task = asyncio.create_task(show())
    try:
        yield outs
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


class Tone(MediaStreamTrack):
    """A sine in mono, 48 kHz, 20 ms a frame, in real time."""

    kind = "audio"

    def __init__(self, hz: float) -> None:
        super().__init__()
        self._hz = hz
        self._count = 0
        self._started = time.monotonic()

    async def recv(self) -> av.AudioFrame:
        await asyncio.sleep(max(0.0, self._started + self._count / 48_000 - time.monotonic()))
        at = np.arange(960) + self._count
        wave = (8_000 * np.sin(2 * np.pi * self._hz * at / 48_000)).astype(np.int16)
        frame = av.AudioFrame.from_ndarray(wave.reshape(1, -1), format="s16", layout="mono")
        frame.sample_rate, frame.pts, frame.time_base = 48_000, self._count, Fraction(1, 48_000)
        self._count += 960
        return frame
