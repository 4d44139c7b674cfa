"""``auralink token``: what callers of the service and of rooms show."""

import secrets as random_secrets
import time
from pathlib import Path
from typing import Annotated

import typer

from auralink.codecs.errors import InputError
from auralink.engine.cli.settings import ConfigFile, SecretsFolder, settings
from auralink.engine.cli.terminal import Json, note, out, print_json
from auralink.engine.service.auth.api_keys import SECRET_BYTES, digest, format_key
from auralink.engine.service.auth.principal import Principal, Role
from auralink.engine.service.auth.tokens import Algorithm, sign
from auralink.engine.service.errors import ConfigError

app = typer.Typer(help="Make tokens, API keys and secrets.", no_args_is_help=True)

Subject = Annotated[str, typer.Argument(metavar="SUBJECT", help="Who it is for.")]
Tenant = Annotated[str, typer.Option(help="Whose things it sees; default: the subject's own.")]
RoleName = Annotated[str, typer.Option("--role", help="viewer, operator or admin.")]
Hours = Annotated[float, typer.Option(min=0.01, max=8760, help="How long it is good.")]


@app.command()
def api(
    subject: Subject,
    role: RoleName = "viewer",
    tenant: Tenant = "",
    hours: Hours = 1.0,
    private_key: Annotated[
        Path | None, typer.Option(help="PEM file; default: auth.secret of the settings.")
    ] = None,
    algorithm: Annotated[str, typer.Option(help="Of the private key: EdDSA or RS256.")] = "EdDSA",
    kid: Annotated[str, typer.Option(help="Name of the key in the settings.")] = "main",
    config: ConfigFile = None,
    secrets: SecretsFolder = None,
    json: Json = False,
) -> None:
    """Sign a token for the API (HTTP and gRPC)."""
    auth = settings(config, secrets, whole=False).settings.auth
    how: Algorithm = "HS256"
    if private_key is not None:
        how = "RS256" if algorithm == "RS256" else "EdDSA"
        material = _read(private_key)
    elif auth.secret is not None:
        material = auth.secret.get_secret_value().encode()
    else:
        raise ConfigError("auth.secret is not set, and no private key was given")
    token = sign(
        Principal(subject=subject, tenant=tenant or subject, role=_role(role)),
        kid=kid,
        algorithm=how,
        material=material,
        issuer=auth.issuer,
        audience=auth.audience,
        now=time.time(),
        lifetime_s=hours * 3600,
    )
    _print("token", token, json=json)


@app.command("api-key")
def api_key(
    name: Annotated[str, typer.Argument(metavar="NAME", help="4 to 32 of a-z, 0-9.")],
    subject: Annotated[str, typer.Option(help="Who uses it; default: the name.")] = "",
    role: RoleName = "viewer",
    tenant: Tenant = "",
    json: Json = False,
) -> None:
    """Make an API key, and the entry for auth.api_keys that lets it in."""
    try:
        key = format_key(name, random_secrets.token_bytes(SECRET_BYTES))
    except ValueError as error:
        raise InputError(str(error)) from None
    entry = {
        "name": name,
        "sha256": digest(key).hex(),
        "subject": subject or name,
        "tenant": tenant,
        "role": _role(role).label,
    }
    if json:
        print_json({"key": key, "entry": entry})
        return
    out().print(key)
    note("it is shown this once; into auth.api_keys of the settings goes:")
    note("".join(f'{field} = "{value}"\n' for field, value in entry.items()).rstrip())


@app.command()
def livekit(
    room: Annotated[str, typer.Argument(metavar="ROOM")],
    identity: Annotated[str, typer.Argument(metavar="IDENTITY")],
    publish: Annotated[bool, typer.Option("--publish/--watch", help="Send, or only see.")] = True,
    hours: Hours = 1.0,
    config: ConfigFile = None,
    secrets: SecretsFolder = None,
    json: Json = False,
) -> None:
    """Make a token with which somebody joins a room."""
    import datetime

    from livekit import api as livekit_api

    server = settings(config, secrets, whole=False).settings.livekit
    secret = server.api_secret.get_secret_value()
    if not (server.api_key and secret):
        raise ConfigError("livekit.api_key or livekit.api_secret is not set")
    grants = livekit_api.VideoGrants(
        room_join=True, room=room, can_publish=publish, can_publish_data=publish
    )
    token = (
        livekit_api.AccessToken(server.api_key, secret)
        .with_identity(identity)
        .with_grants(grants)
        .with_ttl(datetime.timedelta(hours=hours))
    )
    _print("token", token.to_jwt(), json=json)


@app.command()
def secret(json: Json = False) -> None:
    """Make a secret that is good for auth.secret."""
    _print("secret", random_secrets.token_urlsafe(SECRET_BYTES), json=json)


def _role(name: str) -> Role:
    try:
        return Role.named(name)
    except KeyError:
        error = InputError(f"no role {name!r}")
        error.add_note(f"roles: {', '.join(role.label for role in Role)}")
        raise error from None


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}") from None


def _print(name: str, value: str, *, json: bool) -> None:
    if json:
        print_json({name: value})
    else:
        out().print(value, markup=False)
