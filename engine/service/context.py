"""The application context: everything that requests need, made at start and passed down.

Nothing of the engine keeps state in a module.  What a request may use is an attribute here, typed
by what it must be able to do; what is not there yet, or any more, says so by name.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from auralink.engine.service.access import Access
from auralink.engine.service.configs import Configs
from auralink.engine.service.dispatching import Registration
from auralink.engine.service.ending import Ending
from auralink.engine.service.heartbeat import Heartbeat
from auralink.engine.service.job_board import JobBoard
from auralink.engine.service.lifecycle import Lifecycle
from auralink.engine.service.parts import Part, PartState
from auralink.engine.service.settings.reload import LiveSettings
from auralink.engine.stores.protocols import RateLimiter, Records
from auralink.engine.stores.redis.guarded import RedisStatus
from auralink.engine.stores.redis.limiter import SharedLimiter
from auralink.engine.telemetry.metrics import Page
from auralink.engine.telemetry.tracing import Tracer
from auralink.models.manifest import Precision


@dataclass(frozen=True, slots=True, kw_only=True)
class Clocks:
    """
    Attributes:
        wall: seconds since 1970.
        monotonic: seconds.
    """

    wall: Callable[[], float]
    monotonic: Callable[[], float]


class Telemetry(Protocol):
    def request(self, *, method: str, route: str, status: int, seconds: float) -> None:
        """One HTTP request was answered.

        Args:
            route: the template, never the path: that has ids in it.
        """

    def page(self) -> Page:
        """All metrics.  May take milliseconds: not on the event loop."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadedModel:
    """A network that is in use.

    Attributes:
        generation: counts swaps, from 1.
    """

    name: str
    version: str
    precision: Precision
    generation: int
    detail: str = ""  # why the last swap was refused


class Models(Protocol):
    def loaded(self) -> Sequence[LoadedModel]: ...

    async def swap(self, name: str, version: str, precision: Precision) -> LoadedModel:
        """Put another version into use without a pause.

        Raises:
            ModelError: it is not good; the one before stays in use.
        """


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """
    Attributes:
        started: seconds since 1970.
    """

    version: str
    engine_id: str
    started: float
    clocks: Clocks
    settings: LiveSettings
    tracer: Tracer
    access: Access
    heartbeat: Heartbeat
    lifecycle: Lifecycle
    ending: Ending
    records: Part[Records]
    configs: Configs
    limiter: Part[RateLimiter]
    jobs: Part[JobBoard]
    dispatcher: Part[Registration]
    models: Part[Models]
    telemetry: Part[Telemetry]

    def parts(self) -> Sequence[PartState]:
        every: Sequence[Part[Any]] = (
            self.telemetry,
            self.limiter,
            self.records,
            self.models,
            self.jobs,
            self.dispatcher,
        )
        return [part.state for part in every]

    def redis(self) -> RedisStatus | None:
        """None: this engine has none, or nothing that would ask it yet."""
        limiter = self.limiter.peek()
        return limiter.redis_status if isinstance(limiter, SharedLimiter) else None

    def missing(self) -> Sequence[PartState]:
        """Parts that the engine is not ready without, and that are not there."""
        return [state for state in self.parts() if state.needed and not state.ready]
