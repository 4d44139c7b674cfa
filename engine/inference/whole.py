"""All models of a process: its workers, and the one engine that decides for all of its streams."""

import itertools
import logging
from collections.abc import Callable, Mapping
from functools import partial
from types import MappingProxyType
from typing import Self, final

from auralink.codecs.base.native import NativeCodec
from auralink.codecs.base.protocol import BaseEncoder
from auralink.codecs.video.protocol import VideoDecoder
from auralink.engine.inference.backend import DEADLINE_US, Media, Request
from auralink.engine.inference.base import decoder_at, native_at
from auralink.engine.inference.breaker import Transition
from auralink.engine.inference.dispatch import DispatchStatistics
from auralink.engine.inference.engine import Answered, InferenceEngine
from auralink.engine.inference.pool import WorkerPool
from auralink.engine.inference.pool_backend import PoolBackend, Task
from auralink.engine.inference.restoring import Engine, StreamRestorer
from auralink.engine.inference.services import Made, Make

log = logging.getLogger(__name__)


@final
class Inference:
    """One for each process.  Its methods belong to the thread of the event loop.

    Args:
        pool: not closed by this.
        models: see `PoolBackend`.
        told: hears of every answer.
        picture_us: that a picture has, from its arrival.
    """

    def __init__(
        self,
        pool: WorkerPool,
        *,
        models: Mapping[str, Make] = MappingProxyType({}),
        told: Callable[[Request[Task], Answered[Made]], None] = lambda request, answered: None,
        picture_us: int = DEADLINE_US[Media.VIDEO],
    ) -> None:
        self._pool = pool
        self._backend = PoolBackend(pool, models)
        self._picture_us = picture_us
        self._numbers = itertools.count(1)
        self.engine: Engine = InferenceEngine(self._backend, told=told, switched=_log_switch)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.close()

    def open_decoder(self) -> VideoDecoder:
        """A decoder of a stream whose pictures go through a `restorer` afterwards."""
        return decoder_at(self._pool, restores=False)

    def open_native(self, codec: NativeCodec, fps: float) -> BaseEncoder:
        """The encoder of a restored track."""
        return native_at(self._pool, codec, fps)

    def restorer(self, tenant: str) -> StreamRestorer:
        """For one stream.

        Args:
            tenant: streams of one share what the workers can do.
        """
        return StreamRestorer(
            self.engine,
            stream=f"pictures {next(self._numbers)}",
            tenant=tenant,
            model=partial(_served, self._pool),
            deadline_us=self._picture_us,
            forget=self._backend.forget,
        )

    def statistics(self) -> DispatchStatistics:
        return self.engine.statistics()

    async def close(self) -> None:
        """Answer every frame that is open, then give the seats up."""
        await self.engine.close()
        await self._backend.close()


def _served(pool: WorkerPool, model_id: int) -> str:
    entry = pool.entry
    return entry.name if entry is not None and entry.id == model_id else f"network {model_id}"


def _log_switch(model: str, transition: Transition) -> None:
    before, after = transition.before.value, transition.after.value
    log.info("breaker of %s: %s to %s, %s", model, before, after, transition.event.value)
