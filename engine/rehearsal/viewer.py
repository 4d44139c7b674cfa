"""A viewer that is not ours: the official SDK, its jitter buffer and its VP8 decoder.

::

    python -m auralink.engine.rehearsal.viewer TRACK WIDTH PICTURES LOG

Takes the first video track of that name.  Writes ``number microseconds width height offset`` for
every picture whose number can be read, and the picture itself into PICTURES, unless that is ``-``.
Orders: none.
"""

import asyncio
import contextlib
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import BinaryIO, Final, final

import numpy as np
from livekit import rtc

from auralink.engine.garbage import spare_what_lives
from auralink.engine.rehearsal import marks
from auralink.engine.rehearsal.lines import now_us, orders, tell
from auralink.engine.rehearsal.sdk import in_room

_MOST_BYTES: Final = 2_000_000_000


@final
class Screen:
    """Keeps what it is shown."""

    def __init__(self, width: int, pictures: BinaryIO | None) -> None:
        self._width = width
        self._file = pictures
        self._writer = ThreadPoolExecutor(1)  # the order counts
        self._offset = 0
        self._newest = 0
        self.lines: list[str] = []
        self.unreadable = 0

    def show(self, frame: rtc.VideoFrame, at_us: int) -> None:
        data = np.frombuffer(frame.data, np.uint8)
        size = frame.width, frame.height
        number = marks.read(data[: size[0] * size[1]].reshape(size[1], size[0]), self._width)
        if number is None:
            self.unreadable += 1
            return
        if not self.lines:
            tell(first_us=at_us)
        self._newest = marks.follow(self._newest, number)
        offset = -1
        if self._file is not None and self._offset < _MOST_BYTES:
            offset, self._offset = self._offset, self._offset + len(data)
            self._writer.submit(self._file.write, data.tobytes())
        self.lines.append(f"{self._newest} {at_us} {size[0]} {size[1]} {offset}\n")

    def close(self) -> None:
        self._writer.shutdown()


async def watch(track: rtc.Track, screen: Screen) -> None:
    stream = rtc.VideoStream(track, format=rtc.VideoBufferType.I420, capacity=30)
    try:
        async for event in stream:
            screen.show(event.frame, now_us())
    finally:
        await stream.aclose()


async def main(name: str, screen: Screen) -> None:
    room = rtc.Room()
    tasks: list[asyncio.Task[None]] = []

    def subscribed(track: rtc.Track, publication: rtc.RemoteTrackPublication, who: object) -> None:
        if track.kind == rtc.TrackKind.KIND_VIDEO:
            tasks.append(asyncio.create_task(watch(track, screen)))

    def published(publication: rtc.RemoteTrackPublication, who: object) -> None:
        if publication.name == name:
            publication.set_subscribed(True)

    room.on("track_subscribed", subscribed)
    room.on("track_published", published)
    async with in_room(room, subscribe=False):
        for participant in room.remote_participants.values():
            for publication in participant.track_publications.values():
                published(publication, participant)
        async for _ in orders():
            pass
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def play(name: str, width: str, pictures: str, log: str) -> None:
    with contextlib.ExitStack() as files:
        sink = None if pictures == "-" else files.enter_context(Path(pictures).open("wb"))
        screen = Screen(int(width), sink)
        files.callback(screen.close)
        spare_what_lives()
        asyncio.run(main(name, screen))
    Path(log).write_text("".join(screen.lines))
    tell(unreadable=screen.unreadable)


if __name__ == "__main__":
    play(*sys.argv[1:])
