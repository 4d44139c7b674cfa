"""Probes and stores, faults of ours, and the way out: a whole service in this process."""

import asyncio
import io
import json
import logging
import socket
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from auralink.engine.service.auth.principal import Role
from auralink.engine.service.configs import Configs
from auralink.engine.service.errors import StartError
from auralink.engine.service.heartbeat import Heartbeat
from auralink.engine.service.lifecycle import State
from auralink.engine.stores.errors import StoreAway
from auralink.engine.stores.records import UserConfig
from auralink.engine.telemetry.logs import LogSettings, set_up_logging

from .services import (
    API,
    LIVEKIT_SECRET,
    SECRET,
    Service,
    Wanted,
    service_in,
    token_of,
    until,
)


@pytest.fixture
def lines() -> Iterator[io.StringIO]:
    """What the program would have logged."""
    root = logging.getLogger()
    before, level = list(root.handlers), root.level
    written = io.StringIO()
    set_up_logging(LogSettings(format="json"), secrets=[SECRET], stream=written)
    yield written
    root.handlers[:] = before
    root.setLevel(level)


class HeldUp:
    """Telemetry that is not ready until it may be; the first thing to be opened."""

    def __init__(self) -> None:
        self.may_open = asyncio.Event()

    @asynccontextmanager
    async def open(self) -> AsyncIterator[Any]:
        await self.may_open.wait()
        yield None


async def statuses(service: Service, *paths: str) -> list[int]:
    return [(await service.ask("GET", path)).status for path in paths]


async def test_requests_in_the_first_moment_are_told_what_is_missing(tmp_path: Path) -> None:
    held = HeldUp()
    async with service_in(tmp_path, Wanted(works={"telemetry": held.open}, wait=False)) as service:
        probes = await statuses(service, "/liveness", "/startup", "/readiness", "/health")
        answers = [
            await service.ask("GET", path)
            for path in (f"{API}/config", f"{API}/jobs", f"{API}/events", "/metrics")
        ]
        held.may_open.set()
        await until(lambda: service.context.lifecycle.state is State.READY)
        after = await statuses(service, "/liveness", "/startup", "/readiness", "/health")

    assert probes == [200, 503, 503, 503]
    assert after == [200, 200, 200, 200]
    assert [answer.status for answer in answers] == [503] * 4
    assert [answer.problem["part"] for answer in answers] == ["limiter"] * 3 + ["telemetry"]
    assert all(int(answer.response.headers["Retry-After"]) >= 1 for answer in answers)


async def test_asked_to_end_while_starting_it_ends(tmp_path: Path) -> None:
    held = HeldUp()
    async with service_in(tmp_path, Wanted(works={"telemetry": held.open}, wait=False)) as service:
        service.context.ending.signal()
        code = await service.running

    assert code == 0


async def test_a_database_that_is_away_takes_records_away_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with service_in(tmp_path) as service:
        records = service.context.records.get()

        @asynccontextmanager
        async def gone() -> AsyncIterator[Any]:
            records._database.connected = False
            raise StoreAway("the database db.internal:5432 is away", retry_after_s=2.0)
            yield

        monkeypatch.setattr(records._database, "reading", gone)
        config = await service.ask("GET", f"{API}/config")
        job = await service.ask("POST", f"{API}/jobs", json={"room": "a"})
        ready = await service.ask("GET", "/readiness", token=None)
        probes = await statuses(service, "/liveness", "/health")

    assert (config.status, config.problem["part"]) == (503, "records")
    assert config.response.headers["Retry-After"] == "2"
    assert "db.internal" not in config.text
    assert job.status == 201
    assert (ready.status, ready.json) == (200, {"status": "degraded", "away": ["records"]})
    assert probes == [200, 200]


async def test_a_redis_that_is_away_is_told_and_takes_nothing_away(tmp_path: Path) -> None:
    wanted = Wanted(settings={"REDIS_URL": f"redis://ann:hunter2@127.0.0.1:{_closed_port()}/0"})
    async with service_in(tmp_path, wanted) as service:
        configs = [await service.ask("GET", f"{API}/config") for _ in range(5)]
        ready = await service.ask("GET", "/readiness", token=None)
        detailed = await service.ask("GET", "/health/detailed")

    assert {one.status for one in configs} == {200}
    assert (ready.status, ready.json) == (200, {"status": "degraded", "away": ["redis"]})
    assert detailed.json["redis"] == {"available": False, "last_error": "ConnectionError"}
    assert "hunter2" not in detailed.text


