"""Settings: where values come from, which are refused, and that no value is ever told."""

import dataclasses
from pathlib import Path
from typing import Any

import pytest

from auralink.engine.service.errors import ConfigError
from auralink.engine.service.settings import contract
from auralink.engine.service.settings.keys import KEYS, SECRET_KEYS, shown, value_of
from auralink.engine.service.settings.layers import variable
from auralink.engine.service.settings.load import Loaded, Sources, load
from auralink.engine.service.settings.reload import LiveSettings
from auralink.engine.service.settings.tree import Settings

CANARY = "canary-7f3a-must-not-be-told-to-anybody"
AUTH = {"AURALINK_AUTH__SECRET": CANARY}
SAMPLE = Path(__file__).parent / "aic-config.yaml"


def read(
    environment: dict[str, str] | None = None,
    file: Path | None = None,
    secrets: Path | None = None,
    **flags: Any,
) -> Loaded:
    given = AUTH if environment is None else environment
    named = {key.replace("__", "."): value for key, value in flags.items()}
    return load(Sources(flags=named, environment=given, file=file, secrets=secrets))


def written(tmp_path: Path, text: str, name: str = "auralink.toml") -> Path:
    path = tmp_path / name
    path.write_text(text, "utf-8")
    return path


def test_flag_beats_environment_beats_secret_beats_file_beats_default(tmp_path: Path) -> None:
    file = written(
        tmp_path, "[http]\nport = 1\nidle_s = 1\nreceive_s = 1\nbody_bytes = 2000\n[log]\n"
    )
    secrets = tmp_path / "secrets"
    secrets.mkdir()
    for name in ("http__port", "http__idle_s", "http__receive_s"):
        (secrets / name).write_text("2\n")
    environment = AUTH | {"HTTP_PORT": "3", "AURALINK_HTTP__IDLE_S": "3"}

    found = read(environment, file, secrets, http__port=4)

    http = found.settings.http
    assert (http.port, http.idle_s, http.receive_s, http.body_bytes) == (4, 3, 2, 2000)
    assert found.origins["http.port"] == "command line"
    assert found.origins["http.idle_s"] == "environment AURALINK_HTTP__IDLE_S"
    assert found.origins["http.receive_s"] == f"secret file {secrets / 'http__receive_s'}"
    assert found.origins["http.body_bytes"] == f"file {file}: http.body_bytes"
    assert found.origins["http.header_bytes"] == "default"


def test_every_key_has_a_variable_and_can_be_set_by_it() -> None:
    simple = {
        key: str(value_of(Settings(), key)).lower()
        for key in KEYS
        if isinstance(value_of(Settings(), key), (int, float, bool))
    }
    simple["auth.required"] = "true"

    found = read(AUTH | {variable(key): value for key, value in simple.items()})

    assert len(simple) > 25
    assert all(found.origins[key] == f"environment {variable(key)}" for key in simple)


def test_every_key_of_the_contracts_file_sets_something_or_says_why_not() -> None:
    contract.check()
    found = read(AUTH, SAMPLE)
    settings = found.settings

    assert (settings.http.port, settings.grpc.port) == (8002, 50_052)  # development's own port
    assert settings.compression.model_type == "encodec"
    assert settings.compression.mode == "conservative"
    assert settings.compression.min_quality == 0.95
    assert settings.limits.sessions == 500
    assert settings.limits.requests_per_minute == 120
    assert settings.database.interval_s == 300
    assert (settings.database.pool_max, settings.database.retention_days) == (40, 14)
    assert settings.alerts.low_quality_score == 0.7
    assert (settings.log.level, settings.log.format) == ("info", "json")
    assert (settings.grpc.tls, str(settings.grpc.certificate)) == (True, "/tls/tls.crt")
    assert len(found.warnings) > 25
    assert any(text.startswith("ai_core.workers has no effect: one") for text in found.warnings)


def test_the_section_of_the_environment_in_force_goes_over_the_rest() -> None:
    found = read(AUTH | {"ENVIRONMENT": "production"}, SAMPLE)

    assert found.settings.log.level == "warning"
    assert found.settings.http.port == 8001
    assert found.origins["log.level"].endswith("environments.production.monitoring.logging.level")


