"""The description of the API, held to by schemathesis: what it sends, we answer as described."""

import asyncio
import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from auralink.engine.service.auth.principal import Role
from auralink.engine.service.http.description import description
from auralink.engine.service.http.problems import MEDIA_TYPE

from .services import Wanted, service_in, token_of

DESCRIBED = description()
# Answered by a stream that does not end, by the end of the engine, and by a signature.
EXAMPLES = int(os.environ.get("API_CASES", "12"))  # per operation
LEFT_OUT = ("stream_events", "drain_engine", "receive_livekit_webhook")
SCHEMA = schemathesis.openapi.from_dict(DESCRIBED).exclude(operation_id=list(LEFT_OUT))


class InAThread:
    """A service on a loop of its own: schemathesis asks from this thread."""

    def __init__(self, folder: Path) -> None:
        self.url = ""
        self._folder = folder
        self._up = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()))

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._end = asyncio.Event()
        wanted = Wanted(settings={"AURALINK_LIMITS__JOBS": "1000"})
        async with service_in(self._folder, wanted) as service:
            self.url = service.url
            self._up.set()
            await self._end.wait()

    def __enter__(self) -> "InAThread":
        self._thread.start()
        self._up.wait()
        return self

    def __exit__(self, *ignored: object) -> None:
        self._loop.call_soon_threadsafe(self._end.set)
        self._thread.join()


@pytest.fixture(scope="module")
def service_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with InAThread(tmp_path_factory.mktemp("described")) as service:
        yield service.url


# schemathesis's own strategies do what hypothesis warns of.
@pytest.mark.filterwarnings("ignore:Do not use the `random` module inside strategies")
@SCHEMA.parametrize()
@settings(
    max_examples=EXAMPLES,
    derandomize=True,
    deadline=None,
    database=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)
def test_every_operation_answers_as_it_is_described(case: Any, service_url: str) -> None:
    case.call_and_validate(
        base_url=service_url,
        headers={"Authorization": f"Bearer {token_of(role=Role.ADMIN)}"},
        checks=[
            not_a_server_error,
            status_code_conformance,
            content_type_conformance,
            response_headers_conformance,
            response_schema_conformance,
        ],
    )


def operations() -> dict[str, dict[str, Any]]:
    return {
        operation["operationId"]: operation
        for path in DESCRIBED["paths"].values()
        for operation in path.values()
    }


@pytest.mark.parametrize("name", operations())
def test_every_operation_is_described_whole(name: str) -> None:
    operation = operations()[name]

    assert operation["summary"]
    assert operation["description"].endswith(("`.", ".", ")"))
    good = [status for status in operation["responses"] if status.startswith("2")]
    assert len(good) == 1
    for status, response in operation["responses"].items():
        assert response["content"], status
        assert "x-request-id" in response["headers"]
        if not status.startswith("2") and name != "get_health":
            assert list(response["content"]) == [MEDIA_TYPE]
    for parameter in operation.get("parameters", ()):
        assert parameter["schema"]


def test_every_body_and_answer_has_an_example_or_fields_that_have() -> None:
    for name, schema in DESCRIBED["components"]["schemas"].items():
        if schema.get("type") != "object" or "examples" in schema or name.endswith("Request"):
            continue
        fields = schema["properties"].values()
        assert any("examples" in field for field in fields) or all(
            {"$ref", "type", "items", "anyOf", "const", "enum"} & set(field) for field in fields
        ), name


def test_requests_allow_nothing_that_is_not_named() -> None:
    for name, schema in DESCRIBED["components"]["schemas"].items():
        if name.endswith(("Request", "Resolution")):
            assert schema["additionalProperties"] is False, name
