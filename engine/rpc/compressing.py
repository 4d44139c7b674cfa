"""One `CompressStream` call: frames in as they come, answers out in order.

::

    requests ──► read, check ──► a task per frame ──► in order ──► replies ──► reader
                     ▲                                               │ slow: live frames lose
                     └────── files: no more is read than coded ◄─────┘ data, files wait

A frame with a limit (``max_latency_ms``) is live: it is answered in time whatever happens.  One
without is of a file: its stream goes as fast as encoder and reader do, and loses nothing.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable
from typing import Final, TypeAlias, final

from auralink.engine.rpc.coding import QUEUE
from auralink.engine.rpc.encoders import Unit
from auralink.engine.rpc.failures import FieldError
from auralink.engine.rpc.replies import Replies
from auralink.engine.rpc.requests import Job, StreamKey
from auralink.engine.rpc.streams import Live, Streams
from auralink.engine.rpc.stubs import aic_compression_pb2 as pb

# Frames that wait for their turn to be answered: a second at the highest rate.
_MOST_PENDING: Final = 200

Answered: TypeAlias = tuple[pb.CompressFrameResponse, Unit | None]
_Pending: TypeAlias = tuple[asyncio.Task[Answered], Job, Live]


@final
class CompressCall:
    """
    Args:
        parse: checks a request.
    """

    def __init__(
        self,
        streams: Streams,
        replies: Replies,
        parse: Callable[[pb.CompressFrameRequest], Job],
        remaining_s: Callable[[], float | None],
        clock: Callable[[], float],
    ) -> None:
        self._streams = streams
        self._replies = replies
        self._parse = parse
        self._remaining_s = remaining_s
        self._clock = clock
        self._pending: asyncio.Queue[_Pending | None] = asyncio.Queue(_MOST_PENDING)
        self._unanswered: deque[asyncio.Task[Answered]] = deque()
        self._key: StreamKey | None = None

    async def run(self, requests: AsyncIterator[pb.CompressFrameRequest]) -> None:
        """Until the client has no more frames and has all answers.

        Raises:
            ExceptionGroup: of what ended the call.
        """
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._replies.run(), name="rpc-replies")
                tasks.create_task(self._forward(), name="rpc-forward")
                async for request in requests:
                    await self._enter(tasks, request)
                await self._pending.put(None)
        finally:
            if self._key is not None:
                self._streams.close(self._key)

    async def _enter(self, tasks: asyncio.TaskGroup, request: pb.CompressFrameRequest) -> None:
        job = self._parse(request)
        if self._key is not None and job.key != self._key:
            raise FieldError("session_id", "a call is for one session, participant and frame type")
        self._key = job.key
        arrived_s, remaining_s = self._clock(), self._remaining_s()
        if job.limit_s is None:
            await self._room()
        live = self._streams.admit(job)
        coding = self._streams.compress(live, job, arrived_s=arrived_s, remaining_s=remaining_s)
        task = tasks.create_task(coding, name="rpc-frame")
        self._unanswered.append(task)
        await self._pending.put((task, job, live))

    async def _room(self) -> None:
        """Wait until the frames before are coded, all but what a stream may hold."""
        while len(self._unanswered) >= QUEUE:
            await asyncio.wait({self._unanswered[0]})
            while self._unanswered and self._unanswered[0].done():
                self._unanswered.popleft()
        await self._replies.room()

    async def _forward(self) -> None:
        while (entry := await self._pending.get()) is not None:
            task, job, live = entry
            response, unit = await task
            if self._unanswered and self._unanswered[0] is task:
                self._unanswered.popleft()
            if job.limit_s is None:
                await self._replies.room()
            droppable = unit is not None and unit.droppable
            if not self._replies.put(response, droppable=droppable):
                live.stream.want_key()
        self._replies.close()