@pytest.mark.parametrize(
    ("line", "name"),
    [
        ("development: {mock_inference: true}", "development.mock_inference"),
        ("security: {privacy: {frame_logging_enabled: true}}", "frame_logging_enabled"),
        ("aic: {features: {fallback_mechanism: false}}", "aic.features.fallback_mechanism"),
    ],
)
def test_what_this_engine_will_not_do_is_refused_by_name(
    tmp_path: Path, line: str, name: str
) -> None:
    with pytest.raises(ConfigError, match=f"{name} is refused"):
        read(AUTH, written(tmp_path, line, "a.yaml"))


@pytest.mark.parametrize(
    ("environment", "name"),
    [
        ({}, "auth.secret"),
        ({"AURALINK_AUTH__SECRET": ""}, "auth.secret"),
        ({"AURALINK_AUTH__SECRET": "devsecret"}, "auth.secret"),
        ({"AURALINK_AUTH__SECRET": CANARY[:31]}, "auth.secret"),
        (AUTH | {"AURALINK_HTTP__PROT": CANARY}, "AURALINK_HTTP__PROT"),
        (AUTH | {"AURALINK_WORKERS": CANARY}, "AURALINK_WORKERS"),
        (AUTH | {"AIC_MDOE": CANARY}, "AIC_MDOE"),
        (AUTH | {"HTTP_PORT": CANARY}, "http.port"),
        (AUTH | {"HTTP_PORT": "65536"}, "http.port"),
        (AUTH | {"HTTP_PORT": "8000.5"}, "http.port"),
        (AUTH | {"HTTP_PORT": "8000", "AI_CORE_PORT": "8001"}, "AI_CORE_PORT"),
        (AUTH | {"ENVIRONMENT": CANARY}, "environment"),
        (AUTH | {"AIC_MODE": CANARY}, "compression.mode"),
        (AUTH | {"AIC_TARGET_COMPRESSION_RATIO": "0.96"}, "compression.target_ratio"),
        (AUTH | {"AIC_TARGET_COMPRESSION_RATIO": "nan"}, "compression.target_ratio"),
        (AUTH | {"AIC_MAX_LATENCY_MS": "4"}, "compression.max_latency_ms"),
        (AUTH | {"LOG_LEVEL": CANARY}, "log.level"),
        (AUTH | {"CORS_ORIGINS": "*"}, "http.cors_origins"),
        (AUTH | {"CORS_ORIGINS": f"https://{CANARY}/path"}, "http.cors_origins"),
        (AUTH | {"CORS_ORIGINS": "https://a.example,null"}, "http.cors_origins"),
        (AUTH | {"AURALINK_AUTH__KEYS": CANARY}, "auth.keys"),
        (AUTH | {"AURALINK_AUTH__KEYS": '[{"kid": "a", "secert": "' + CANARY + '"}]'}, "auth.keys"),
        (AUTH | {"AURALINK_AUTH__KEYS": '[{"kid": "a"}]'}, "auth.keys"),
        (
            AUTH | {"AURALINK_AUTH__KEYS": '[{"kid": "main", "secret": "' + CANARY + '"}]'},
            "auth.keys",
        ),
        ({"AURALINK_AUTH__REQUIRED": "false", "AURALINK_HTTP__HOST": "0.0.0.0"}, "auth.required"),
        ({"AURALINK_AUTH__REQUIRED": "false", "ENVIRONMENT": "production"}, "auth.required"),
        (AUTH | {"LIVEKIT_URL": f"ftp://{CANARY}"}, "livekit.url"),
        (AUTH | {"LIVEKIT_URL": "wss://livekit.example"}, "livekit.api_secret"),
        (AUTH | {"AURALINK_GRPC__TLS": "true"}, "grpc.certificate"),
        (AUTH | {"OTEL_EXPORTER_OTLP_ENDPOINT": f"http://ann:{CANARY}@a:4317"}, "traces.endpoint"),
        (AUTH | {"AURALINK_HTTP__TLS": "true"}, "http.certificate"),
        (AUTH | {"AURALINK_HTTP__CLIENT_CA": f"/{CANARY}"}, "http.client_ca"),
        (
            AUTH | {"AURALINK_HTTP__HOST": "0.0.0.0", "ENVIRONMENT": "production"},
            "http.tls_at_proxy",
        ),
        (
            AUTH | {"AURALINK_GRPC__HOST": "0.0.0.0", "ENVIRONMENT": "production"},
            "grpc.tls",
        ),
    ],
)
def test_bad_settings_are_refused_by_key_and_never_by_value(
    environment: dict[str, str], name: str
) -> None:
    with pytest.raises(ConfigError) as refused:
        read(environment)

    told = f"{refused.value} {getattr(refused.value, '__notes__', '')}"
    assert name in told
    assert CANARY not in told
    assert refused.value.__cause__ is None


