"""A job as it is asked for, and as engines hand it to one another: JSON, without any secret."""

from typing import Annotated, Literal, TypeAlias

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
from auralink.engine.relay.request import RelayRequest
from auralink.engine.service.errors import Unusable
from auralink.engine.service.settings.tree import LiveKit, Settings
from auralink.engine.service.text import writable

Server: TypeAlias = Literal["livekit", "livekit_to"]
JobName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9._-]{1,64}$")]
Room = Annotated[
    str, StringConstraints(min_length=1, max_length=256, pattern=r"^[^\x00-\x1f\x7f]+$")
]


class JobRequest(RelayRequest):
    """A room of a server that the operator set up; nobody brings an address of their own.

    Attributes:
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
        return JobSpec(settings=relay, tenant=self.tenant, label=request.label)


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
