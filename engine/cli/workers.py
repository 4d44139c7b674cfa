"""The worker processes of commands that run calls."""

import contextlib
from collections.abc import Iterator

from auralink.engine.inference.pool import PoolSettings, WorkerPool, default_workers
from auralink.engine.timeline import NO_TIMELINE, Timeline
from auralink.models.errors import ModelError
from auralink.models.manifest import Entry
from auralink.models.runtime import RESTORE_S
from auralink.models.store import Store


@contextlib.contextmanager
def worker_pool(timeline: Timeline = NO_TIMELINE) -> Iterator[WorkerPool]:
    """Workers for this machine, with our own weights; without usable ones they scale plainly."""
    settings = PoolSettings.for_machine(workers=default_workers(), entry=_entry())
    pool = WorkerPool(settings, timeline=timeline)
    try:
        yield pool
    finally:
        pool.close()


def _entry() -> Entry | None:
    try:
        return Store.bundled().find(RESTORE_S)
    except ModelError:
        return None
