"""The commands of the service: real processes, real signals, and the API asked as people ask it."""

import asyncio
import io
import json
import os
import re
import signal
import socket
import subprocess
import sys
import tomllib
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from auralink.engine.cli.main import run
from auralink.engine.cli.top import page
from auralink.engine.service.auth.principal import Role
from auralink.engine.service.http.app import create_app
from auralink.engine.service.settings.tree import ApiKey

from .services import API, LIVEKIT_SECRET, SECRET, Service, service_in, token_of, until

PROGRAM = (sys.executable, "-c", "from auralink.engine.cli.main import main; main()")


@pytest.fixture
def call(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Callable[..., tuple[int, str, str]]:
    for name in list(os.environ):
        if name.startswith(("AURALINK_", "LIVEKIT_", "AIC_")):
            monkeypatch.delenv(name)

    def words(*given: str, **environment: str) -> tuple[int, str, str]:
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        code = run(list(given))
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return words


Call = Callable[..., tuple[int, str, str]]


class Engine:
    """`auralink serve` in a process of its own."""

    def __init__(self, folder: Path, *words: str, **environment: str) -> None:
        kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
        self.process = subprocess.Popen(
            [*PROGRAM, "serve", "--port", "0", "--no-grpc", "--log-format", "json", *words],
            cwd=folder,
            env=kept | {"AURALINK_AUTH__SECRET": SECRET} | environment,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.lines: list[str] = []
        self.url = ""

    def until(self, words: str) -> str:
        """The first line that has these words; what came before is kept."""
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self.lines.append(line)
            if words in line:
                return line
        raise AssertionError(f"ended without {words!r}: {self.lines}")

    def started(self) -> "Engine":
        self.url = re.findall(r"http://\S+", self.until("HTTP on "))[0]
        self.until("ready")
        return self

    def status(self, path: str) -> int:
        try:
            with urllib.request.urlopen(self.url + path) as response:
                return int(response.status)
        except urllib.error.HTTPError as error:
            return error.code

    def ended(self) -> int:
        """Exit code."""
        assert self.process.stderr is not None
        self.lines += self.process.stderr.readlines()
        return self.process.wait()


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Callable[..., Engine]]:
    running: list[Engine] = []

    def start(*words: str, **environment: str) -> Engine:
        running.append(Engine(tmp_path, *words, **environment))
        return running[-1]

    yield start
    for one in running:
        one.process.kill()
        one.process.wait()
        assert one.process.stderr is not None
        one.process.stderr.close()


def test_it_serves_until_sigterm_and_says_nothing_secret(engine: Callable[..., Engine]) -> None:
    one = engine().started()

    probes = [one.status(path) for path in ("/liveness", "/readiness", f"{API}/config")]
    one.process.send_signal(signal.SIGTERM)

    assert probes == [200, 200, 401]
    assert one.ended() == 0
    logs = [line for line in one.lines if line.startswith("{")]
    assert all("timestamp" in json.loads(line) for line in logs)
    assert SECRET not in "".join(one.lines)


def test_the_first_sigterm_drains_and_the_second_waits_for_nobody(
    engine: Callable[..., Engine],
) -> None:
    one = engine(
        *("--drain", "3600"),
        LIVEKIT_URL="ws://127.0.0.1:9",  # nobody is there: the job tries again and again
        LIVEKIT_API_KEY="key",
        LIVEKIT_API_SECRET=LIVEKIT_SECRET,
    ).started()
    request = urllib.request.Request(
        f"{one.url}{API}/jobs",
        data=b'{"room": "a"}',
        headers={"Authorization": f"Bearer {token_of()}", "Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request) as answer:
        assert answer.status == 201

    one.process.send_signal(signal.SIGTERM)
    one.until("draining")
    probes = [one.status(path) for path in ("/readiness", "/liveness")]
    one.process.send_signal(signal.SIGTERM)

    assert probes == [503, 200]
    assert one.ended() == 130


def test_sighup_reads_the_settings_again_and_bad_ones_change_nothing(
    engine: Callable[..., Engine], tmp_path: Path
) -> None:
    file = tmp_path / "aic.yaml"
    file.write_text("limits: {jobs: 2}\n")
    one = engine("--config", str(file)).started()

    file.write_text("limits: {jobs: none}\n")
    one.process.send_signal(signal.SIGHUP)
    refused = one.until("settings stay as they were")
    file.write_text("limits: {jobs: 5}\nhttp: {idle_s: 3}\n")
    one.process.send_signal(signal.SIGHUP)
    taken = one.until("settings read again")
    one.process.send_signal(signal.SIGINT)

    assert "limits.jobs" in refused
    assert "changed limits.jobs; after a restart: http.idle_s" in taken
    assert one.ended() == 0


def test_a_port_in_use_is_exit_code_3(engine: Callable[..., Engine]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        one = engine("--port", port)
        code = one.ended()

    assert code == 3
    assert f"cannot listen on 127.0.0.1:{port}" in "".join(one.lines)


@pytest.mark.parametrize(
    ("environment", "key"),
    [
        ({}, "auth.secret"),
        ({"AURALINK_AUTH__SECRET": "changeme"}, "auth.secret"),
        ({"AURALINK_AUTH__SECRET": SECRET, "HTTP_PORT": "canary"}, "http.port"),
        ({"AURALINK_AUTH__SECRET": SECRET, "AURALINK_HTTP__PROT": "canary"}, "HTTP__PROT"),
    ],
)
def test_bad_settings_are_refused_before_anything_is_loaded(
    call: Call, environment: dict[str, str], key: str
) -> None:
    served = call("serve", **environment)
    checked = call("config", "check", "--json", **environment)

    for code, out, err in (served, checked):
        assert code == 3
        assert key in err
        assert "canary" not in out + err
    assert json.loads(checked[1])["error"]


def test_settings_that_are_refused_cost_no_import_of_codecs() -> None:
    program = (
        "import sys; from auralink.engine.cli.main import run; code = run(['serve']);"
        "print(code, *(name for name in ('av', 'numba', 'onnxruntime', 'aiortc', 'fastapi')"
        " if name in sys.modules))"
    )
    kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, env=kept
    )

    assert done.stdout.split() == ["3"]


def test_config_show_masks_secrets_and_names_origins(call: Call, tmp_path: Path) -> None:
    file = tmp_path / "aic.toml"
    file.write_text("[http]\nport = 9000\n")

    code, out, _ = call(
        *("config", "show", "--config", str(file), "--changed", "--json"),
        AURALINK_AUTH__SECRET=SECRET,
        DATABASE_URL="postgresql://u:canary@db/aic",
    )

    found = json.loads(out)
    assert code == 0
    assert found["http.port"]["value"] == "9000"
    assert found["http.port"]["origin"].endswith("aic.toml: http.port")
    assert found["auth.secret"]["value"] == found["database.url"]["value"] == "(set)"
    assert SECRET not in out
    assert "canary" not in out
    assert set(found) == {"http.port", "auth.secret", "database.url"}


def test_warnings_about_keys_without_effect_are_told(call: Call) -> None:
    sample = Path(__file__).parent / "aic-config.yaml"

    code, out, err = call("config", "check", "--config", str(sample), AURALINK_AUTH__SECRET=SECRET)

    assert (code, out) == (0, "good\n")
    assert "warning: ai_core.workers has no effect" in err


def test_an_api_key_comes_with_the_entry_that_lets_it_in(call: Call) -> None:
    code, out, err = call("token", "api-key", "grafana", "--role", "operator")
    entry = tomllib.loads(err.split(":", 1)[1])

    assert code == 0
    assert re.fullmatch(r"aic_grafana_[0-9a-f]{64}\n", out)
    assert ApiKey(**entry).role == "operator"
    assert out.strip() not in err


def test_a_secret_is_long_enough_for_the_settings(call: Call) -> None:
    _, out, _ = call("token", "secret")
    code, _, _ = call("config", "check", AURALINK_AUTH__SECRET=out.strip())

    assert code == 0


def test_a_room_token_is_one_for_livekit(call: Call) -> None:
    from livekit import api

    code, out, _ = call(
        *("token", "livekit", "standup", "ann", "--watch"),
        LIVEKIT_API_KEY="key",
        LIVEKIT_API_SECRET=LIVEKIT_SECRET,
    )

    claims = api.TokenVerifier("key", LIVEKIT_SECRET).verify(out.strip())
    assert code == 0
    assert (claims.identity, claims.video.room, claims.video.can_publish) == (
        "ann",
        "standup",
        False,
    )


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("token", "api", "ann", "--role", "root"), "no role 'root'"),
        (("token", "api-key", "X"), "4 to 32"),
        (("token", "api", "ann", "--private-key", "none.pem"), "No such file"),
    ],
)
def test_what_makes_no_token_says_why(call: Call, words: tuple[str, ...], told: str) -> None:
    code, _, err = call(*words, AURALINK_AUTH__SECRET=SECRET)

    assert code == 2
    assert told in err


