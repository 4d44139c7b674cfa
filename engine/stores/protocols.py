"""What the services want of stores; databases and Redis are behind these.

Reads raise `StoreAway` when the store cannot be reached.  Nothing here is on the path of a frame.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from auralink.engine.stores.records import (
    AlertRow,
    DaySavings,
    IntervalRow,
    ModelRow,
    Performance,
    QualityBand,
    RecordsStatus,
    Row,
    SessionRow,
    Severity,
    UserConfig,
)


class Records(Protocol):
    """Sessions, metrics per interval, model performance, alerts and configs.

    ``owner=None`` means everybody's rows; lists are newest first.
    """

    def write(self, *rows: Row) -> None:
        """Keep rows soon: they wait in a bounded buffer and are written in batches.

        Never waits and never raises for the store's sake; when the buffer is full the oldest rows
        go, and `status` counts them.
        """

    async def flush(self) -> None:
        """Return when all rows buffered before the call are written.

        Raises:
            StoreAway: the database is away; the rows stay buffered.
        """

    async def config(self, user_id: str) -> UserConfig | None: ...

    async def save_config(self, config: UserConfig) -> None:
        """Write at once; the next `config` anywhere has it."""

    async def sessions(
        self,
        *,
        owner: str | None = None,
        call_id: str | None = None,
        participant_id: str | None = None,
        live: bool | None = None,
        limit: int = 100,
    ) -> Sequence[SessionRow]: ...

    async def session(self, session_id: str, *, owner: str | None = None) -> SessionRow | None: ...

    async def metrics(
        self,
        *,
        owner: str | None = None,
        call_id: str | None = None,
        participant_id: str | None = None,
        session_id: str | None = None,
        since: datetime | None = None,
        limit: int = 100,
    ) -> Sequence[IntervalRow]: ...

    async def performance(
        self, since: datetime, until: datetime, *, owner: str | None = None
    ) -> Performance: ...

    async def models(self, since: datetime, *, limit: int = 100) -> Sequence[ModelRow]: ...

    async def alerts(
        self,
        *,
        owner: str | None = None,
        resolved: bool | None = None,
        severity: Severity | None = None,
        limit: int = 50,
    ) -> Sequence[AlertRow]: ...

    async def resolve_alert(
        self,
        alert_id: str,
        *,
        by: str,
        now: datetime,
        note: str | None = None,
        owner: str | None = None,
    ) -> AlertRow | None:
        """The alert, resolved (also if it was before); ``None`` if this owner has no such alert."""

    async def savings(
        self, since: datetime, until: datetime, *, owner: str | None = None
    ) -> Sequence[DaySavings]:
        """By UTC day, oldest first; days without a row are left out."""

    async def quality(
        self, since: datetime, until: datetime, *, owner: str | None = None
    ) -> Sequence[QualityBand]:
        """Five bands, from the lowest: below 0.5, to 0.7, 0.85, 0.95 and 1."""

    def status(self) -> RecordsStatus: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """At most ``amount`` hits in any ``per_s`` seconds, as the sliding window counts them."""

    amount: int
    per_s: int = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """
    Attributes:
        retry_after_s: 0 when allowed.
        shared: the count is that of all replicas; else this process counted alone, at its share of
            the limit, because Redis is away.  Endpoints that must fail closed refuse then.
    """

    allowed: bool
    limit: int
    remaining: int
    retry_after_s: float
    shared: bool


class RateLimiter(Protocol):
    async def hit(self, key: str, limit: Limit) -> Decision:
        """Count one request of ``key``.  A refused one is not counted.  Never raises."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Lease:
    """The right to run a job.

    ``fence`` grows with each holder of the job: whoever is given two, believes the larger.
    """

    job_id: str
    holder: str
    fence: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PostedJob:
    """A job that some engine has to run; ``spec`` is JSON text, without any secret."""

    job_id: str
    spec: str
    holder: str | None = None  # None: nobody has it now


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveSession:
    """A session that an engine runs at this moment; vanishes when the engine stops telling."""

    session_id: str
    call_id: str
    participant_id: str
    job_id: str
    engine_id: str


class Leases(Protocol):
    """Which engine runs which job.  Without Redis there is one engine, which gets them all."""

    async def post(self, job_id: str, spec: str) -> None:
        """Make a job known to all engines."""

    async def withdraw(self, job_id: str) -> None:
        """The job is over: forget it and its lease, whoever holds it."""

    async def jobs(self) -> Sequence[PostedJob]: ...

    async def acquire(self, job_id: str) -> Lease | None:
        """``None``: another engine has it, or it was withdrawn."""

    async def renew(self, lease: Lease) -> bool:
        """False: it is lost to another engine or withdrawn; stop the job.

        Raises:
            StoreAway: nobody can say; go on.
        """

    async def release(self, lease: Lease) -> None:
        """Give it up at once, if it is still ours."""

    async def announce(self, sessions: Sequence[LiveSession]) -> None:
        """All of this engine's live sessions, replacing what it said before."""

    async def live(self) -> Sequence[LiveSession]:
        """Those of all engines."""


__all__ = [
    "Decision",
    "Lease",
    "Leases",
    "Limit",
    "LiveSession",
    "PostedJob",
    "RateLimiter",
    "Records",
]
