"""Who gets in, by the settings in force; new settings bring new keys without a restart."""

from dataclasses import dataclass
from pathlib import Path
from typing import final

from auralink.engine.room.webhooks import Webhooks
from auralink.engine.service.auth.api_keys import KeyRecord, KeyRing
from auralink.engine.service.auth.credentials import Authenticator
from auralink.engine.service.auth.principal import Principal, Role
from auralink.engine.service.auth.tokens import TokenVerifier, VerificationKey, verification_key
from auralink.engine.service.errors import ConfigError
from auralink.engine.service.settings.tree import ApiKey, Auth, Settings, TokenKey

MAIN_KID = "main"


@dataclass(frozen=True, slots=True)
class Keys:
    """What one version of the settings lets in."""

    people: Authenticator
    webhooks: Webhooks


@final
class Access:
    """The keys in force.  `take` is a listener of `LiveSettings`."""

    def __init__(self, settings: Settings) -> None:
        self._signers = _signers(settings)
        self._keys = Keys(authenticator(settings.auth), Webhooks(self._signers))

    @property
    def people(self) -> Authenticator:
        return self._keys.people

    @property
    def webhooks(self) -> Webhooks:
        return self._keys.webhooks

    def take(self, settings: Settings) -> None:
        """
        Raises:
            ConfigError: a key is no key; the ones before stay.
        """
        people = authenticator(settings.auth)
        signers = _signers(settings)
        # The messages that were seen must outlive a reload.
        same = signers == self._signers
        webhooks = self._keys.webhooks if same else Webhooks(signers)
        self._keys, self._signers = Keys(people, webhooks), signers


def authenticator(auth: Auth) -> Authenticator:
    """
    Raises:
        ConfigError: names the key at fault.
    """
    keys = [_token_key(key) for key in auth.keys]
    if auth.secret is not None:
        keys.append(verification_key(MAIN_KID, "HS256", auth.secret.get_secret_value().encode()))
    tokens = None
    if keys:
        tokens = TokenVerifier(
            keys, issuer=auth.issuer, audience=auth.audience, leeway_s=auth.leeway_s
        )
    return Authenticator(
        tokens=tokens,
        api_keys=KeyRing([_record(key) for key in auth.api_keys]),
        required=auth.required,
    )


def _token_key(key: TokenKey) -> VerificationKey:
    if key.secret is not None:
        material = key.secret.get_secret_value().encode()
    else:
        material = _read(key.kid, key.public_key)
    return verification_key(key.kid, key.algorithm, material)


def _read(kid: str, path: Path | None) -> bytes:
    if path is None:
        raise ConfigError(f"key {kid!r}: neither a secret nor a public key")
    try:
        return path.read_bytes()
    except OSError as error:
        raise ConfigError(f"key {kid!r}: {path}: {error.strerror}") from None


def _record(key: ApiKey) -> KeyRecord:
    principal = Principal(
        subject=key.subject, tenant=key.tenant or key.subject, role=Role.named(key.role)
    )
    return KeyRecord(name=key.name, digest=bytes.fromhex(key.sha256), principal=principal)


def _signers(settings: Settings) -> dict[str, str]:
    """Secrets of the LiveKit servers by their keys."""
    servers = (settings.livekit, settings.livekit_to)
    return {
        server.api_key: server.api_secret.get_secret_value()
        for server in servers
        if server.api_key and server.api_secret.get_secret_value()
    }
