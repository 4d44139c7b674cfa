"""Every operation, over a real socket: what it answers, and what it was fed with."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import pytest_asyncio

from auralink.engine.service.auth.principal import Role
from auralink.engine.stores.records import AlertRow, IntervalRow, ModelRow, SessionRow

from .services import API, Service, token_of, until

NOW = datetime.now(UTC)
pytestmark = pytest.mark.asyncio(loop_scope="module")


def session(number: int, owner: str = "blue", **more: Any) -> SessionRow:
    values: dict[str, Any] = {
        "session_id": f"s{number}",
        "call_id": "standup",
        "participant_id": f"p{number}",
        "owner": owner,
        "started_at": NOW - timedelta(minutes=number),
        "profile": "hybrid",
    }
    return SessionRow(**(values | more))


def interval(number: int, owner: str = "blue", **more: Any) -> IntervalRow:
    values: dict[str, Any] = {
        "session_id": f"s{number}",
        "call_id": "standup",
        "participant_id": f"p{number}",
        "owner": owner,
        "track_id": "TR_1",
        "kind": "video",
        "profile": "hybrid",
        "ended_at": NOW - timedelta(minutes=1),
        "interval_s": 10.0,
        "frames": 300,
        "fallbacks": 3,
        "original_bytes": 1000,
        "link_bytes": 400,
        "latency_mean_ms": 10.0,
        "latency_p95_ms": 18.0,
        "quality_score": 0.9,
    }
    return IntervalRow(**(values | more))


@pytest_asyncio.fixture(loop_scope="module")
async def fed(service: Service) -> Service:
    """Two tenants' rows."""
    records = service.context.records.get()
    records.write(
        session(1),
        session(2, "red"),
        interval(1),
        interval(1, ended_at=NOW, fallbacks=0, quality_score=0.6, link_bytes=1200),
        interval(2, "red"),
        ModelRow(
            model="restore-s",
            version="3",
            engine_id="engine-1",
            window_start=NOW - timedelta(minutes=5),
            window_s=60,
            calls=100,
            p95_ms=7.5,
        ),
        AlertRow(
            alert_id="a1",
            kind="high_latency",
            severity="warning",
            message="slow",
            created_at=NOW,
            owner="blue",
            call_id="standup",
            participant_id="p1",
        ),
        AlertRow(
            alert_id="a2",
            kind="model_failure",
            severity="critical",
            message="broken",
            created_at=NOW,
            owner="red",
        ),
    )
    await records.flush()
    return service


async def test_a_tenant_has_a_config_of_its_own(service: Service) -> None:
    ann, eve = token_of(tenant="settled"), token_of("eve", "red")

    first = await service.ask("GET", f"{API}/config", token=ann)
    changed = await service.ask(
        "POST", f"{API}/config", token=ann, json={"mode": "aggressive", "max_latency_ms": 50}
    )
    second = await service.ask("POST", f"{API}/config", token=ann, json={"enabled": False})

    assert first.json["mode"] == "adaptive"
    assert first.json["target_compression_ratio"] == 0.8
    assert changed.json["mode"] == "aggressive"
    assert (second.json["mode"], second.json["enabled"]) == ("aggressive", False)
    assert (await service.ask("GET", f"{API}/config", token=ann)).json == second.json
    assert (await service.ask("GET", f"{API}/config", token=eve)).json["mode"] == "adaptive"


@pytest.mark.parametrize(
    "body",
    [
        {"mode": "fast"},
        {"target_compression_ratio": 0.09},
        {"target_compression_ratio": 0.96},
        {"target_compression_ratio": "0.5"},
        {"max_latency_ms": 4},
        {"max_latency_ms": 101},
        {"max_latency_ms": 20.5},
        {"model_type": "other"},
        {"min_quality_score": 0.49},
        {"min_quality_score": 1.01},
        {"min_qualty_score": 0.9},
        {"user_id": "eve"},
        [],
        "adaptive",
        None,
    ],
)
async def test_a_config_outside_its_bounds_is_refused_by_field(service: Service, body: Any) -> None:
    answer = await service.ask("POST", f"{API}/config", json=body)

    assert answer.status == 422
    assert answer.problem["errors"][0]["place"].startswith("body")


async def test_numbers_that_json_has_not_are_refused(service: Service) -> None:
    for word in ("NaN", "Infinity", "1e999", '{"mode"'):
        body = f'{{"target_compression_ratio": {word}}}'
        answer = await service.ask(
            "POST", f"{API}/config", data=body, headers={"Content-Type": "application/json"}
        )
        assert answer.status == 422


