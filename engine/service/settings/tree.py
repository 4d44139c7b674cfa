"""The settings themselves: what there is, in which units, within which bounds.

Values are frozen.  A secret is a `SecretStr`, which does not print itself.  Nothing here reads an
environment or a file: `load` does.
"""

import re
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from typing import Annotated, Any, Final, Literal, TypeAlias

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, SecretStr
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from auralink.engine.service.auth.tokens import Algorithm
from auralink.engine.service.tls import TlsFiles
from auralink.engine.stores.records import Mode, Model
from auralink.models.manifest import Precision

_ORIGIN: Final = re.compile(r"https?://[a-z0-9]([a-z0-9.-]*[a-z0-9])?(:\d{1,5})?", re.ASCII)
_NAME: Final = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$"
_STRICT: Final = ConfigDict(
    extra="forbid", frozen=True, hide_input_in_errors=True, allow_inf_nan=False
)

RoleName: TypeAlias = Literal["viewer", "operator", "admin"]
Environment: TypeAlias = Literal["development", "test", "staging", "production"]
Host = Annotated[str, Field(min_length=1, max_length=253)]
Port = Annotated[int, Field(ge=0, le=65_535)]
Name = Annotated[str, Field(pattern=_NAME)]
Share = Annotated[float, Field(ge=0, le=1)]


def _listed(value: Any) -> Any:
    """``a, b`` is a list: environment variables and flags have no other way to say so."""
    if isinstance(value, str):
        return [part.strip() for part in value.split(",") if part.strip()]
    return value


def _origin(text: str) -> str:
    if text != "*" and not _ORIGIN.fullmatch(text):
        raise ValueError("an origin is scheme://host or scheme://host:port, in lower case")
    return text


Origins = Annotated[tuple[Annotated[str, AfterValidator(_origin)], ...], BeforeValidator(_listed)]
Networks = Annotated[tuple[IPv4Network | IPv6Network, ...], BeforeValidator(_listed)]


class Section(BaseModel):
    model_config = _STRICT


class Served(Section):
    """A port of ours, plain or with TLS."""

    tls: bool = Field(default=False, description="needs certificate and key")
    certificate: Path | None = None
    key: Path | None = None
    client_ca: Path | None = Field(
        default=None, description="clients must show a certificate of it"
    )

    def files(self) -> TlsFiles | None:
        """None: plain."""
        if not self.tls or self.certificate is None or self.key is None:
            return None
        return TlsFiles(certificate=self.certificate, key=self.key, clients=self.client_ca)


class Http(Served):
    host: Host = "127.0.0.1"
    port: Port = Field(default=8000, description="0: any that is free")
    tls_at_proxy: bool = Field(
        default=False, description="plain HTTP may leave loopback in production: a proxy has TLS"
    )
    cors_origins: Origins = Field(default=(), description="exactly these may ask from a browser")
    trusted_proxies: Networks = Field(default=(), description="whose X-Forwarded-For is believed")
    body_bytes: int = Field(
        default=1 << 20, ge=1024, le=16 << 20, description="largest request body"
    )
    header_bytes: int = Field(default=16 << 10, ge=1024, le=64 << 10)
    receive_s: float = Field(
        default=10.0, gt=0, le=120, description="for a whole request to arrive"
    )
    idle_s: float = Field(default=15.0, gt=0, le=300, description="a connection without a request")
    connections: int = Field(default=1000, ge=8, le=20_000)
    event_streams: int = Field(default=64, ge=1, le=1024, description="listeners to live events")
    open_metrics: bool = Field(default=True, description="/metrics without credentials")


class Grpc(Served):
    enabled: bool = True
    host: Host = "127.0.0.1"
    port: Port = 50_051
    reflection: bool = True


class TokenKey(Section):
    """A key that signs or verifies tokens; the secret of HS256, else a file with a public key."""

    kid: Name
    algorithm: Algorithm = "HS256"
    secret: SecretStr | None = None
    public_key: Path | None = None


class ApiKey(Section):
    """As `auralink token api-key` prints it: the key itself is not in it."""

    name: str = Field(pattern=r"^[a-z0-9]{4,32}$")
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    subject: str = Field(min_length=1, max_length=128)
    tenant: str = Field(default="", max_length=128, description="empty: the subject")
    role: RoleName = "viewer"


class Auth(Section):
    required: bool = True
    issuer: str = Field(default="auralink", min_length=1, max_length=256)
    audience: str = Field(default="auralink-aic", min_length=1, max_length=256)
    leeway_s: float = Field(default=30.0, ge=0, le=60)
    secret: SecretStr | None = Field(default=None, description="of HS256; the key is called 'main'")
    keys: tuple[TokenKey, ...] = ()
    api_keys: tuple[ApiKey, ...] = ()


class LiveKit(Section):
    """A server that jobs may name.  Jobs never bring an address or a key of their own."""

    url: str = Field(default="", max_length=512)
    api_key: str = Field(default="", max_length=256)
    api_secret: SecretStr = SecretStr("")


