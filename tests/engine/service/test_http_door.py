"""Who gets in: every operation for every kind of caller, over a real socket."""

import base64
import hashlib
import json
import time
from datetime import UTC, datetime
from typing import Any

import jwt
import pytest

from auralink.engine.service.auth.api_keys import digest, format_key
from auralink.engine.service.auth.matrix import Owned, check_complete
from auralink.engine.service.auth.principal import Role
from auralink.engine.service.http.app import create_app
from auralink.engine.service.http.matrix import MATRIX
from auralink.engine.stores.records import AlertRow, SessionRow

from .services import API, LIVEKIT_SECRET, SECRET, Service, Wanted, service_in, token_of
from .test_auth import BAD_TOKENS, forged, public
from .test_auth import RSA as ANOTHER_RSA

pytestmark = pytest.mark.asyncio(loop_scope="module")

# A valid request of each operation; "{}" is a thing of the tenant blue.
REQUESTS: dict[str, tuple[str, str, Any]] = {
    "get_root": ("GET", "/", None),
    "get_health": ("GET", "/health", None),
    "get_liveness": ("GET", "/liveness", None),
    "get_readiness": ("GET", "/readiness", None),
    "get_startup": ("GET", "/startup", None),
    "get_prometheus_metrics": ("GET", "/metrics", None),
    "get_health_detailed": ("GET", "/health/detailed", None),
    "get_openapi": ("GET", "/openapi.json", None),
    "get_config": ("GET", f"{API}/config", None),
    "set_config": ("POST", f"{API}/config", {"mode": "adaptive"}),
    "list_metrics": ("GET", f"{API}/metrics", None),
    "list_sessions": ("GET", f"{API}/sessions", None),
    "get_session": ("GET", f"{API}/sessions/s-blue", None),
    "get_performance_summary": ("GET", f"{API}/performance/summary", None),
    "list_model_performance": ("GET", f"{API}/models/performance", None),
    "list_alerts": ("GET", f"{API}/alerts", None),
    "resolve_alert": ("PATCH", f"{API}/alerts/a-blue/resolve", {}),
    "get_bandwidth_savings": ("GET", f"{API}/stats/bandwidth-savings", None),
    "get_quality_distribution": ("GET", f"{API}/stats/quality-distribution", None),
    "list_jobs": ("GET", f"{API}/jobs", None),
    "get_job": ("GET", f"{API}/jobs/j-blue", None),
    "start_job": ("POST", f"{API}/jobs", {"room": "another"}),
    "request_key_frame": ("POST", f"{API}/jobs/j-blue/key-frame", {}),
    "force_rung": ("PUT", f"{API}/jobs/j-blue/rung", {"rung": "native"}),
    "stop_job": ("DELETE", f"{API}/jobs/j-blue", None),
    "list_models": ("GET", f"{API}/models", None),
    "swap_model": ("PUT", f"{API}/models/restore-s", {"version": "2"}),
}
# Answered otherwise than by one request that ends: tested on their own.
ELSEWHERE = {"stream_events", "receive_livekit_webhook", "drain_engine"}
OBJECTS = [name for name, (_, path, _) in REQUESTS.items() if "-blue" in path]


async def ask(service: Service, operation: str, token: str | None, **more: Any) -> Any:
    method, path, body = REQUESTS[operation]
    return await service.ask(method, path, token=token, json=body, **more)


async def with_blue_things(service: Service) -> None:
    now = datetime.now(UTC)
    records = service.context.records.get()
    records.write(
        SessionRow(
            session_id="s-blue",
            call_id="c",
            participant_id="p",
            owner="blue",
            started_at=now,
        ),
        AlertRow(
            alert_id="a-blue",
            kind="high_latency",
            severity="info",
            message="",
            created_at=now,
            owner="blue",
        ),
    )
    await records.flush()
    job = {"room": "a", "id": "j-blue"}
    await service.ask("POST", f"{API}/jobs", token=token_of(), json=job)


async def test_every_operation_has_a_row_and_every_row_an_operation(service: Service) -> None:
    described = create_app(service.context).openapi()
    operations = {
        operation["operationId"]: operation
        for path in described["paths"].values()
        for operation in path.values()
    }

    check_complete(MATRIX, operations)
    assert set(operations) == set(REQUESTS) | ELSEWHERE
    for name, operation in operations.items():
        assert ("security" in operation) == (MATRIX[name].role is not None), name


@pytest.mark.parametrize("operation", REQUESTS)
async def test_roles_open_what_the_matrix_says_and_nothing_else(
    service: Service, operation: str
) -> None:
    await with_blue_things(service)
    least = MATRIX[operation].role

    nobody = await ask(service, operation, None)
    by_role = {role: await ask(service, operation, token_of(role=role)) for role in Role}

    if least is None:
        assert nobody.status == 200
        return
    assert nobody.status == 401
    assert nobody.response.headers["WWW-Authenticate"].startswith("Bearer")
    for role, answer in by_role.items():
        if role < least:
            assert (answer.status, answer.problem["title"]) == (403, "Forbidden")
        else:
            assert answer.status < 300, (role, answer.text)


