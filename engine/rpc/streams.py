"""All streams of the service: found by key, made when first seen, closed when idle."""

import asyncio
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, final

from auralink.codecs.errors import AuraLinkError
from auralink.codecs.video.protocol import Outcome
from auralink.engine.rpc import answers
from auralink.engine.rpc.coding import Answer, InFlight, Stream
from auralink.engine.rpc.costs import Costs
from auralink.engine.rpc.encoders import Unit
from auralink.engine.rpc.limits import FrameRate, ReplayWindow
from auralink.engine.rpc.parts import Parts
from auralink.engine.rpc.requests import Job, StreamKey
from auralink.engine.rpc.settings import RpcSettings
from auralink.engine.rpc.stubs import aic_compression_pb2 as pb
from auralink.engine.rpc.table import StreamTable
from auralink.engine.service.errors import NotReady

log = logging.getLogger(__name__)

# An answer needs this share of what is left of a deadline, and this much at most, to travel.
_MARGIN: Final = 0.1
_MOST_MARGIN_S: Final = 0.02
_CLOSING_S: Final = 5.0  # for encoders, when the server stops


@dataclass(slots=True)
class Live:
    """One stream with what bounds it."""

    stream: Stream
    window: ReplayWindow
    rate: FrameRate


@final
class Streams:
    def __init__(
        self,
        parts: Parts,
        settings: RpcSettings,
        *,
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._parts = parts
        self._settings = settings
        self._clock = clock
        self._wall = wall
        self.costs = Costs()
        self.in_flight = InFlight(settings.frames_in_flight)
        self._table = StreamTable[Live](
            settings.max_streams, settings.idle_s, lambda live: live.stream.busy
        )
        self._closing: set[asyncio.Task[None]] = set()
        self._draining = False

    @property
    def sessions(self) -> int:
        return self._table.sessions

    @property
    def count(self) -> int:
        return len(self._table)

    def drain(self) -> None:
        """No new streams from now on."""
        self._draining = True

    def admit(self, job: Job) -> Live:
        """The stream of a frame, which may be a new one, after its limits.

        Raises:
            Limited: too many streams, or frames of this one.
            RepeatedFrame, OldFrame: see `ReplayWindow`.
            NotReady: draining.
        """
        now_s = self._clock()
        live = self._table.get(job.key, now_s)
        if live is None:
            live = self._open(job.key, now_s)
        live.rate.take(now_s)
        live.window.take(job.number)
        return live

    async def compress(
        self, live: Live, job: Job, *, arrived_s: float, remaining_s: float | None
    ) -> tuple[pb.CompressFrameResponse, Unit | None]:
        """
        Args:
            remaining_s: of the call's deadline when the frame arrived.
        """
        if job.budget is None:
            response, unit = answers.passed(job), None
        else:
            until_s = arrived_s + self._limit_s(job, remaining_s)
            answer = await live.stream.code(job, until_s=until_s)
            response, unit = self._respond(job, answer, arrived_s), answer.unit
        self._parts.observer.frame_answered(job, response)
        return response, unit

    def close(self, key: StreamKey) -> None:
        """Its encoder ends when it is done with its frame."""
        live = self._table.remove(key)
        if live is not None:
            self._retire(live)

    def sweep(self) -> None:
        """Close what is idle; call it now and then."""
        for live in self._table.take_idle(self._clock()):
            self._retire(live)

    async def close_all(self) -> None:
        """An encoder that hangs is left behind."""
        self._draining = True
        for live in self._table.take_all():
            self._retire(live)
        if self._closing:
            _, hung = await asyncio.wait(self._closing, timeout=_CLOSING_S)
            for task in hung:
                log.error("an encoder hangs and was left behind")
                task.cancel()

    def _retire(self, live: Live) -> None:
        task = asyncio.create_task(self._end(live), name="rpc-close-stream")
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)

    def _open(self, key: StreamKey, now_s: float) -> Live:
        if self._draining:
            raise NotReady("server", "stopping: no new streams", retry_after_s=1.0)
        self._table.check_room(key)
        stream = Stream(
            self._parts.open_stream(key.media),
            self._parts.run,
            self.in_flight,
            self._note,
            self._clock,
        )
        live = Live(stream, ReplayWindow(), FrameRate(self._settings.frames_per_s))
        self._table.add(key, live, now_s)
        return live

    async def _end(self, live: Live) -> None:
        try:
            await live.stream.close()
        except AuraLinkError as error:
            log.warning("an encoder did not close: %s", error)

    def _limit_s(self, job: Job, remaining_s: float | None) -> float:
        limit_s = job.limit_s or self._settings.frame_limit_s
        if remaining_s is None:
            return limit_s
        return min(limit_s, remaining_s - min(_MOST_MARGIN_S, _MARGIN * max(0.0, remaining_s)))

    def _respond(self, job: Job, answer: Answer, arrived_s: float) -> pb.CompressFrameResponse:
        total_ms = (self._clock() - arrived_s) * 1e3
        now_us = round(self._wall() * 1e6)
        return answers.compressed(job, answer, total_ms=total_ms, now_us=now_us)

    def _note(self, job: Job, unit: Unit) -> None:
        if unit.outcome is not Outcome.CODED:
            return
        pixels = job.size[0] * job.size[1]
        self.costs.note(
            job.key.media,
            job.size,
            encode_ms=unit.encode_ms,
            bits_per_pixel=unit.bitrate_bps / job.fps / pixels if pixels else 0.0,
            ssim=unit.quality.ssim if unit.quality else None,
        )
