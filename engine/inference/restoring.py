"""A stream's pictures through the network, by the engine's rules: sharp in time, or plain.

::

    Picture ──scaled plainly?──yes──► InferenceEngine ──coded──► restored
                  │ no                      └── anything else ──► as it came
                  └──► as it is

The base decoder never sees what the network makes, so a picture that stays plain costs sharpness
and nothing else.  The network does: it works from its own picture before, so after one that it did
not make it starts anew.
"""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any, TypeAlias, final

from auralink.codecs.frame import Frame
from auralink.codecs.video.protocol import Picture, Plain, Status
from auralink.engine.inference.backend import Media, Request
from auralink.engine.inference.engine import Answered, InferenceEngine
from auralink.engine.inference.outcome import FrameOutcome
from auralink.engine.inference.pool_backend import Task
from auralink.engine.inference.services import Made, RestoreOrder

Engine: TypeAlias = InferenceEngine[Task, Made]


@final
class StreamRestorer:
    """
    Args:
        stream: no other stream of the engine has that name.
        tenant: who pays.
        model: names what restores for weights of that number; what nobody serves is answered
            without a model.
        deadline_us: that a picture has, from its arrival.
        forget: gives up what the engine keeps for the stream.
    """

    def __init__(
        self,
        engine: Engine,
        *,
        stream: str,
        tenant: str,
        model: Callable[[int], str],
        deadline_us: int,
        forget: Callable[[str], Awaitable[Any]],
    ) -> None:
        self.answers: Counter[FrameOutcome] = Counter()
        self._engine = engine
        self._stream = stream
        self._tenant = tenant
        self._model = model
        self._deadline_us = deadline_us
        self._forget = forget
        self._shown: Frame | None = None
        self._anew = True
        self._asked: asyncio.Future[Answered[Made]] | None = None

    async def restore(self, picture: Picture, arrived_us: int) -> Picture:
        """The picture as it is to be shown; at its deadline at the latest.

        One at a time, in the order in which they were decoded.

        Args:
            arrived_us: the last packet of it, on the engine's clock.
        """
        frame, plain = picture.frame, picture.plain
        if frame is None or picture.status is Status.FROZEN:
            return picture
        if picture.status is Status.REPEATED and self._shown is not None:
            return replace(picture, frame=self._shown.at(frame.pts_us))
        made = None if plain is None else await self._made(frame, plain, arrived_us)
        self._anew = made is None
        self._shown = frame if made is None else made
        return replace(picture, frame=self._shown, restored=picture.restored or made is not None)

    async def close(self) -> None:
        """The stream has ended, perhaps in the middle of a picture."""
        self._shown = None
        if self._asked is not None:  # what still waits would sit down again
            await asyncio.wait({self._asked})
        await self._forget(self._stream)

    async def _made(self, frame: Frame, plain: Plain, arrived_us: int) -> Frame | None:
        order = RestoreOrder(
            quantizer=plain.quantizer,
            scale=plain.scale,
            reference=plain.reference,
            key=plain.key or self._anew,
        )
        self._asked = self._engine.submit(
            Request(
                stream=self._stream,
                media=Media.VIDEO,
                model=self._model(plain.model_id),
                size=frame.size,
                captured_us=arrived_us,
                deadline_us=arrived_us + self._deadline_us,
                payload=Task(frame, order),
                tenant=self._tenant,
            )
        )
        self._asked.add_done_callback(self._count)  # even if nobody waits for it any longer
        answered = await asyncio.shield(self._asked)
        if answered.result is None:
            return None
        made = answered.result.frame
        assert made is not None
        return made

    def _count(self, asked: "asyncio.Future[Answered[Made]]") -> None:
        self.answers[asked.result().outcome] += 1