def test_the_description_of_the_api_needs_no_engine(call: Call, tmp_path: Path) -> None:
    _, out, _ = call("openapi")
    call("openapi", "--out", str(tmp_path / "openapi.json"))

    assert json.loads(out) == json.loads((tmp_path / "openapi.json").read_text())
    assert json.loads(out)["paths"][f"{API}/jobs"]["post"]["x-least-role"] == "operator"


async def test_the_description_is_that_of_a_running_engine(tmp_path: Path, call: Call) -> None:
    async with service_in(tmp_path) as service:
        running = create_app(service.context).openapi()
    _, out, _ = await asyncio.to_thread(call, "openapi")

    assert json.loads(out)["paths"] == running["paths"]


async def asked(service: Service, call: Call, *words: str) -> tuple[int, str, str]:
    """A command against the engine, in a thread: the engine answers on this loop."""
    return await asyncio.to_thread(
        call,
        *words,
        AURALINK_URL=service.url,
        AURALINK_TOKEN=token_of(role=Role.OPERATOR),
    )


async def test_jobs_are_started_listed_steered_and_stopped(tmp_path: Path, call: Call) -> None:
    async with service_in(tmp_path) as service:
        started = await asked(
            service, call, "jobs", "start", "standup", "--to", "thin", "--rate", "90k", "--id", "j"
        )
        await until(lambda: bool(service.relays) and service.relays[0].connected)
        listed = await asked(service, call, "jobs", "list")
        as_json = await asked(service, call, "jobs", "list", "--json")
        shown = await asked(service, call, "jobs", "show", "j")
        key = await asked(service, call, "jobs", "key", "j")
        rung = await asked(service, call, "jobs", "rung", "j", "native")
        unknown = await asked(service, call, "jobs", "rung", "j", "seventh")
        top = await asked(service, call, "top", "--once")
        stopped = await asked(service, call, "jobs", "stop", "j")
        missing = await asked(service, call, "jobs", "stop", "none")

    assert started[:2] == (0, "j\n")
    assert service.relays[0].settings.options.rate_bps == 90_000
    assert "standup" in listed[1]
    assert json.loads(as_json[1])["jobs"][0]["id"] == "j"
    assert json.loads(shown[1])["state"] == "running"
    assert (key[1], rung[1]) == ("1 streams\n", "1 streams\n")
    assert (unknown[0], "rungs: wished, plain" in unknown[2]) == (2, True)
    assert all(word in top[1] for word in ("healthy", "engine-1", "standup", "running"))
    assert stopped[1] == "j draining\n"
    assert (missing[0], "no job 'none'" in missing[2]) == (2, True)
    assert "request id" in missing[2]


