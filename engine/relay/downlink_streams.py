"""One stream on its way out of the link: pictures or sound, in step, to a track of the far room."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, Protocol, final

from auralink.codecs.audio.packet import NUMBERS, parse_packet
from auralink.codecs.errors import BitstreamError
from auralink.codecs.frame import Frame
from auralink.codecs.video.protocol import Picture, Status, VideoDecoder
from auralink.engine.inference.outcome import FrameOutcome
from auralink.engine.link.playout import Playout
from auralink.engine.link.receiving import Played, StreamReceiver
from auralink.engine.link.resending import Feedback
from auralink.engine.relay.uplink_streams import now_us
from auralink.engine.timeline import NO_TIMELINE, Span, Timeline

_PACKETS: Final = 512  # waiting for the decoder: two seconds of a thin stream
_FEEDBACK_S: Final = 0.02
_PICTURES: Final = 30  # waiting to be shown
_FRAME_US: Final = 20_000


class DownlinkStream(Protocol):
    def push(self, payload: bytes) -> None: ...

    async def run(self) -> None: ...

    def close(self) -> None: ...


class Restorer(Protocol):
    """The network of one stream: `engine.inference.restoring`."""

    @property
    def answers(self) -> Mapping[FrameOutcome, int]:
        """How the pictures ended that a network could have restored."""
        ...

    async def restore(self, picture: Picture, arrived_us: int) -> Picture:
        """What to show in its place, in time whatever happens."""
        ...

    async def close(self) -> None: ...


@dataclass(slots=True)
class VideoCounts:
    packets: int = 0
    overflowed: int = 0  # packets that the decoder was too slow for
    decoded: int = 0
    restored: int = 0  # by the network; the others are plain, or needed nothing
    frozen: int = 0
    shown: int = 0
    late: int = 0  # overtaken by a newer picture before they were shown


@final
class VideoDownlink:
    """
    Args:
        stream: its number, for the common playout clock.
        show: takes a picture whose time is when to show it.
        tell: takes feedback for the sender.
        restorer: of pictures that the decoder leaves plain; None: they stay so.
        timeline: takes a picture's spans, on that row.
    """

    def __init__(
        self,
        stream: int,
        playout: Playout,
        open_decoder: Callable[[], VideoDecoder],
        show: Callable[[Frame], None],
        tell: Callable[[Feedback], None],
        *,
        restorer: Restorer | None = None,
        timeline: Timeline = NO_TIMELINE,
        row: str = "downlink",
    ) -> None:
        self.counts = VideoCounts()
        self.size = (0, 0)
        self._stream = stream
        self._playout = playout
        self._receiver = StreamReceiver(open_decoder())
        self._show = show
        self._tell = tell
        self._restorer = restorer
        self._timeline = timeline
        self._row = row
        self._packets: asyncio.Queue[tuple[bytes, int]] = asyncio.Queue(_PACKETS)  # and arrival
        self._plain: asyncio.Queue[tuple[Played, int]] = asyncio.Queue(_PICTURES)
        self._pictures: asyncio.Queue[tuple[Frame, int, int]] = asyncio.Queue(_PICTURES)

    def push(self, payload: bytes) -> None:
        self.counts.packets += 1
        if self._packets.full():
            self._packets.get_nowait()
            self.counts.overflowed += 1
        self._packets.put_nowait((payload, now_us()))

    async def run(self) -> None:
        """Decode, show and report, until cancelled."""
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._play())
                group.create_task(self._receive())
                if self._restorer is not None:
                    group.create_task(self._restore(self._restorer))
        finally:
            self._playout.forget(self._stream)
            if self._restorer is not None:
                await self._restorer.close()
            await asyncio.to_thread(self.close)

    @property
    def answers(self) -> dict[str, int]:
        """How the pictures ended that a network could have restored, by `FrameOutcome`."""
        answers = {} if self._restorer is None else self._restorer.answers
        return {outcome.value: count for outcome, count in answers.items()}

    def close(self) -> None:
        self._receiver.close()

    async def _receive(self) -> None:
        while True:
            batch = await self._batch()
            if batch:
                for played, arrived_us in await asyncio.to_thread(self._decode, batch):
                    self._take(played, arrived_us)
            feedback = self._receiver.feedback(now_us())
            if feedback is not None and feedback.report.highest is not None:
                self._tell(feedback)

    async def _batch(self) -> list[tuple[bytes, int]]:
        """What has arrived, at once; nothing when it is time to think of feedback."""
        try:
            async with asyncio.timeout(_FEEDBACK_S):
                batch = [await self._packets.get()]
        except TimeoutError:
            return []
        while not self._packets.empty():
            batch.append(self._packets.get_nowait())
        return batch

    def _decode(self, batch: list[tuple[bytes, int]]) -> list[tuple[Played, int]]:
        return [
            (played, arrived_us)
            for data, arrived_us in batch
            for played in self._receiver.push(data, now_us)
        ]

    def _take(self, played: Played, arrived_us: int) -> None:
        """A picture was decoded, of packets that arrived then."""
        frame = played.picture.frame
        if played.picture.status is Status.FROZEN or frame is None:
            self.counts.frozen += 1
            return
        self.counts.decoded += 1
        self.size = frame.size
        if self._timeline.on:
            self._draw("decode", frame, round(played.at_us - played.decode_ms * 1e3), played.at_us)
        if self._restorer is None:
            self._schedule(frame, played.at_us)
            return
        if self._plain.full():
            self._plain.get_nowait()
            self.counts.late += 1
        self._plain.put_nowait((played, arrived_us))

    async def _restore(self, restorer: Restorer) -> None:
        """In order, and by each picture's deadline, so that none waits for long behind others."""
        while True:
            played, arrived_us = await self._plain.get()
            picture = await restorer.restore(played.picture, arrived_us)
            frame, ready_us = picture.frame, now_us()
            assert frame is not None
            self.counts.restored += picture.restored
            self._schedule(frame, ready_us)
            if self._timeline.on and played.picture.plain is not None:
                self._draw("restore", frame, played.at_us, ready_us)

    def _schedule(self, frame: Frame, ready_us: int) -> None:
        due_us = self._playout.due(self._stream, frame.pts_us, ready_us)
        if self._pictures.full():
            self._pictures.get_nowait()
            self.counts.late += 1
        self._pictures.put_nowait((frame, due_us, ready_us))

    async def _play(self) -> None:
        while True:
            frame, due_us, ready_us = await self._pictures.get()
            wait_us = due_us - now_us()
            if wait_us > 0:
                await asyncio.sleep(wait_us / 1e6)
            elif not self._pictures.empty() and self._pictures.qsize() > 2:
                self.counts.late += 1
                continue
            self.counts.shown += 1
            self._show(frame)
            if self._timeline.on:
                self._draw("hold", frame, ready_us, now_us())

    def _draw(self, name: str, frame: Frame, start_us: int, end_us: int) -> None:
        self._timeline.add(
            Span(row=self._row, name=name, start_us=start_us, end_us=end_us, frame=frame.pts_us)
        )