@pytest.mark.parametrize("operation", OBJECTS)
async def test_a_thing_of_another_tenant_is_not_there(service: Service, operation: str) -> None:
    await with_blue_things(service)
    assert MATRIX[operation].owned is Owned.BY_TENANT

    others = await ask(service, operation, token_of("eve", "red", Role.OPERATOR))
    jobs = await service.ask("GET", f"{API}/jobs", token=token_of("eve", "red"))
    own = await ask(service, operation, token_of("bob", "blue", Role.OPERATOR))

    assert others.status == 404
    assert jobs.json["jobs"] == []
    assert own.status < 300


BAD: dict[str, str] = {
    **{name: str(token) for name, token in BAD_TOKENS.items() if "\n" not in str(token)},
    "hmac by a public key, kid main": forged(
        {"alg": "HS256", "kid": "main"}, secret=public(ANOTHER_RSA)
    ),
    "none, kid main": forged({"alg": "none", "kid": "main"}).rpartition(".")[0] + ".",
    "an api key that nobody made": format_key("grafana", b"k" * 32),
}


async def test_bad_credentials_are_answered_all_alike(service: Service) -> None:
    """F32: more than thirty, each 401, one body, nothing about why."""
    bodies = set()
    for name, token in BAD.items():
        sendable = token.encode("utf-8", "surrogateescape").decode("latin-1")
        if len(sendable) > 12_000:  # the head of a request has a bound of its own
            continue
        answer = await service.ask(
            "GET",
            f"{API}/config",
            token=None,
            headers={"Authorization": f"Bearer {sendable}", "X-Request-ID": "same"},
        )
        assert answer.status == 401, name
        bodies.add(answer.text)

    assert len(BAD) >= 30
    assert len(bodies) == 1
    assert "Traceback" not in bodies.pop()


@pytest.mark.parametrize(
    "headers",
    [
        [("Authorization", f"Bearer {token_of()}"), ("Authorization", f"Bearer {token_of()}")],
        [("Authorization", f"Bearer {token_of()}"), ("X-API-Key", "aic_x")],
        [("Authorization", f"Basic {token_of()}")],
        [("Authorization", token_of())],
        [("X-User-ID", "ann")],
        [("Cookie", f"token={token_of()}")],
    ],
)
async def test_credentials_that_could_be_read_in_two_ways_are_none(
    service: Service, headers: list[tuple[str, str]]
) -> None:
    async with service.client.get(f"{service.url}{API}/config", headers=headers) as response:
        assert response.status == 401


async def test_a_token_in_the_query_is_none(service: Service) -> None:
    answer = await service.ask("GET", f"{API}/config?access_token={token_of()}", token=None)

    assert answer.status == 401


async def test_bad_credentials_are_refused_before_the_body_is_read(service: Service) -> None:
    answer = await service.ask(
        "POST",
        f"{API}/jobs",
        token="bad",
        data=b"{no json",
        headers={"Content-Type": "application/json"},
    )

    assert answer.status == 401


async def test_guessing_is_bounded_per_address_and_good_callers_go_on(tmp_path: Any) -> None:
    wanted = Wanted(settings={"AURALINK_LIMITS__ATTEMPTS_PER_MINUTE": "5"})
    async with service_in(tmp_path, wanted) as service:
        statuses = [
            (await service.ask("GET", f"{API}/config", token="bad")).status for _ in range(8)
        ]
        spoofed = await service.ask(
            "GET", f"{API}/config", token="bad", headers={"X-Forwarded-For": "203.0.113.9"}
        )
        good = await service.ask("GET", f"{API}/config", token=token_of())

    assert statuses == [401] * 5 + [429] * 3
    assert spoofed.status == 429
    assert int(spoofed.response.headers["Retry-After"]) >= 1
    assert good.status == 200


async def test_a_trusted_proxy_may_say_for_whom_it_asks(tmp_path: Any) -> None:
    settings = {
        "AURALINK_LIMITS__ATTEMPTS_PER_MINUTE": "1",
        "AURALINK_HTTP__TRUSTED_PROXIES": "127.0.0.0/8",
    }
    async with service_in(tmp_path, Wanted(settings=settings)) as service:

        async def attempt(forwarded: str) -> int:
            headers = {"X-Forwarded-For": forwarded}
            answer = await service.ask("GET", f"{API}/config", token="bad", headers=headers)
            return answer.status

        statuses = [
            await attempt("203.0.113.1"),
            await attempt("203.0.113.2"),
            await attempt("203.0.113.1"),
            await attempt("203.0.113.3, 203.0.113.1"),  # what the client put in front is its word
            await attempt("nonsense"),
        ]

    assert statuses == [401, 401, 429, 429, 401]