def test_plain_http_leaves_loopback_in_production_behind_a_proxy_that_has_tls() -> None:
    exposed = AUTH | {"AURALINK_HTTP__HOST": "0.0.0.0", "ENVIRONMENT": "production"}

    assert read(exposed | {"AURALINK_HTTP__TLS_AT_PROXY": "true"}).settings.http.files() is None


@pytest.mark.parametrize(
    ("name", "text", "told"),
    [
        ("a.toml", f"[http]\nprot = '{CANARY}'", "http.prot is no setting"),
        ("a.toml", f"{CANARY}", "no valid TOML"),
        ("a.toml", f"x = '{CANARY}", "no valid TOML"),
        ("a.yaml", f"database: {{url: '{CANARY}", "no valid YAML at line 1"),
        ("a.yaml", f"a: b: {CANARY}", "no valid YAML at line 1"),
        ("a.yaml", f"- {CANARY}", "names and values"),
        ("a.yaml", f"!!python/object/apply:os.system [{CANARY}]", "no valid YAML"),
        ("a.yaml", "[" * 5000, "no valid YAML"),
        ("a.yaml", f"http: {CANARY}", "http is no setting"),
        ("a.yaml", f"http: {{port: {CANARY}}}", "http.port"),
        ("a.yaml", f"redis: {{url: [{CANARY}]}}", "redis.url"),
        ("a.yaml", "http: {port: 1}\nai_core: {http_port: 2}", "both set http.port"),
        ("a.yaml", f"environments: {CANARY}", "one section per environment"),
        ("a.json", "{}", r"must end in .toml, .yaml or .yml"),
        ("a.toml", "#" * (1 << 20) + "\n", "more than"),
    ],
)
def test_bad_files_are_refused_by_place_and_never_by_content(
    tmp_path: Path, name: str, text: str, told: str
) -> None:
    with pytest.raises(ConfigError) as refused:
        read(AUTH, written(tmp_path, text, name))

    assert told in str(refused.value)
    assert CANARY not in str(refused.value)


def test_a_file_that_is_not_there_is_a_fault(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="No such file"):
        read(AUTH, tmp_path / "none.toml")
    with pytest.raises(ConfigError, match="No such file"):
        read(AUTH, secrets=tmp_path / "none")


def test_all_faults_are_told_at_once_and_near_names_are_suggested() -> None:
    with pytest.raises(ConfigError) as several:
        read(AUTH | {"HTTP_PORT": "x", "AIC_MODE": "y", "LOG_LEVEL": "z"})
    with pytest.raises(ConfigError) as near:
        read(AUTH | {"AURALINK_HTTP__PROT": "1"})

    assert all(key in str(several.value) for key in ("http.port", "compression.mode", "log.level"))
    assert near.value.__notes__ == ["did you mean AURALINK_HTTP__PORT?"]


def test_addresses_that_kubernetes_puts_into_every_pod_are_no_settings() -> None:
    read(
        AUTH
        | {
            "AURALINK_AIC_SERVICE_HOST": "10.0.0.1",
            "AURALINK_AIC_SERVICE_PORT_HTTP": "8000",
            "AURALINK_AIC_PORT": "tcp://10.0.0.1:8000",
            "AURALINK_AIC_PORT_8000_TCP_ADDR": "10.0.0.1",
        }
    )


