"""Problems (RFC 9457): what went wrong, with the request's id and what to do about it.

Nothing of an exception's text gets out unless it was written for callers: of a fault of ours a
caller learns the request id, under which the log has the rest.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Annotated, Any, Final

from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field
from starlette.exceptions import HTTPException

from auralink.codecs.errors import InputError, UnsupportedError
from auralink.engine.relay.errors import Draining, JobExists, JobsFull, JobUnknown
from auralink.engine.room.webhooks import WebhookRefused
from auralink.engine.service.errors import (
    Conflict,
    Forbidden,
    Limited,
    NotFound,
    NotReady,
    Unauthenticated,
    Unusable,
)
from auralink.engine.service.wishes import FieldRefused
from auralink.engine.stores.errors import StoreAway, StoreError
from auralink.models.errors import ModelError

MEDIA_TYPE: Final = "application/problem+json"
_RETRY_S: Final = 1.0


class FieldFault(BaseModel):
    """One part of a request that is not as it must be; what was sent is not repeated."""

    place: str = Field(examples=["query.limit"])
    message: str = Field(examples=["Input should be less than or equal to 1000"])


class Problem(BaseModel):
    """RFC 9457, with our own members ``request_id``, ``hint``, ``part`` and ``errors``."""

    model_config = ConfigDict(extra="forbid")

    type: str = Field(examples=["urn:auralink:problem:not-ready"])
    title: str = Field(examples=["Service Unavailable"])
    status: Annotated[int, Field(ge=400, le=599, examples=[503])]
    detail: str = Field(examples=["records: the database is away"])
    hint: str = Field(examples=["the same request may work in a moment"])
    request_id: str = Field(examples=["5f2c9a1e7b3d4860"])
    part: str | None = Field(default=None, examples=["records"])
    errors: list[FieldFault] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Trouble:
    """A problem that does not know its request yet."""

    status: int
    slug: str
    detail: str
    hint: str
    part: str | None = None
    errors: Sequence[FieldFault] = ()
    headers: Mapping[str, str] = field(default_factory=dict)

    def response(self, request_id: str) -> JSONResponse:
        problem = Problem(
            type=f"urn:auralink:problem:{self.slug}",
            title=HTTPStatus(self.status).phrase,
            status=self.status,
            detail=self.detail,
            hint=self.hint,
            request_id=request_id,
            part=self.part,
            errors=list(self.errors) or None,
        )
        return JSONResponse(
            problem.model_dump(exclude_none=True),
            status_code=self.status,
            media_type=MEDIA_TYPE,
            headers=dict(self.headers),
        )


def trouble_of(error: Exception) -> Trouble | None:
    """What a caller is told about an error; None: it is a fault of ours."""
    match error:
        case Unauthenticated():
            return Trouble(
                status=401,
                slug="unauthenticated",
                detail=str(error),
                hint="send Authorization: Bearer TOKEN, or X-API-Key; auralink token makes them",
                headers={"www-authenticate": 'Bearer realm="auralink"'},
            )
        case WebhookRefused():
            hint = "sign it with a key of a server that is set up here"
            return _said(error.status, "webhook", error, hint)
        case Forbidden():
            return _said(403, "forbidden", error, "ask an administrator for the role")
        case NotFound() | JobUnknown():
            return _said(404, "not-found", error, "list what there is")
        case Conflict() | JobExists():
            return _said(409, "conflict", error, _note(error) or "look at its state first")
        case FieldRefused():
            return _fields(FieldFault(place=f"body.{error.field}", message=error.why))
        case Unusable() | InputError() | UnsupportedError() | ModelError():
            return _said(422, "unusable", error, _note(error) or "change the request")
        case Limited():
            return _later(429, "limited", str(error), error.retry_after_s, "ask less often")
        case NotReady():
            hint = "the same request may work in a moment; /health/detailed says more"
            return _later(503, "not-ready", str(error), error.retry_after_s, hint, error.part)
        case StoreAway():
            hint = "calls go on; the same request may work in a moment"
            detail = "records: the database is away"
            return _later(503, "not-ready", detail, error.retry_after_s, hint, "records")
        case StoreError():
            hint = "the operator must act: the engine's log says why"
            detail = "records: the database refused"
            return _later(503, "not-ready", detail, 30.0, hint, "records")
        case Draining() | JobsFull():
            hint = _note(error) or "ask another engine"
            return _later(503, "no-room", str(error), 5.0, hint, "jobs")
        case RequestValidationError():
            return _invalid(error)
        case HTTPException():
            return _plain(error)
        case _:
            return None


OURS: Final = Trouble(
    status=500,
    slug="fault",
    detail="a fault of the engine",
    hint="give the request id to the operator: the engine's log has the rest",
)


def _said(status: int, slug: str, error: Exception, hint: str) -> Trouble:
    return Trouble(status=status, slug=slug, detail=str(error), hint=hint)


def _later(
    status: int, slug: str, detail: str, retry_s: float, hint: str, part: str | None = None
) -> Trouble:
    seconds = str(max(1, round(retry_s)))
    return Trouble(
        status=status,
        slug=slug,
        detail=detail,
        hint=hint,
        part=part,
        headers={"retry-after": seconds},
    )


def _note(error: Exception) -> str:
    return "; ".join(getattr(error, "__notes__", ()))


def _invalid(error: RequestValidationError) -> Trouble:
    faults = [
        FieldFault(place=".".join(str(place) for place in fault["loc"]), message=fault["msg"])
        for fault in error.errors()[:20]
    ]
    return _fields(*faults)


def _fields(*faults: FieldFault) -> Trouble:
    return Trouble(
        status=422,
        slug="invalid",
        detail="the request is not as the API describes it",
        hint="see errors; /openapi.json and auralink openapi describe every field",
        errors=faults,
    )


def _plain(error: HTTPException) -> Trouble:
    """What the framework itself refuses: no such path, no such method."""
    known = {404: "not-found", 405: "no-such-method", 400: "malformed"}
    words: dict[int, tuple[str, str]] = {
        400: ("the request cannot be read", "send JSON in UTF-8"),
        404: ("no such path", "auralink openapi lists the paths"),
        405: ("the path does not know this method", "see the header Allow"),
    }
    detail, hint = words.get(
        error.status_code, (HTTPStatus(error.status_code).phrase, "change the request")
    )
    return Trouble(
        status=error.status_code,
        slug=known.get(error.status_code, "refused"),
        detail=detail,
        hint=hint,
        headers=error.headers or {},
    )


def documented(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """For OpenAPI: the problems that an operation may answer with."""
    return {
        status: {
            "model": Problem,
            "description": HTTPStatus(status).phrase,
            "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}},
        }
        for status in statuses
    }


# Of an operation behind the door that reads a query or a body.
USUAL: Final = documented(401, 403, 422, 429, 503)
