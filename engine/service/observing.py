"""The phase that watches all others: metrics of what is, and rows of what was."""

import uuid
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, final

from auralink.engine.inference.breaker import BreakerStatistics
from auralink.engine.service.context import Context
from auralink.engine.service.lifecycle import Phase
from auralink.engine.service.parts import Part
from auralink.engine.service.settings.tree import Settings
from auralink.engine.telemetry.alerting import Alerting, Thresholds
from auralink.engine.telemetry.frame_sums import FrameSums
from auralink.engine.telemetry.metrics import Metrics
from auralink.engine.telemetry.process import read_process
from auralink.engine.telemetry.readings import ModelsReading, WorkersReading
from auralink.engine.telemetry.sampling import InferenceCounts, Sampler, Sources, sampling


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Observing:
    """Give ``metrics`` to `Works.telemetry` and ``metrics.lag`` to `Works.loop_lag`, this to
    `Works.further`, and a `rpc.observing.RpcObserver` of ``metrics`` and ``frames`` to gRPC.

    Attributes:
        inference, workers: what they count now; None where this engine has none.
    """

    metrics: Metrics
    frames: FrameSums
    inference: Callable[[], InferenceCounts | None] = lambda: None
    workers: Callable[[], WorkersReading | None] = lambda: None

    def __call__(self, context: Context) -> Phase[Any]:
        part = Part[Sampler]("observing", needed=False)
        return Phase(part=part, open=lambda: self._open(context), required=False)

    @asynccontextmanager
    async def _open(self, context: Context) -> AsyncIterator[Sampler]:
        settings = context.settings.now
        alerting = Alerting(_thresholds(settings), new_id=lambda: uuid.uuid4().hex)

        def changed(new: Settings) -> None:
            alerting.thresholds = _thresholds(new)

        context.settings.on_change(changed)
        sampler = Sampler(
            self.metrics,
            self._sources(context, _certificates(settings)),
            engine_id=context.engine_id,
            frames=self.frames,
            alerting=alerting,
        )
        async with sampling(sampler, interval_s=settings.database.interval_s):
            yield sampler

    def _sources(self, context: Context, certificates: Mapping[str, Path]) -> Sources:
        def redis() -> BreakerStatistics | None:
            status = context.redis()
            return None if status is None else status.breaker

        def models() -> ModelsReading | None:
            found = context.models.peek()
            return None if found is None else ModelsReading(ready=len(found.loaded()))

        def jobs() -> Any:
            board = context.jobs.peek()
            return None if board is None else board.here

        return Sources(
            wall=context.clocks.wall,
            jobs=jobs,
            records=context.records.peek,
            redis=redis,
            inference=self.inference,
            workers=self.workers,
            models=models,
            process=partial(read_process, certificates),
        )


def _certificates(settings: Settings) -> Mapping[str, Path]:
    served = {"http": settings.http.files(), "grpc": settings.grpc.files()}
    return {api: files.certificate for api, files in served.items() if files is not None}


def _thresholds(settings: Settings) -> Thresholds:
    alerts = settings.alerts
    return Thresholds(
        high_latency_ms=alerts.high_latency_ms,
        low_quality_score=alerts.low_quality_score,
        high_fallback_rate=alerts.high_fallback_rate_percent / 100,
    )
