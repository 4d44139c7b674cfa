"""The whole engine as one process: settings to exit code.  What `auralink serve` calls."""

import asyncio
import contextlib
import importlib.metadata
import os
import socket
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import Final
from urllib.parse import unquote, urlsplit

from auralink.engine.cpu import CpuShare
from auralink.engine.garbage import spare_what_lives
from auralink.engine.inference.pool import PoolSettings, WorkerPool, default_workers
from auralink.engine.inference.whole import Inference
from auralink.engine.relay.opening import Clocks as RelayClocks
from auralink.engine.relay.opening import encoders_at, relay_opener
from auralink.engine.rpc.hosting import Hosting
from auralink.engine.rpc.observing import RpcObserver
from auralink.engine.service import serving
from auralink.engine.service.compose import MakePhase, Works, compose
from auralink.engine.service.context import Clocks, Context
from auralink.engine.service.live_models import first_entry, opening_models
from auralink.engine.service.observing import Observing
from auralink.engine.service.settings.reload import LiveSettings
from auralink.engine.service.settings.tree import Settings
from auralink.engine.telemetry.frame_sums import FrameSums
from auralink.engine.telemetry.inference_observer import InferenceObserver
from auralink.engine.telemetry.logs import LogSettings, set_up_logging
from auralink.engine.telemetry.metrics import Metrics
from auralink.engine.telemetry.picture_steps import PictureSteps
from auralink.engine.telemetry.readings import WorkersReading
from auralink.engine.telemetry.sampling import InferenceCounts
from auralink.engine.telemetry.tracing import NoTracer, Tracer, open_tracer

_FORCED_S: Final = 0.3  # for workers, once somebody hurries; they end by themselves with us


def open_pool(settings: Settings) -> WorkerPool:
    """Workers for this machine, with the network that the settings name."""
    entry = first_entry(settings.models.folder, settings.models.precision)
    return WorkerPool(PoolSettings.for_machine(workers=default_workers(), entry=entry))


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """What everything that happens is counted in: metrics, and rows to be."""

    metrics: Metrics
    frames: FrameSums

    def of_inference(self, pool: WorkerPool) -> InferenceObserver:
        """For `Inference.told`."""

        def version(model: str) -> str:
            entry = pool.entry
            return entry.version if entry is not None and entry.name == model else ""

        return InferenceObserver(self.metrics, self.frames, version)


def figures_of(settings: Settings) -> Figures:
    metrics = Metrics(version=importlib.metadata.version("auralink-aic"), started=time.time())
    return Figures(metrics=metrics, frames=FrameSums(engine_id(settings)))


def context_of(
    live: LiveSettings,
    pool: WorkerPool,
    inference: Inference,
    figures: Figures,
    tracer: Tracer | None = None,
) -> Context:
    """The engine, put together and not started.

    Raises:
        ConfigError: a key cannot be used.
    """
    settings = live.now
    version = importlib.metadata.version("auralink-aic")
    clocks = Clocks(wall=time.time, monotonic=time.monotonic)
    metrics, frames = figures.metrics, figures.frames
    observing = Observing(
        metrics=metrics,
        frames=frames,
        inference=lambda: _counts(inference),
        workers=lambda: _workers(pool),
    )
    further: list[MakePhase] = [observing]
    if settings.grpc.enabled:
        further.append(Hosting(host=pool, observer=RpcObserver(metrics, frames)))
    works = Works(
        open_relay=relay_opener(
            version=version,
            clocks=RelayClocks(),
            encoder=encoders_at(pool),
            decoder=inference.open_decoder,
            restorer=inference.restorer,
            native=inference.open_native,
            timeline=PictureSteps(metrics),
        ),
        telemetry=partial(_given, metrics),
        tracer=tracer or NoTracer(),
        models=opening_models(pool, settings.models.folder, metrics.model_refused),
        cpu=CpuShare(clocks.monotonic),
        loop_lag=metrics.lag,
        further=tuple(further),
    )
    return compose(live, works, clocks=clocks, version=version, engine_id=engine_id(settings))


def tracer_of(settings: Settings) -> Tracer:
    """
    Raises:
        UnsupportedError: the settings name a collector, and the extra is not installed.
    """
    traces = settings.traces
    if not traces.endpoint:
        return NoTracer()
    version = importlib.metadata.version("auralink-aic")
    return open_tracer(traces.endpoint, version=version, share=traces.share)


def engine_id(settings: Settings) -> str:
    """The one that was given, or this machine and process."""
    return settings.engine.id or f"{socket.gethostname()}-{os.getpid()}"


def secrets_of(settings: Settings) -> Iterator[str]:
    """Every secret of the settings, for what keeps them out of logs."""
    given = [settings.auth.secret, *(key.secret for key in settings.auth.keys)]
    given += [settings.livekit.api_secret, settings.livekit_to.api_secret]
    for secret in given:
        if secret is not None:
            yield secret.get_secret_value()
    for url in (settings.database.url, settings.redis.url):
        password = urlsplit(url.get_secret_value()).password if url is not None else None
        if password:
            yield password
            yield unquote(password)


def _workers(pool: WorkerPool) -> WorkersReading:
    facts = pool.statistics()
    return WorkersReading(ready=facts.workers, wanted=facts.wanted, lost=facts.lost)


def _counts(inference: Inference) -> InferenceCounts:
    facts = inference.statistics()
    return InferenceCounts(
        waiting=facts.schedule.waiting,
        open=facts.open,
        outcomes=facts.outcomes,
        breakers=facts.breakers,
    )


@asynccontextmanager
async def _given(metrics: Metrics) -> AsyncIterator[Metrics]:
    yield metrics


def set_up_logs(live: LiveSettings) -> None:
    """Log as the settings say, now and after each reload, without any of their secrets."""

    def set_up(settings: Settings) -> None:
        log = settings.log
        set_up_logging(
            LogSettings(format=log.format, level=log.level), secrets=secrets_of(settings)
        )

    set_up(live.now)
    live.on_change(set_up)


async def serve(live: LiveSettings, told: Callable[[str], None]) -> int:
    """Run the engine until it is asked to end; return the exit code.

    Args:
        told: takes lines for people.

    Raises:
        ConfigError, StartError, UnsupportedError: it does not start.
    """
    tracer = tracer_of(live.now)
    pool = open_pool(live.now)
    figures = figures_of(live.now)
    inference = Inference(pool, told=figures.of_inference(pool))
    limit_s: float | None = None

    def ready() -> None:
        spare_what_lives()  # once more: parts brought modules along, routes and models of data
        told("ready")

    try:
        context = context_of(live, pool, inference, figures, tracer)
        http = live.now.http
        scheme = "https" if http.tls else "http"
        code = await serving.serve(
            context,
            serving.Told(
                listening=lambda port: told(f"HTTP on {scheme}://{http.host}:{port}"),
                ready=ready,
            ),
        )
        limit_s = _FORCED_S if code == serving.FORCED else None
        return code
    finally:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(limit_s):
                await inference.close()
                await asyncio.to_thread(pool.close)
                await asyncio.to_thread(tracer.close)
