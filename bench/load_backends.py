"""What the load runs on: threads that only wait, or the real workers with the real network."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Final, TypeAlias, final

import numpy as np

from auralink.codecs.frame import Frame
from auralink.codecs.video.protocol import Networks
from auralink.engine.inference.backend import Backend, Ran, Request
from auralink.engine.inference.pool import PoolSettings, WorkerPool
from auralink.engine.inference.pool_backend import PoolBackend, Task
from auralink.engine.inference.services import Made, RestoreOrder
from auralink.models.store import Store

AUDIO_MODEL: Final = "null-2ms"
NULL_S: Final = 0.002
_PICTURE: Final = (320, 180)


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """A backend, and what its streams ask of it.

    Attributes:
        payload: of one frame, by stream number.
    """

    backend: Backend[Any, Any]
    audio_model: str
    video_model: str
    video_size: tuple[int, int]
    payload: Callable[[bool], Any]


OpenStage: TypeAlias = Callable[[int], contextlib.AbstractAsyncContextManager[Stage]]


@final
class NullBackend:
    """Holds a thread for two milliseconds and computes nothing: what is left is the engine."""

    def __init__(self, workers: int) -> None:
        self._workers = workers
        self._threads = ThreadPoolExecutor(workers, "null")

    @property
    def workers(self) -> int:
        return self._workers

    def serves(self, model: str) -> bool:
        return model == AUDIO_MODEL

    async def run(self, request: Request[None]) -> Ran[None]:
        return await asyncio.get_running_loop().run_in_executor(self._threads, _hold)

    async def probe(self, model: str) -> int:
        ran = await asyncio.get_running_loop().run_in_executor(self._threads, _hold)
        return ran.run_us

    def close(self) -> None:
        self._threads.shutdown()


class NullService:
    """The same inside a worker process, for the sound of the real measurement."""

    def __init__(self, networks: Networks) -> None:
        del networks

    @property
    def facts(self) -> None:
        return None

    def work(self, frame: Frame | None, order: object) -> Made:
        _hold()
        return Made(None)

    def close(self) -> None:
        pass


@contextlib.asynccontextmanager
async def null_stage(workers: int) -> AsyncIterator[Stage]:
    backend = NullBackend(workers)
    try:
        yield Stage(
            backend=backend,
            audio_model=AUDIO_MODEL,
            video_model=AUDIO_MODEL,
            video_size=(16, 16),
            payload=lambda audio: None,
        )
    finally:
        backend.close()


@contextlib.asynccontextmanager
async def real_stage(workers: int) -> AsyncIterator[Stage]:
    """Pictures through restore-s in worker processes; sound holds a worker for two milliseconds."""
    entry = Store.bundled().find("restore-s", "int8")
    pool = WorkerPool(PoolSettings(workers=workers, spares=1, entry=entry))
    try:
        await asyncio.to_thread(pool.wait_started)
        backend = PoolBackend(pool, {AUDIO_MODEL: NullService})
        picture = _picture()
        order = RestoreOrder(quantizer=190, scale=0.5, reference=True)
        yield Stage(
            backend=backend,
            audio_model=AUDIO_MODEL,
            video_model="restore-s",
            video_size=_PICTURE,
            payload=lambda audio: Task(None, None) if audio else Task(picture, order),
        )
        await backend.close()
    finally:
        await asyncio.to_thread(pool.close)


STAGES: Final[dict[str, OpenStage]] = {"null": null_stage, "restore-s": real_stage}


def _hold() -> Ran[None]:
    start = time.perf_counter()
    time.sleep(NULL_S)
    return Ran(result=None, run_us=round((time.perf_counter() - start) * 1e6))


def _picture() -> Frame:
    width, height = _PICTURE
    ramp = np.linspace(16, 235, width, dtype=np.float32)[None] * np.ones((height, 1), np.float32)
    chroma = np.full((height // 2, width // 2), 128, np.uint8)
    return Frame(y=ramp.astype(np.uint8), u=chroma, v=chroma.copy(), pts_us=0)
