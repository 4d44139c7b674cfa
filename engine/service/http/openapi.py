"""The description of the API: what FastAPI finds, and who may do what."""

from http import HTTPStatus
from typing import Any, Final

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from auralink.engine.service.http.matrix import MATRIX
from auralink.engine.service.http.problems import MEDIA_TYPE
from auralink.engine.service.http.request_ids import HEADER

_SCHEMES: Final[dict[str, Any]] = {
    "token": {
        "type": "http",
        "scheme": "bearer",
        "description": "A JSON Web Token (HS256, RS256 or EdDSA), or an API key.",
    },
    "apiKey": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
}
_OF_BODIES: Final = (400, 413, 415)  # no UTF-8, too large, compressed
_SECURITY: Final[tuple[dict[str, list[str]], ...]] = ({"token": []}, {"apiKey": []})


def describe(app: FastAPI) -> dict[str, Any]:
    """OpenAPI 3.1, complete: security and role of every operation, problems in their own type."""
    if app.openapi_schema is None:
        found = get_openapi(
            title=app.title,
            version=app.version,
            description=app.description,
            routes=app.routes,
        )
        found["components"]["securitySchemes"] = _SCHEMES
        for path in found["paths"].values():
            for operation in path.values():
                _complete(operation)
        for unused in ("HTTPValidationError", "ValidationError"):
            found["components"]["schemas"].pop(unused, None)
        app.openapi_schema = found
    return app.openapi_schema


def _complete(operation: dict[str, Any]) -> None:
    rule = MATRIX.get(operation["operationId"])
    if rule is not None and rule.role is not None:
        operation["security"] = [dict(one) for one in _SECURITY]
        operation["x-least-role"] = rule.role.label
        operation["x-owned-by"] = rule.owned.value
    for status in _OF_BODIES if "requestBody" in operation else ():
        response = {"description": HTTPStatus(status).phrase, "content": {MEDIA_TYPE: {}}}
        operation["responses"].setdefault(str(status), response)
    for status, response in operation["responses"].items():
        response.setdefault("headers", {})[HEADER] = {"schema": {"type": "string"}}
        content = response.get("content", {})
        # FastAPI documents its own form of 422, and a model of a response as plain JSON.
        problem = content.get(MEDIA_TYPE)
        if status == "422" or problem is not None:
            schema = {"$ref": "#/components/schemas/Problem"}
            response["content"] = {MEDIA_TYPE: {"schema": schema}}