def _closed_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


async def test_of_many_who_want_a_config_one_asks_the_database(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [0.0]
    async with service_in(tmp_path) as service:
        records = service.context.records.get()
        configs = Configs(service.context.records, lambda: now[0])
        mine = UserConfig(user_id="blue", updated_at=datetime.now(UTC), mode="aggressive")
        await configs.save(mine)
        now[0] += 10.0
        asked, answered = 0, asyncio.Event()

        async def slowly(tenant: str) -> UserConfig:
            nonlocal asked
            asked += 1
            await answered.wait()
            return replace(mine, mode="conservative")

        monkeypatch.setattr(records, "config", slowly)
        first = asyncio.create_task(configs.get("blue"))
        await until(lambda: asked == 1)
        others = [await configs.get("blue") for _ in range(20)]
        answered.set()
        last = await first

    assert asked == 1
    assert {one.mode for one in others if one is not None} == {"aggressive"}
    assert last is not None
    assert last.mode == "conservative"


async def test_a_config_that_is_known_outlives_the_database(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [0.0]
    async with service_in(tmp_path) as service:
        records = service.context.records.get()
        configs = Configs(service.context.records, lambda: now[0])
        mine = UserConfig(user_id="blue", updated_at=datetime.now(UTC), mode="aggressive")
        await configs.save(mine)
        await records.save_config(replace(mine, mode="conservative"))  # by another engine
        first = await configs.get("blue")
        now[0] += 1.0
        second = await configs.get("blue")

        @asynccontextmanager
        async def gone() -> AsyncIterator[Any]:
            raise StoreAway("away")
            yield

        monkeypatch.setattr(records._database, "reading", gone)
        now[0] += 3600.0
        third = await configs.get("blue")
        with pytest.raises(StoreAway):
            await configs.get("red")

    assert [one and one.mode for one in (first, second, third)] == [
        "aggressive",
        "conservative",
        "conservative",
    ]


async def test_a_fault_of_ours_gets_out_as_a_request_id_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lines: io.StringIO
) -> None:
    async with service_in(tmp_path) as service:

        def broken(*ignored: Any, **more: Any) -> Any:
            raise RuntimeError("SELECT canary FROM secrets")

        monkeypatch.setattr(service.context.jobs.get(), "list", broken)
        answer = await service.ask("GET", f"{API}/jobs", headers={"X-Request-ID": "find-me"})

    assert answer.status == 500
    assert answer.problem["detail"] == "a fault of the engine"
    assert "canary" not in answer.text
    logged = [json.loads(line) for line in lines.getvalue().splitlines()]
    failed = next(one for one in logged if one["event"] == "a request failed")
    assert failed["request"] == "find-me"
    assert "RuntimeError" in failed["exception"]


async def test_secrets_are_in_no_answer_log_or_metric(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    password = "canary-password-of-the-database"
    settings = {"DATABASE_URL": f"postgresql://user:{password}@127.0.0.1:1/aic"}
    wanted = Wanted(settings=settings, works={"telemetry": HeldUp().open}, wait=False)
    del wanted.works["telemetry"]
    token = token_of(role=Role.ADMIN)
    texts: list[str] = []
    async with service_in(tmp_path, wanted) as service:
        for _ in range(3):
            for method, path, body in (
                ("GET", "/health/detailed", None),
                ("GET", f"{API}/config", None),
                ("POST", f"{API}/jobs", {"room": "a"}),
                ("GET", f"{API}/jobs", None),
                ("GET", "/metrics", None),
                ("GET", "/openapi.json", None),
            ):
                answer = await service.ask(method, path, token=token, json=body)
                texts.append(f"{answer.text} {dict(answer.response.headers)}")
        texts.append((await service.ask("GET", f"{API}/config", token=token[:-3])).text)
        texts.append(repr(service.context))
    told = "\n".join([*texts, *(record.getMessage() for record in caplog.records), caplog.text])

    assert "could not" in told or "is away" in told or "is starting" in told
    for canary in (password, SECRET, LIVEKIT_SECRET, token, token.rsplit(".", 1)[1]):
        assert canary not in told


async def test_draining_is_not_ready_at_once_and_serves_until_jobs_are_over(
    tmp_path: Path,
) -> None:
    wanted = Wanted(settings={"AURALINK_ENGINE__DRAIN_S": "30"})
    async with service_in(tmp_path, wanted) as service:
        await service.ask("POST", f"{API}/jobs", json={"room": "a", "id": "one"})
        await until(lambda: bool(service.relays) and service.relays[0].connected)
        asked = await service.ask("POST", f"{API}/drain")
        probes = await statuses(service, "/readiness", "/liveness", "/health")
        refused = await service.ask("POST", f"{API}/jobs", json={"room": "b"})
        seen = await service.ask("GET", f"{API}/jobs/one")
        service.relays[0].leave()  # its room is over
        code = await service.running

    assert (asked.status, asked.json) == (202, {"jobs": 1, "deadline_s": 30.0})
    assert probes == [503, 200, 200]
    assert (refused.status, refused.problem["part"]) == (503, "jobs")
    assert seen.json["state"] == "draining"
    assert code == 0


async def test_asked_twice_it_does_not_wait_for_jobs(tmp_path: Path) -> None:
    wanted = Wanted(settings={"AURALINK_ENGINE__DRAIN_S": "3600"})
    async with service_in(tmp_path, wanted) as service:
        await service.ask("POST", f"{API}/jobs", json={"room": "a"})
        await until(lambda: bool(service.relays) and service.relays[0].connected)
        service.context.ending.signal()
        service.context.ending.signal()
        code = await service.running

    assert code == 130


async def test_open_streams_of_events_end_with_the_engine(tmp_path: Path) -> None:
    async with service_in(tmp_path) as service:
        headers = {"Authorization": f"Bearer {token_of()}"}
        async with service.client.get(service.url + API + "/events", headers=headers) as stream:
            await stream.content.readline()
            service.context.ending.ask()
            await stream.content.read()
        code = await service.running

    assert code == 0


async def test_a_port_in_use_is_refused_by_name(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        wanted = Wanted(settings={"AURALINK_HTTP__PORT": str(port)})
        with pytest.raises(StartError, match=f"cannot listen on 127.0.0.1:{port}"):
            async with service_in(tmp_path, wanted):
                pass


async def test_a_required_database_that_is_not_there_ends_the_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sleeps: list[float] = []

    async def no_sleep(seconds: float) -> None:
        sleeps.append(seconds)

    monkeypatch.setattr(
        "auralink.engine.service.compose.open_records",
        lambda settings: open_records(settings, sleep=no_sleep),
    )
    from auralink.engine.stores.database.records import open_records

    settings = {
        "DATABASE_URL": "postgresql://u:p@127.0.0.1:1/aic",
        "AURALINK_DATABASE__REQUIRED": "true",
    }
    with pytest.raises(StartError, match="records: "):
        async with service_in(tmp_path, Wanted(settings=settings)) as service:
            await service.running

    assert len(sleeps) == 4  # between five attempts


async def test_a_loop_that_stands_still_is_noticed_from_outside(
    caplog: pytest.LogCaptureFixture,
) -> None:
    lags: list[float] = []
    async with Heartbeat(time.monotonic, lag=lags.append).beating() as heartbeat:
        await asyncio.sleep(0.3)
        fresh = heartbeat.age_s
        stand_still(1.8)
        stale = heartbeat.age_s
        await asyncio.sleep(0.3)
        again = heartbeat.age_s

    assert fresh < 1 < stale
    assert again < 1
    assert max(lags) > 1
    assert any("stand_still" in record.getMessage() for record in caplog.records)


def stand_still(seconds: float) -> None:
    time.sleep(seconds)


async def test_liveness_speaks_of_the_loop_alone(tmp_path: Path) -> None:
    async with service_in(tmp_path) as service:
        blocked = service.context.settings.now.engine.blocked_s + 1
        service.context.heartbeat._last -= blocked
        answer = await service.ask("GET", "/liveness", token=None)

    assert (answer.status, answer.problem["part"]) == (503, "event loop")
