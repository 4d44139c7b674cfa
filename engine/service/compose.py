"""The one place where the service is put together: settings in, context out.

Nothing is opened here.  The phases say how, and `Lifecycle` opens them in this order: what others
stand on comes first, and goes last.
"""

import random
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from auralink.engine.relay import opening
from auralink.engine.relay.jobs import Jobs
from auralink.engine.service.access import Access
from auralink.engine.service.configs import Configs
from auralink.engine.service.context import Clocks, Context, Models, Telemetry
from auralink.engine.service.dispatching import Registration, open_registration, plan_of
from auralink.engine.service.ending import Ending
from auralink.engine.service.heartbeat import Heartbeat
from auralink.engine.service.job_board import JobBoard, open_board
from auralink.engine.service.lifecycle import Lifecycle, Phase
from auralink.engine.service.parts import Part
from auralink.engine.service.settings.reload import LiveSettings
from auralink.engine.service.settings.tree import Settings
from auralink.engine.service.traced_relays import traced
from auralink.engine.stores.database.records import RecordsSettings, open_records
from auralink.engine.stores.database.retention import Retention
from auralink.engine.stores.local_leases import LocalLeases
from auralink.engine.stores.protocols import Leases, RateLimiter, Records
from auralink.engine.stores.redis.guarded import GuardedRedis, RedisSettings, open_redis
from auralink.engine.stores.redis.leases import RedisLeases
from auralink.engine.stores.redis.limiter import SharedLimiter
from auralink.engine.telemetry.tracing import NoTracer, Tracer

Opening: TypeAlias = AbstractAsyncContextManager[Any]
# A phase that is made once the context is there: it uses parts opened before it.
MakePhase: TypeAlias = Callable[[Context], Phase[Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Works:
    """What the service is about, and what is other in tests.

    Attributes:
        open_relay: puts a relay together.
        telemetry, models: None: this engine has none, and says so.
        tracer: takes spans of requests and jobs.
        cpu: share of the processors that is busy, 0..1.
        further: phases after those of the service itself.
    """

    open_relay: opening.OpenRelay
    telemetry: Callable[[], AbstractAsyncContextManager[Telemetry]] | None = None
    models: Callable[[], AbstractAsyncContextManager[Models]] | None = None
    tracer: Tracer = field(default_factory=NoTracer)
    cpu: Callable[[], float] = lambda: 0.0
    loop_lag: Callable[[float], None] = lambda seconds: None
    further: tuple[MakePhase, ...] = ()
    new_id: Callable[[], str] = field(default=lambda: f"{random.getrandbits(48):012x}")


def compose(
    live: LiveSettings, works: Works, *, clocks: Clocks, version: str, engine_id: str
) -> Context:
    """
    Raises:
        ConfigError: a key cannot be used.
    """
    settings = live.now
    records = Part[Records]("records", needed=settings.database.required)
    lifecycle = Lifecycle(limit_s=settings.engine.start_s)
    context = Context(
        version=version,
        engine_id=engine_id,
        started=clocks.wall(),
        clocks=clocks,
        settings=live,
        tracer=works.tracer,
        access=Access(settings),
        heartbeat=Heartbeat(clocks.monotonic, lag=works.loop_lag),
        lifecycle=lifecycle,
        ending=Ending(lifecycle),
        records=records,
        configs=Configs(records, clocks.monotonic),
        limiter=Part[RateLimiter]("limiter"),
        jobs=Part[JobBoard]("jobs"),
        dispatcher=Part[Registration]("dispatcher", needed=False),
        models=Part[Models]("models", needed=settings.models.required),
        telemetry=Part[Telemetry]("telemetry", needed=False),
    )
    live.on_change(context.access.take)
    lifecycle.add(*_phases(context, works))
    lifecycle.add(*(make(context) for make in works.further))
    lifecycle.add(*_dispatcher(context))  # it brings work: when all else is there
    return context


def _phases(context: Context, works: Works) -> list[Phase[Any]]:
    settings = context.settings.now
    redis = Part[GuardedRedis]("redis", needed=False)
    phases: list[Phase[Any]] = []
    for part, opens in (
        (context.telemetry, works.telemetry),
        (context.models, works.models),
    ):
        if opens is None:
            part.never()
        else:
            phases.append(Phase(part=part, open=opens, required=False))
    if settings.redis.url is not None:
        url = settings.redis.url.get_secret_value()
        phases.append(Phase(part=redis, open=lambda: open_redis(RedisSettings(url=url))))
    return [
        *phases,
        Phase(part=context.limiter, open=lambda: _limiter(redis, settings)),
        Phase(
            part=context.records,
            open=lambda: open_records(_records(settings)),
            required=settings.database.required,
        ),
        Phase(part=context.jobs, open=lambda: _board(context, works, redis)),
    ]


def _dispatcher(context: Context) -> list[Phase[Any]]:
    settings, part = context.settings.now, context.dispatcher
    if not settings.agent.enabled:
        part.never()
        return []
    plan = plan_of(settings)

    def opens() -> AbstractAsyncContextManager[Registration]:
        jobs = context.jobs.get().here
        return open_registration(
            jobs, plan, settings, context.ending, part, version=context.version
        )

    return [Phase(part=part, open=opens, required=False)]


@asynccontextmanager
async def _limiter(redis: Part[GuardedRedis], settings: Settings) -> AsyncIterator[RateLimiter]:
    yield SharedLimiter(redis.peek(), replicas=settings.redis.replicas)


def _records(settings: Settings) -> RecordsSettings:
    database = settings.database
    return RecordsSettings(
        url=database.url.get_secret_value(),
        required=database.required,
        pool=database.pool_max,
        keep=Retention(metrics_days=database.retention_days),
    )


@asynccontextmanager
async def _board(
    context: Context, works: Works, redis: Part[GuardedRedis]
) -> AsyncIterator[JobBoard]:
    shared = redis.peek()
    leases: Leases = LocalLeases(context.engine_id)
    if shared is not None:
        leases = RedisLeases(shared, context.engine_id)
    jobs = Jobs(
        traced(works.open_relay, works.tracer),
        clocks=opening.Clocks(wall=context.clocks.wall, monotonic=context.clocks.monotonic),
        new_id=works.new_id,
        most=context.settings.now.limits.jobs,
        cpu=works.cpu,
    )

    def limit(settings: Settings) -> None:
        jobs.most = settings.limits.jobs

    context.settings.on_change(limit)
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(jobs)
        yield await stack.enter_async_context(
            open_board(
                jobs,
                leases,
                lambda: context.settings.now,
                engine_id=context.engine_id,
                shared=shared is not None,
                random=random.random,
            )
        )
