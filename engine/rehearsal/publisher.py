"""A publisher that is not ours: the official SDK, its VP8 encoder, its rate control.

::

    python -m auralink.engine.rehearsal.publisher SCRIPT WIDTH HEIGHT FPS BITRATE LOG

Writes ``number microseconds`` for every picture at the moment it is handed to the SDK.
Orders: ``mute``, ``unmute``, ``republish``, and ``stats``: packets and bytes sent so far.
"""

import asyncio
import sys
from pathlib import Path
from typing import final

from livekit import rtc

from auralink.engine.garbage import spare_what_lives
from auralink.engine.rehearsal.lines import now_us, orders, tell
from auralink.engine.rehearsal.pictures import TRACK, Player, Script
from auralink.engine.rehearsal.sdk import in_room


@final
class Camera:
    """Plays a script for as long as it runs."""

    def __init__(self, script: Script, bitrate_bps: int) -> None:
        self._script = script
        self._player = Player(script)
        self._source = rtc.VideoSource(*script.size)
        self._options = rtc.TrackPublishOptions(
            source=rtc.TrackSource.SOURCE_CAMERA,
            simulcast=False,
            video_codec=rtc.VideoCodec.VP8,
            video_encoding=rtc.VideoEncoding(max_bitrate=bitrate_bps, max_framerate=script.fps),
        )
        self._track: rtc.LocalVideoTrack | None = None
        self.shown: list[tuple[int, int]] = []

    async def publish(self, room: rtc.Room) -> None:
        self._track = rtc.LocalVideoTrack.create_video_track(TRACK, self._source)
        await room.local_participant.publish_track(self._track, self._options)

    async def republish(self, room: rtc.Room) -> None:
        if self._track is not None:
            await room.local_participant.unpublish_track(self._track.sid)
        await self.publish(room)

    def mute(self, muted: bool) -> None:
        if self._track is not None:
            (self._track.mute if muted else self._track.unmute)()

    async def stats(self) -> dict[str, int]:
        """Of the track since it was published: packets, and bytes with their RTP headers."""
        packets = size = 0
        for entry in [] if self._track is None else await self._track.get_stats():
            if entry.HasField("outbound_rtp"):
                sent, outbound = entry.outbound_rtp.sent, entry.outbound_rtp.outbound
                packets += sent.packets_sent
                size += sent.bytes_sent + outbound.header_bytes_sent
        return {"packets": packets, "bytes": size}

    async def run(self) -> None:
        started_us, number = now_us(), 0
        width, height = self._script.size
        while True:
            at_us = started_us + round(number * 1e6 / self._script.fps)
            await asyncio.sleep(max(0, at_us - now_us()) / 1e6)
            picture = self._player.picture(number)
            frame = rtc.VideoFrame(width, height, rtc.VideoBufferType.I420, picture.tobytes())
            self.shown.append((number, now_us()))
            self._source.capture_frame(frame, timestamp_us=at_us)
            number += 1


async def main(arguments: list[str]) -> list[tuple[int, int]]:
    path, width, height, fps, bitrate, _ = arguments
    script = Script(path=Path(path), size=(int(width), int(height)), fps=float(fps))
    room = rtc.Room()
    camera = Camera(script, int(bitrate))
    async with in_room(room, subscribe=False):
        await camera.publish(room)
        playing = asyncio.create_task(camera.run())
        tell(published_us=now_us())
        async for order in orders():
            if order == "stats":
                tell(stats=await camera.stats())
            elif order == "republish":
                await camera.republish(room)
            else:
                camera.mute(order == "mute")
            tell(done=order)
        playing.cancel()
    return camera.shown


if __name__ == "__main__":
    spare_what_lives()
    shown = asyncio.run(main(sys.argv[1:]))
    lines = [f"{number} {at_us}\n" for number, at_us in shown]
    Path(sys.argv[-1]).write_text("".join(lines))