@pytest.mark.parametrize(
    ("path", "key"),
    [("/sessions", "sessions"), ("/metrics", "metrics"), ("/alerts", "alerts")],
)
async def test_lists_show_a_tenant_its_own_and_an_administrator_all(
    fed: Service, path: str, key: str
) -> None:
    own = await fed.ask("GET", API + path, token=token_of(role=Role.VIEWER))
    every = await fed.ask("GET", API + path)
    few = await fed.ask("GET", f"{API}{path}?limit=1")

    per_tenant = 2 if key == "metrics" else 1
    assert len(own.json[key]) == per_tenant
    assert len(every.json[key]) == per_tenant + 1
    assert len(few.json[key]) == 1


async def test_sessions_and_metrics_can_be_picked_out(fed: Service) -> None:
    found = await fed.ask("GET", f"{API}/sessions?participant_id=p2&live=true")
    none = await fed.ask("GET", f"{API}/sessions?live=false")
    metrics = await fed.ask("GET", f"{API}/metrics?call_id=standup&participant_id=p1&limit=1000")

    assert [one["session_id"] for one in found.json["sessions"]] == ["s2"]
    assert none.json["sessions"] == []
    assert {one["session_id"] for one in metrics.json["metrics"]} == {"s1"}


async def test_one_session_is_there_for_its_tenant_alone(fed: Service) -> None:
    own = await fed.ask("GET", f"{API}/sessions/s1", token=token_of())
    others = await fed.ask("GET", f"{API}/sessions/s2", token=token_of())
    missing = await fed.ask("GET", f"{API}/sessions/s9", token=token_of())

    assert own.json["participant_id"] == "p1"
    assert (others.status, missing.status) == (404, 404)
    assert others.problem["detail"] == "no session s2"


async def test_sums_are_those_of_the_rows(fed: Service) -> None:
    token = token_of()

    summary = (await fed.ask("GET", f"{API}/performance/summary?hours=1", token=token)).json
    savings = (await fed.ask("GET", f"{API}/stats/bandwidth-savings", token=token)).json
    quality = (await fed.ask("GET", f"{API}/stats/quality-distribution", token=token)).json

    assert (summary["frames"], summary["fallbacks"], summary["sessions"]) == (600, 3, 1)
    assert summary["saved_bytes"] == 2000 - 1600
    assert summary["compression_ratio"] == 0.2
    assert (savings["original_bytes"], savings["saved_bytes"]) == (2000, 400)
    assert {band["low"]: band["frames"] for band in quality["bands"]}[0.85] == 300
    assert sum(band["frames"] for band in quality["bands"]) == 600


async def test_what_was_not_measured_is_null_and_never_a_constant(service: Service) -> None:
    nobody = token_of("new", "new")
    summary = (await service.ask("GET", f"{API}/performance/summary", token=nobody)).json

    assert (summary["frames"], summary["quality_mean"], summary["compression_ratio"]) == (
        0,
        None,
        None,
    )


async def test_models_performance_is_what_engines_wrote(fed: Service) -> None:
    answer = await fed.ask("GET", f"{API}/models/performance", token=token_of(role=Role.VIEWER))

    assert [(one["model"], one["p95_ms"]) for one in answer.json["models"]] == [("restore-s", 7.5)]


async def test_an_alert_is_resolved_by_its_tenant_and_only_once(fed: Service) -> None:
    path = f"{API}/alerts/a1/resolve"

    others = await fed.ask("PATCH", path, token=token_of("eve", "red"))
    done = await fed.ask("PATCH", path, token=token_of(), json={"note": "moved"})
    again = await fed.ask("PATCH", path, token=token_of("bob"), json={"note": "me too"})

    assert others.status == 404
    assert (done.json["resolved_by"], done.json["resolution"]) == ("ann", "moved")
    assert again.json["resolved_by"] == "ann"
    open_ones = await fed.ask("GET", f"{API}/alerts?resolved=false&severity=warning")
    assert open_ones.json["alerts"] == []


@pytest.mark.parametrize(
    "path",
    [
        "/metrics?limit=0",
        "/metrics?limit=1001",
        "/performance/summary?hours=0",
        "/performance/summary?hours=169",
        "/alerts?limit=201",
        "/alerts?severity=mild",
        "/stats/bandwidth-savings?days=91",
        "/stats/quality-distribution?days=0",
        "/sessions?call_id=" + "x" * 257,
        "/sessions/%00",
        "/sessions/" + "x" * 129,
    ],
)
async def test_queries_have_the_bounds_of_the_contract(service: Service, path: str) -> None:
    answer = await service.ask("GET", API + path)

    assert answer.status == 422
    assert answer.problem["errors"]


