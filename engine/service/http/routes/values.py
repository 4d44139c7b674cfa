"""What operations take and give in common: strict requests, times, lists with a bound."""

from datetime import UTC, datetime, timedelta
from typing import Annotated, Final

from fastapi import Path, Query
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, field_validator

from auralink.engine.service.text import writable

API: Final = "/api/v1/aic"

# Ids of rooms, participants, sessions: what LiveKit allows, without control characters.
Text = Annotated[
    str, StringConstraints(min_length=1, max_length=256, pattern=r"^[^\x00-\x1f\x7f]+$")
]
Id = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9._:-]{1,128}$")]
PathId = Annotated[Id, Path(examples=["a3f09c2e5b71"])]
Hours = Annotated[int, Query(ge=1, le=168, description="how far back")]
Days = Annotated[int, Query(ge=1, le=90, description="how far back")]


class Request(BaseModel):
    """A body: unknown fields, and values of another type, are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)

    _writable = field_validator("*")(writable)


class View(BaseModel):
    """An answer, made of a value with the same attributes."""

    model_config = ConfigDict(from_attributes=True)


class Window(View):
    """The times between which rows were counted."""

    since: datetime = Field(examples=["2026-01-01T00:00:00Z"])
    until: datetime = Field(examples=["2026-01-02T00:00:00Z"])


def window(now: float, **back: int) -> tuple[datetime, datetime]:
    """
    Args:
        now: seconds since 1970.
        back: as `timedelta` takes it: hours or days.
    """
    until = datetime.fromtimestamp(now, UTC)
    return until - timedelta(**back), until
