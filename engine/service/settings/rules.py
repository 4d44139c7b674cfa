"""What must hold between settings.  Pure; refused at start, before anything is opened."""

import ipaddress
import re
from collections.abc import Iterator, Mapping
from typing import Final

from pydantic import SecretStr

from auralink.codecs.errors import AuraLinkError
from auralink.engine.room.endpoints import check_server
from auralink.engine.service.auth.tokens import MIN_SECRET_BYTES
from auralink.engine.service.errors import ConfigError
from auralink.engine.service.settings.tree import LiveKit, Settings

# Secrets that examples and first steps use.  In production nobody means them.
_DEFAULTS: Final = frozenset(
    {"secret", "devsecret", "devkey", "changeme", "change-me", "password", "postgres", "test"}
)

# No path and no credentials: it appears in `config show`.
_COLLECTOR: Final = re.compile(r"https?://[A-Za-z0-9.\-\[\]:]+:\d{1,5}/?", re.ASCII)


def check(settings: Settings, origins: Mapping[str, str]) -> None:
    """
    Raises:
        ConfigError: names the keys at fault and where they came from, all of them.
    """
    faults = list(_faults(settings))
    if not faults:
        return
    words = []
    for key, why in faults:
        origin = origins.get(key, "")
        words.append(f"{key}{f' ({origin})' if origin else ''}: {why}")
    error = ConfigError("; ".join(words))
    error.add_note("auralink config show names every key and where it came from")
    raise error


def notes(settings: Settings) -> Iterator[str]:
    """Warnings: what is taken for something else."""
    if settings.compression.model_type != "hybrid":
        yield "compression.model_type: this engine has hybrid and no other, so that is used"


def is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _faults(settings: Settings) -> Iterator[tuple[str, str]]:
    yield from _access(settings)
    yield from _secrets(settings)
    yield from _tls(settings)
    for name, server in (("livekit", settings.livekit), ("livekit_to", settings.livekit_to)):
        yield from _livekit(name, server, production=settings.environment == "production")
    yield from _agent(settings)
    if settings.traces.endpoint and not _COLLECTOR.fullmatch(settings.traces.endpoint):
        yield "traces.endpoint", "is no http://HOST:PORT or https://HOST:PORT"
    if "*" in settings.http.cors_origins:
        yield "http.cors_origins", "'*' would lend every page its visitor's credentials"


def _access(settings: Settings) -> Iterator[tuple[str, str]]:
    auth = settings.auth
    someone = auth.secret is not None or auth.keys or auth.api_keys
    if auth.required and not someone:
        yield (
            "auth.secret",
            "missing; set AURALINK_AUTH__SECRET, auth.keys or auth.api_keys, or on loopback "
            "auth.required = false (auralink serve --open)",
        )
    open_doors = not auth.required
    if open_doors and settings.environment == "production":
        yield "auth.required", "must be true in production"
    if open_doors and not is_loopback(settings.http.host):
        yield "auth.required", "may be false on loopback only, and http.host is another address"
    if open_doors and settings.grpc.enabled and not is_loopback(settings.grpc.host):
        yield "auth.required", "may be false on loopback only, and grpc.host is another address"
    names = [key.kid for key in auth.keys] + (["main"] if auth.secret is not None else [])
    if len(set(names)) < len(names):
        yield "auth.keys", "two keys have one kid ('main' is auth.secret)"
    for number, key in enumerate(auth.keys):
        wants_secret = key.algorithm == "HS256"
        if (key.secret is None) == wants_secret or (key.public_key is None) != wants_secret:
            what = "secret" if wants_secret else "public_key"
            yield "auth.keys", f"entry {number}: {key.algorithm} takes {what} and nothing else"
    records = [key.name for key in auth.api_keys]
    if len(set(records)) < len(records):
        yield "auth.api_keys", "two keys have one name"


def _secrets(settings: Settings) -> Iterator[tuple[str, str]]:
    auth = settings.auth
    named = [("auth.secret", auth.secret)]
    named += [("auth.keys", key.secret) for key in auth.keys]
    for key, secret in named:
        if secret is None:
            continue
        if _is_default(secret):
            yield key, "is a secret that everybody knows"
        elif len(secret.get_secret_value().encode()) < MIN_SECRET_BYTES:
            yield key, f"must have at least {MIN_SECRET_BYTES} bytes"


def _tls(settings: Settings) -> Iterator[tuple[str, str]]:
    http, grpc = settings.http, settings.grpc
    production = settings.environment == "production"
    for name, served in (("http", http), ("grpc", grpc)):
        if served.tls and (served.certificate is None or served.key is None):
            missing = "certificate" if served.certificate is None else "key"
            yield f"{name}.{missing}", "is needed for TLS"
        if not served.tls and served.client_ca is not None:
            yield f"{name}.client_ca", f"has no meaning without {name}.tls"
    if http.tls and http.tls_at_proxy:
        yield "http.tls_at_proxy", "has no meaning with http.tls"
    if production and not (http.tls or http.tls_at_proxy or is_loopback(http.host)):
        yield (
            "http.tls",
            "must be on in production where http.host is not loopback; behind a proxy that has "
            "TLS, say http.tls_at_proxy = true",
        )
    if production and grpc.enabled and not (grpc.tls or is_loopback(grpc.host)):
        yield "grpc.tls", "must be on in production where grpc.host is not loopback"


def _livekit(name: str, server: LiveKit, *, production: bool) -> Iterator[tuple[str, str]]:
    if not server.url:
        return
    try:
        check_server(server.url)
    except AuraLinkError:
        yield f"{name}.url", "is no ws:// or wss:// address of a server"
        return
    if not server.api_key:
        yield f"{name}.api_key", "is missing"
    if not server.api_secret.get_secret_value():
        yield f"{name}.api_secret", "is missing"
    elif production and _is_default(server.api_secret):
        yield f"{name}.api_secret", "is a secret that everybody knows"


def _agent(settings: Settings) -> Iterator[tuple[str, str]]:
    agent = settings.agent
    if agent.enabled and not settings.livekit.url:
        yield "agent.enabled", "needs livekit.url, livekit.api_key and livekit.api_secret"
    if agent.enabled and agent.to_server == "livekit_to" and not settings.livekit_to.url:
        yield "agent.to_server", "names a server that is not set up: livekit_to.url is missing"


def _is_default(secret: SecretStr) -> bool:
    return secret.get_secret_value().lower().strip() in _DEFAULTS