async def test_a_job_is_started_looked_at_steered_and_stopped(service: Service) -> None:
    token = token_of()

    started = await service.ask(
        "POST",
        f"{API}/jobs",
        token=token,
        json={"room": "standup", "to_room": "thin", "rate_bps": 120_000, "label": "monday"},
    )
    job = started.json["id"]
    await until(lambda: bool(service.relays) and service.relays[0].connected)
    seen = await service.ask("GET", f"{API}/jobs/{job}", token=token)
    key = await service.ask("POST", f"{API}/jobs/{job}/key-frame", token=token)
    rung = await service.ask("PUT", f"{API}/jobs/{job}/rung", token=token, json={"rung": "native"})
    stopped = await service.ask("DELETE", f"{API}/jobs/{job}", token=token)

    assert started.status == 201
    assert (seen.json["state"], seen.json["engine"]) == ("running", "engine-1")
    assert seen.json["status"]["rooms"][0]["connected"] is True
    assert (key.json, service.relays[0].keys) == ({"streams": 1}, [None])
    assert (rung.json, service.relays[0].rungs) == ({"streams": 1}, ["native"])
    assert (stopped.status, stopped.json["state"]) == (202, "draining")
    settings = service.relays[0].settings
    assert (settings.near.room, settings.far.room) == ("standup", "thin")
    assert settings.options.rate_bps == 120_000
    await until(lambda: service.context.jobs.get().here.active == 0)
    over = await service.ask("GET", f"{API}/jobs/{job}", token=token)
    assert (over.json["state"], over.json["reason"]) == ("ended", "asked to stop by ann")


async def test_a_job_may_bring_its_id_and_then_starts_once(service: Service) -> None:
    body = {"room": "standup", "id": "mine"}

    first = await service.ask("POST", f"{API}/jobs", json=body)
    second = await service.ask("POST", f"{API}/jobs", json=body)

    assert (first.status, first.json["id"], second.status) == (201, "mine", 409)
    assert len(service.relays) == 1


async def test_a_tenants_config_holds_for_jobs_that_start_after_it(service: Service) -> None:
    token = token_of(tenant="wishful")
    room = {"room": "standup", "width": 640, "height": 360, "fps": 20.0}

    before = await service.ask("POST", f"{API}/jobs", token=token, json=room)
    await service.ask("POST", f"{API}/config", token=token, json={"mode": "aggressive"})
    await service.ask("POST", f"{API}/config", token=token, json={"max_latency_ms": 10})
    after = await service.ask("POST", f"{API}/jobs", token=token, json=room)
    own = await service.ask("POST", f"{API}/jobs", token=token, json=room | {"rate_bps": 70_000})

    rates = [answer.json["rate_bps"] for answer in (before, after, own)]
    assert rates == [106_000, 61_000, 70_000]
    assert service.relays[0].settings.options.encoder.cores == pytest.approx(0.4)
    assert service.relays[1].settings.options.encoder.cores == pytest.approx(0.2)


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"model_type": "lyra"}, "model_type"),
        ({"min_quality_score": 0.9}, "min_quality_score"),
        ({"mode": "aggressive", "min_quality_score": 0.9}, "min_quality_score"),
    ],
)
async def test_a_wish_that_would_have_no_effect_is_refused_by_field(
    service: Service, body: Any, field: str
) -> None:
    answer = await service.ask("POST", f"{API}/config", json=body)

    assert answer.status == 422
    assert [fault["place"] for fault in answer.problem["errors"]] == [f"body.{field}"]