@dataclass(slots=True)
class AudioCounts:
    packets: int = 0
    malformed: int = 0
    missing: int = 0  # frames of 20 ms
    played: int = 0


@final
class AudioDownlink:
    """
    Args:
        play: takes an Opus frame and its capture time.
    """

    def __init__(self, stream: int, playout: Playout, play: Callable[[bytes, int], None]) -> None:
        self.counts = AudioCounts()
        self._stream = stream
        self._playout = playout
        self._play = play
        self._packets: asyncio.Queue[tuple[bytes, int]] = asyncio.Queue(_PACKETS)
        self._next: int | None = None

    def push(self, payload: bytes) -> None:
        self.counts.packets += 1
        if self._packets.full():
            self._packets.get_nowait()
        self._packets.put_nowait((payload, now_us()))

    async def run(self) -> None:
        try:
            while True:
                payload, arrived_us = await self._packets.get()
                try:
                    packet = parse_packet(payload)
                except BitstreamError:
                    self.counts.malformed += 1
                    continue
                if not self._in_order(packet.number, len(packet.frames)):
                    continue
                due_us = self._playout.due(self._stream, packet.pts_us, arrived_us)
                for index, frame in enumerate(packet.frames):
                    await self._wait(due_us + index * _FRAME_US)
                    if frame:
                        self.counts.played += 1
                        self._play(frame, packet.pts_us + index * _FRAME_US)
        finally:
            self._playout.forget(self._stream)

    def close(self) -> None:
        pass

    async def _wait(self, due_us: int) -> None:
        wait_us = due_us - now_us()
        if wait_us > 0:
            await asyncio.sleep(wait_us / 1e6)

    def _in_order(self, number: int, count: int) -> bool:
        if self._next is not None:
            gap = (number - self._next) % NUMBERS
            if gap > NUMBERS // 2:
                return False  # late or twice
            self.counts.missing += gap
        self._next = (number + count) % NUMBERS
        return True