def test_secrets_come_from_mounted_files(tmp_path: Path) -> None:
    (tmp_path / "..data").mkdir()  # as Kubernetes lays them out
    (tmp_path / "auth__secret").write_text(f"{CANARY}\n")
    (tmp_path / "DATABASE_URL").write_text("postgresql+asyncpg://u:p@db/aic")

    settings = read({}, secrets=tmp_path).settings

    assert settings.auth.secret is not None
    assert settings.auth.secret.get_secret_value() == CANARY
    assert settings.database.url.get_secret_value() == "postgresql+asyncpg://u:p@db/aic"

    (tmp_path / "databse_url").write_text("x")
    with pytest.raises(ConfigError, match="databse_url is no setting"):
        read({}, secrets=tmp_path)


def test_no_view_of_the_settings_holds_a_secret() -> None:
    found = read(
        AUTH
        | {
            "DATABASE_URL": f"postgresql+asyncpg://u:{CANARY}@db/aic",
            "REDIS_URL": f"redis://:{CANARY}@cache",
            "LIVEKIT_URL": "wss://livekit.example",
            "LIVEKIT_API_KEY": "key",
            "LIVEKIT_API_SECRET": CANARY,
            "AURALINK_AUTH__KEYS": '[{"kid": "a", "secret": "' + CANARY + '"}]',
        }
    )

    lines = [f"{key} {shown(key, value_of(found.settings, key))}" for key in KEYS]

    assert {"auth.secret", "auth.keys", "database.url", "redis.url"} <= SECRET_KEYS
    assert {"livekit.api_secret", "livekit_to.api_secret"} <= SECRET_KEYS
    assert CANARY not in f"{lines} {found} {found.settings.model_dump_json()}"


def test_settings_do_not_change_under_anybodys_hands() -> None:
    settings = read().settings

    with pytest.raises(ValueError, match="frozen"):
        settings.http.port = 1


def test_settings_made_by_hand_read_no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AURALINK_HTTP__PORT", "1")
    monkeypatch.setenv("HTTP", '{"port": 1}')

    assert Settings().http.port == 8000


def test_a_reload_takes_what_may_change_and_names_what_waits(tmp_path: Path) -> None:
    file = written(tmp_path, "[limits]\njobs = 2\n")
    sources = Sources(flags={}, environment=AUTH, file=file)
    live = LiveSettings(load(sources), sources)
    heard: list[Settings] = []
    live.on_change(heard.append)

    file.write_text("[limits]\njobs = 3\n[http]\nport = 9\n")
    change = live.reload()

    assert (change.error, change.changed, change.waiting) == ("", ("limits.jobs",), ("http.port",))
    assert live.now.limits.jobs == heard[0].limits.jobs == 3


@pytest.mark.parametrize("text", ["[limits]\njobs = 0\n", "[limits]\njbos = 3\n", "[limits", None])
def test_a_bad_reload_changes_nothing(tmp_path: Path, text: str | None) -> None:
    file = written(tmp_path, "[limits]\njobs = 2\n")
    sources = Sources(flags={}, environment=AUTH, file=file)
    live = LiveSettings(load(sources), sources)
    before = live.now

    if text is None:
        file.unlink()
    else:
        file.write_text(text)
    change = live.reload()

    assert change.error
    assert not change.changed
    assert live.now is before


def test_one_listener_that_refuses_keeps_the_old_settings_for_all(tmp_path: Path) -> None:
    file = written(tmp_path, "[limits]\njobs = 2\n")
    sources = Sources(flags={}, environment=AUTH, file=file)
    live = LiveSettings(load(sources), sources)
    heard: list[int] = []

    def refuse(settings: Settings) -> None:
        if settings.limits.jobs == 3:
            raise ConfigError("no three")

    live.on_change(lambda settings: heard.append(settings.limits.jobs))
    live.on_change(refuse)
    file.write_text("[limits]\njobs = 3\n")

    assert live.reload().error == "no three"
    assert live.now.limits.jobs == 2
    assert heard == [3, 2]


def test_sources_do_not_print_what_they_hold() -> None:
    assert CANARY not in repr(load(Sources(flags={}, environment=AUTH)))
    assert dataclasses.is_dataclass(Sources)