class Agent(Section):
    """Jobs that the dispatcher of the server ``livekit`` gives."""

    enabled: bool = Field(default=False, description="take jobs from LiveKit's dispatcher")
    name: str = Field(
        default="auralink",
        max_length=128,
        description="dispatches to this name; empty: every new room, unasked",
    )
    kind: Literal["room", "publisher", "participant"] = Field(
        default="room", description="a job for each of these"
    )
    tenant: str = Field(
        default="", max_length=128, description="whose jobs these are; empty: for admins alone"
    )
    to_server: Literal["livekit", "livekit_to"] = Field(
        default="livekit", description="where the tracks appear again"
    )
    defaults: str = Field(
        default="",
        max_length=16_384,
        description="metadata, in JSON, for what a dispatch leaves out",
    )


class Database(Section):
    url: SecretStr = SecretStr("sqlite+aiosqlite:///auralink-aic.db")
    required: bool = Field(default=False, description="do not start without it")
    pool_max: int = Field(default=10, ge=1, le=500, description="connections kept")
    retention_days: int = Field(default=30, ge=1, le=3650)
    interval_s: float = Field(
        default=10.0, ge=1, le=3600, description="one row per stream and so long"
    )


class Redis(Section):
    url: SecretStr | None = Field(default=None, description="none: this engine is alone")
    replicas: int = Field(
        default=1, ge=1, le=1000, description="limits are divided by it without Redis"
    )


class Compression(Section):
    """What a tenant gets that never said anything else."""

    enabled: bool = True
    mode: Mode = Field(default="adaptive", description="says the three figures that are not set")
    target_ratio: float = Field(
        default=0.8, ge=0.1, le=0.95, description="of the bits that a job would have without us"
    )
    max_latency_ms: int = Field(
        default=20, ge=5, le=100, description="for coding a picture, on average"
    )
    model_type: Model = Field(default="hybrid", description="others are taken for it")
    min_quality: float = Field(
        default=0.85, ge=0.5, le=1, description="SSIM, shown to tenants; over gRPC the mode's holds"
    )


class Limits(Section):
    enabled: bool = Field(default=True, description="of requests; jobs have theirs always")
    requests_per_minute: int = Field(default=100, ge=1, le=1_000_000, description="of one caller")
    attempts_per_minute: int = Field(
        default=30, ge=1, le=10_000, description="with bad credentials"
    )
    jobs: int = Field(default=16, ge=1, le=1000, description="at one time")
    sessions: int = Field(default=1000, ge=1, le=100_000, description="streams over gRPC")


class ModelSettings(Section):
    folder: Path | None = Field(default=None, description="none: the weights of the package")
    precision: Precision = "int8"
    required: bool = Field(default=False, description="not ready without a good network")


class AlertThresholds(Section):
    high_latency_ms: float = Field(default=30.0, gt=0)
    low_quality_score: Share = 0.8
    high_fallback_rate_percent: float = Field(default=5.0, ge=0, le=100)


class Log(Section):
    level: Literal["debug", "info", "warning", "error"] = "info"
    format: Literal["auto", "json", "text"] = Field(
        default="auto", description="auto: text on a terminal"
    )


class Traces(Section):
    """Spans of requests and jobs; needs the extra `otel`."""

    endpoint: str = Field(
        default="", max_length=512, description="of a collector, OTLP over gRPC; empty: no traces"
    )
    share: Share = Field(default=0.01, description="kept, of traces that begin here")


class Engine(Section):
    id: str = Field(
        default="", pattern=r"^[A-Za-z0-9._-]{0,64}$", description="empty: host and process"
    )
    drain_s: float = Field(default=30.0, ge=0, le=3600, description="that calls get after SIGTERM")
    start_s: float = Field(
        default=60.0, gt=0, le=600, description="then a part that is not ready failed"
    )
    blocked_s: float = Field(
        default=10.0, gt=0, le=120, description="event loop, until /liveness says no"
    )


class Settings(BaseSettings):
    """The whole tree.  Made by hand it reads nothing; `load.load` gives it its layers."""

    model_config = SettingsConfigDict(
        extra="forbid",
        frozen=True,
        hide_input_in_errors=True,
        allow_inf_nan=False,
        validate_default=False,
    )

    environment: Environment = "development"
    http: Http = Http()
    grpc: Grpc = Grpc()
    auth: Auth = Auth()
    livekit: LiveKit = LiveKit()
    livekit_to: LiveKit = LiveKit()
    agent: Agent = Agent()
    database: Database = Database()
    redis: Redis = Redis()
    compression: Compression = Compression()
    limits: Limits = Limits()
    models: ModelSettings = ModelSettings()
    alerts: AlertThresholds = AlertThresholds()
    log: Log = Log()
    traces: Traces = Traces()
    engine: Engine = Engine()

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        given = init_settings()
        layers = given.get("layers")
        return tuple(layers) if layers is not None else (init_settings,)
