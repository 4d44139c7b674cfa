"""What is asked for as a job, and what is told about it: plain values.

::

                  all bots in their rooms
    STARTING ────────────────────────────► RUNNING
        ▲ └───────────────┬────────────────┘ │
        │ failed, again   │ no use           │ asked to stop, or the engine drains
        └─────────────────┼──────────────────┤
                          ▼                  ▼
                       FAILED            DRAINING ──► ENDED
                                     (RUNNING ──► ENDED where somebody closed the room)
"""

import enum
from dataclasses import asdict, dataclass, field
from typing import Any, NewType

from auralink.engine.relay.job import Place, RelaySettings

JobId = NewType("JobId", str)


class JobState(enum.StrEnum):
    STARTING = "starting"  # not in its rooms yet, or waiting to try again
    RUNNING = "running"  # was in its rooms; after a loss it comes back by itself
    DRAINING = "draining"  # will end: on its way out, or until the deadline of the engine
    ENDED = "ended"  # on purpose, by whomever
    FAILED = "failed"  # trying again is no use; the reason says why

    @property
    def over(self) -> bool:
        return self in (JobState.ENDED, JobState.FAILED)


@dataclass(frozen=True, slots=True, kw_only=True)
class JobSpec:
    """
    Attributes:
        tenant: who pays for it; jobs of one tenant are listed together.
        label: for people; not unique.
    """

    settings: RelaySettings
    tenant: str = ""
    label: str = ""

    def plain(self) -> dict[str, Any]:
        """For JSON.  No token, key or secret is in it."""
        settings = self.settings
        options = asdict(settings.options)
        return {
            "tenant": self.tenant,
            "label": self.label,
            "near": _place(settings.near),
            "far": _place(settings.far),
            "role": settings.role.value,
            "name": settings.name,
            "codec": settings.codec,
            "backend": settings.backend,
            "options": options
            | {
                "size": list(settings.options.size),
                "identities": sorted(settings.options.identities),
                "sources": sorted(settings.options.sources),
            },
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class JobSnapshot:
    """A job at one moment.

    Attributes:
        reason: of the state, in words; empty where it says all.
        created, since: of the job, and of its state; seconds of the Unix clock.
        restarts: how often it was put together anew.
        status: what `engine.relay.status` tells; None while no relay is there.
    """

    id: JobId
    spec: JobSpec
    state: JobState
    reason: str
    created: float
    since: float
    restarts: int
    status: dict[str, Any] | None = field(repr=False)

    def plain(self) -> dict[str, Any]:
        """For JSON.  No token, key or secret is in it."""
        return {
            "id": self.id,
            "state": self.state.value,
            "reason": self.reason,
            "created": self.created,
            "since": self.since,
            "restarts": self.restarts,
            "spec": self.spec.plain(),
            "status": self.status,
        }


def _place(place: Place) -> dict[str, str]:
    return {"url": place.access.url, "room": place.room}