async def test_events_are_followed_until_the_engine_ends(tmp_path: Path, call: Call) -> None:
    async with service_in(tmp_path) as service:
        following = asyncio.create_task(asked(service, call, "jobs", "events"))
        events = service.context.jobs.get().here.events
        await until(lambda: events.listeners == 1)
        await service.ask("POST", f"{API}/jobs", token=token_of(), json={"room": "a", "id": "j"})
        await until(lambda: events.newest >= 2)
        service.context.ending.ask()
        code, out, _ = await following

    assert code == 0
    assert "j starting" in out


def test_an_engine_that_is_not_there_is_exit_code_4(call: Call) -> None:
    with socket.create_server(("127.0.0.1", 0)) as gone:
        port = gone.getsockname()[1]
    code, _, err = call("jobs", "list", "--url", f"http://127.0.0.1:{port}")

    assert code == 4
    assert "no engine at" in err
    assert "auralink serve starts one" in err


def test_the_live_table_tells_what_is_missing() -> None:
    from rich.console import Console

    health: dict[str, Any] = {
        "engine_id": "e[1]",
        "status": "degraded",
        "state": "ready",
        "version": "1",
        "uptime_s": 7260.0,
        "parts": [
            {"name": "records", "ready": False, "expected": True, "needed": True, "why": "[away]"},
            {"name": "redis", "ready": False, "expected": False, "needed": False, "why": "none"},
        ],
        "records": {"connected": False, "buffered": 5, "capacity": 10, "dropped": 1},
    }
    console = Console(width=160, record=True, file=io.StringIO())
    console.print(page("http://e", {"health": health, "jobs": {"jobs": [], "load": 0.5}}))
    text = console.export_text()

    assert "e[1]" in text
    assert "up 2 h 1 min  load 50 %" in text
    assert "records: [away]" in text
    assert "5 of 10 rows wait, 1 lost" in text
    assert "redis" not in text