async def test_a_caller_has_so_many_requests_and_names_in_headers_change_nothing(
    tmp_path: Any,
) -> None:
    wanted = Wanted(settings={"AURALINK_LIMITS__REQUESTS_PER_MINUTE": "3"})
    async with service_in(tmp_path, wanted) as service:
        statuses = [
            (
                await service.ask(
                    "GET", f"{API}/config", token=token_of(), headers={"X-User-ID": f"user-{i}"}
                )
            ).status
            for i in range(5)
        ]
        another = await service.ask("GET", f"{API}/config", token=token_of("bob"))
        probes = [(await service.ask("GET", "/liveness", token=None)).status for _ in range(10)]

    assert statuses == [200] * 3 + [429] * 2
    assert another.status == 200
    assert probes == [200] * 10


async def test_api_keys_get_in_by_their_hash(tmp_path: Any) -> None:
    key = format_key("grafana", b"k" * 32)
    entry = {"name": "grafana", "sha256": digest(key).hex(), "subject": "grafana"}
    wanted = Wanted(settings={"AURALINK_AUTH__API_KEYS": json.dumps([entry])})
    async with service_in(tmp_path, wanted) as service:
        good = await service.ask("GET", f"{API}/config", token=None, headers={"X-API-Key": key})
        bearer = await service.ask("GET", f"{API}/config", token=key)
        bad = await service.ask("GET", f"{API}/config", token=key[:-1] + "x")
        lowly = await service.ask("POST", f"{API}/config", token=key, json={})

    assert (good.status, bearer.status, bad.status, lowly.status) == (200, 200, 401, 403)
    assert good.json["user_id"] == "grafana"


async def test_metrics_can_be_closed(tmp_path: Any) -> None:
    wanted = Wanted(settings={"AURALINK_HTTP__OPEN_METRICS": "false"})
    async with service_in(tmp_path, wanted) as service:
        closed = await service.ask("GET", "/metrics", token=None)
        opened = await service.ask("GET", "/metrics", token=token_of(role=Role.VIEWER))

    assert (closed.status, opened.status) == (401, 200)


async def test_new_keys_come_with_a_reload_and_old_ones_go(tmp_path: Any) -> None:
    file = tmp_path / "aic.toml"
    file.write_text(f"[auth]\nsecret = '{SECRET}'\n")
    wanted = Wanted(settings={"AURALINK_AUTH__SECRET": ""}, file=file)
    async with service_in(tmp_path, wanted) as service:
        before = await service.ask("GET", f"{API}/config", token=token_of())
        file.write_text("[auth]\nsecret = 'short'\n")
        refused = service.context.settings.reload()
        still = await service.ask("GET", f"{API}/config", token=token_of())
        file.write_text("[auth]\nsecret = 'another-secret-of-more-than-32-bytes'\n")
        taken = service.context.settings.reload()
        after = await service.ask("GET", f"{API}/config", token=token_of())

    assert (before.status, still.status, after.status) == (200, 200, 401)
    assert "auth.secret" in refused.error
    assert taken.changed == ("auth.secret",)


def webhook(event: str, room: str, number: str, secret: str = LIVEKIT_SECRET) -> tuple[bytes, str]:
    body = json.dumps({"event": event, "id": number, "room": {"name": room}}).encode()
    claims = {
        "iss": "key",
        "nbf": int(time.time()),
        "exp": int(time.time()) + 300,
        "sha256": base64.b64encode(hashlib.sha256(body).digest()).decode(),
    }
    return body, jwt.encode(claims, secret, "HS256")


async def test_a_signed_webhook_ends_the_jobs_of_its_room_once(service: Service) -> None:
    for name in ("one", "two"):
        await service.ask("POST", f"{API}/jobs", json={"room": name, "id": name})

    async def send(body: bytes, signature: str) -> Any:
        return await service.ask(
            "POST",
            "/api/v1/livekit/webhook",
            token=None,
            data=body,
            headers={"Authorization": signature, "Content-Type": "application/webhook+json"},
        )

    body, signature = webhook("room_finished", "one", "EV_1")
    first = await send(body, signature)
    again = await send(body, signature)
    forged_one = await send(*webhook("room_finished", "two", "EV_2", "x" * 32))
    changed = await send(body.replace(b"one", b"two"), signature)

    assert first.json == {"again": False, "stopped": 1}
    assert again.json == {"again": True, "stopped": 0}
    assert (forged_one.status, changed.status) == (401, 401)
    states = {job.id: job.state.value for job in service.context.jobs.get().here.list()}
    assert states["two"] == "running"
    assert states["one"] != "running"
