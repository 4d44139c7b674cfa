"""A job as it is asked for, and as engines hand it to one another: JSON, without any secret."""

from dataclasses import replace
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
    field_validator,
)

from auralink.codecs.errors import InputError
from auralink.engine.relay.access import Access
from auralink.engine.relay.job import Place
from auralink.engine.relay.job_values import JobSpec
from auralink.engine.relay.options import RelayOptions
from auralink.engine.relay.request import RelayRequest
from auralink.engine.service.errors import Unusable
from auralink.engine.service.settings.tree import LiveKit, Settings
from auralink.engine.service.text import writable

Server: TypeAlias = Literal["livekit", "livekit_to"]
JobName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9._-]{1,64}$")]
Room = Annotated[
    str, StringConstraints(min_length=1, max_length=256, pattern=r"^[^\x00-\x1f\x7f]+$")
]


def _without_default(schema: dict[str, Any]) -> None:
    """The default is the tenant's, whatever stands in the code."""
    schema.pop("default", None)


class JobRequest(RelayRequest):
    """A room of a server that the operator set up; nobody brings an address of their own.

    Attributes:
        max_latency_ms: that coding a picture may take, on average.
        id: makes the request repeatable: a second one with the same id is a conflict.
    """

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"room": "standup"},
                {"room": "standup", "to_room": "standup-thin", "rate_bps": 120_000},
                {"room": "stage", "only": ["ann"], "sources": ["camera"], "profile": "hybrid"},
            ]
        }
    )

    room: Room
    rate_bps: int = Field(
        default=300_000,
        ge=20_000,
        le=100_000_000,
        description="all that the link carries; left out: as the tenant's config says",
        json_schema_extra=_without_default,
    )
    max_latency_ms: int | None = Field(
        default=None,
        ge=5,
        le=100,
        description="for coding a picture, on average; left out: as the tenant's config says",
    )
    server: Server = "livekit"
    to_server: Server = "livekit"
    label: Annotated[str, Field(max_length=128)] = ""
    id: JobName | None = None

    _writable = field_validator("*")(writable)


class JobOrder(BaseModel):
    """What one engine posts and another one may take up."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    tenant: str
    request: JobRequest

    @classmethod
    def parse(cls, text: str) -> "JobOrder":
        """
        Raises:
            InputError: another version's, or no order.
        """
        try:
            return cls.model_validate_json(text)
        except ValidationError as error:
            raise InputError(f"no order of this version: {error.error_count()} faults") from None

    def spec(self, job_id: str, settings: Settings) -> JobSpec:
        """For this engine, with the keys that it has.

        Raises:
            Unusable: a server is not set up here.
            InputError: values that do not go together.
        """
        request = self.request
        request.check()
        relay = request.settings(
            _place(settings, request.server, request.room),
            _place(settings, request.to_server, request.room),
            name=f"aic-{job_id}",
        )
        if request.max_latency_ms is not None:
            relay = replace(relay, options=_hurried(relay.options, request.max_latency_ms))
        return JobSpec(settings=relay, tenant=self.tenant, label=request.label)


def _hurried(options: RelayOptions, latency_ms: int) -> RelayOptions:
    """Speed control keeps the mean time of a picture within its share of a core."""
    cores = min(options.encoder.cores, latency_ms / 1000 * options.fps)
    return replace(options, encoder=replace(options.encoder, cores=cores))


def _place(settings: Settings, server: Server, room: str) -> Place:
    return Place(access=access_to(settings, server), room=room)


def access_to(settings: Settings, server: Server) -> Access:
    """
    Raises:
        Unusable: the server is not set up.
    """
    found: LiveKit = getattr(settings, server)
    if not found.url:
        error = Unusable(f"the server {server!r} is not set up")
        error.add_note(f"the operator sets {server}.url, {server}.api_key and {server}.api_secret")
        raise error
    return Access(url=found.url, key=found.api_key, secret=found.api_secret.get_secret_value())