@pytest.mark.parametrize("off", [{"enabled": False}, {"opt_out": True}, {"mode": "off"}])
async def test_a_tenant_that_switched_compression_off_gets_no_jobs(
    service: Service, off: Any
) -> None:
    token = token_of("zoe", "switched-off")
    on = {"enabled": True, "opt_out": False, "mode": "adaptive"}

    await service.ask("POST", f"{API}/config", token=token, json=on | off)
    refused = await service.ask("POST", f"{API}/jobs", token=token, json={"room": "a"})
    await service.ask("POST", f"{API}/config", token=token, json=on)
    taken = await service.ask("POST", f"{API}/jobs", token=token, json={"room": "a"})

    assert (refused.status, taken.status) == (409, 201)
    assert "enabled, opt_out, mode" in refused.problem["hint"]


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"room": ""},
        {"room": "a\nb"},
        {"room": "half a pair: \ud83d"},
        {"room": "a", "only": ["\udc5e"]},
        {"room": "a", "label": "\uda81"},
        {"room": "a", "rate_bps": 1},
        {"room": "a", "profile": "none"},
        {"room": "a", "url": "ws://elsewhere"},
        {"room": "a", "server": "ws://elsewhere"},
        {"room": "a", "to_server": "livekit_to"},
        {"room": "a", "id": "../x"},
        {"room": "a", "audio_bps": True},
    ],
)
async def test_jobs_that_make_no_sense_are_refused(service: Service, body: Any) -> None:
    answer = await service.ask("POST", f"{API}/jobs", json=body)

    assert answer.status == 422
    assert answer.problem["detail"]
    assert service.relays == []


async def test_an_unknown_rung_is_refused_with_the_names_of_others(service: Service) -> None:
    job = (await service.ask("POST", f"{API}/jobs", json={"room": "a"})).json["id"]

    answer = await service.ask("PUT", f"{API}/jobs/{job}/rung", json={"rung": "seventh"})

    assert answer.status == 422
    assert answer.problem["hint"].startswith("rungs: wished, plain, ")


async def test_a_model_is_swapped_or_the_one_before_stays(service: Service) -> None:
    swapped = await service.ask("PUT", f"{API}/models/restore-s", json={"version": "2"})
    broken = await service.ask("PUT", f"{API}/models/restore-s", json={"version": "3"})
    now = await service.ask("GET", f"{API}/models")

    assert (swapped.json["version"], swapped.json["generation"]) == ("2", 2)
    assert broken.status == 422
    assert "golden vectors" in broken.problem["detail"]
    assert now.json["models"][0]["version"] == "2"


async def test_events_come_as_they_happen_to_whom_they_concern(service: Service) -> None:
    token = token_of("eve", "red")
    headers = {"Authorization": f"Bearer {token}"}
    url = service.url + API + "/events"

    async with service.client.get(url, headers=headers) as stream:
        assert stream.content_type == "text/event-stream"
        assert await stream.content.readline() == b"retry: 2000\n"
        await service.ask("POST", f"{API}/jobs", token=token_of(), json={"room": "blues"})
        await service.ask("POST", f"{API}/jobs", token=token, json={"room": "reds", "id": "red1"})
        event = await read_event(stream.content)

    assert (event["event"], event["data"]["job"]) == ("state", "red1")
    async with service.client.get(url, headers=headers | {"Last-Event-ID": event["id"]}) as stream:
        following = await read_event(stream.content)
    assert int(following["id"]) > int(event["id"])
    assert following["data"]["job"] == "red1"


async def test_listeners_have_a_bound(service: Service) -> None:
    events = service.context.jobs.get().here.events
    subscriptions = [events.subscribe() for _ in range(64)]
    for one in subscriptions:
        one.__enter__()

    answer = await service.ask("GET", f"{API}/events")

    assert answer.status == 429
    assert answer.response.headers["Retry-After"] == "5"
    for one in subscriptions:
        one.__exit__(None, None, None)


async def test_the_root_says_where_to_go_on(service: Service) -> None:
    root = (await service.ask("GET", "/", token=None)).json
    described = (await service.ask("GET", root["openapi"])).json

    assert described["openapi"].startswith("3.1")
    assert f"{root['api']}/config" in described["paths"]


async def test_requests_are_counted_by_route_and_never_by_path(service: Service) -> None:
    await service.ask("GET", f"{API}/jobs/some-id")
    await service.ask("GET", "/no/such/path")
    await service.ask("BREW", f"{API}/config")
    page = await service.ask("GET", "/metrics", token=None)

    assert service.telemetry.seen[:3] == [
        ("GET", f"{API}/jobs/{{job_id}}", 404),
        ("GET", "unknown", 404),
        ("other", f"{API}/config", 405),
    ]
    assert page.response.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
    assert "some-id" not in page.text


async def read_event(content: Any) -> dict[str, Any]:
    found: dict[str, Any] = {}
    while True:
        line = (await content.readline()).decode().rstrip("\n")
        if not line and "event" in found:
            return found
        name, _, value = line.partition(": ")
        if name in ("event", "id"):
            found[name] = value
        elif name == "data":
            found["data"] = json.loads(value)
