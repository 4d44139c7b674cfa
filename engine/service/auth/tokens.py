"""Bearer tokens: JSON Web Tokens that name a subject, a tenant and a role.

A token is good if a key of ours signed it by the one algorithm that belongs to that key, for our
audience, by our issuer, and if its time has come and not passed.  The algorithm is the key's, never
the header's: so there is no ``none``, and no RSA key taken for an HMAC secret.
"""

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Final, Literal, TypeAlias, final

import jwt
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key, load_pem_public_key

from auralink.engine.service.auth.claims import (
    MAX_LEEWAY_S,
    MAX_TOKEN,
    Claims,
    PublicKey,
    check_times,
    header,
    signed_claims,
    text,
)
from auralink.engine.service.auth.principal import Principal, Role
from auralink.engine.service.errors import ConfigError, Unauthenticated

Algorithm: TypeAlias = Literal["HS256", "RS256", "EdDSA"]

REQUIRED: Final = ("sub", "iss", "aud", "exp")
MIN_SECRET_BYTES: Final = 32  # RFC 7518, 3.2: a key as long as the hash
MOST_KEPT: Final = 1024  # tokens whose signature is known to be good
_MIN_RSA_BITS: Final = 2048


@dataclass(frozen=True, slots=True, kw_only=True)
class VerificationKey:
    """
    Attributes:
        kid: its name in token headers.
        key: the shared secret of HS256; else a public key.
    """

    kid: str
    algorithm: Algorithm
    key: PublicKey = field(repr=False)


def verification_key(kid: str, algorithm: Algorithm, material: bytes) -> VerificationKey:
    """
    Args:
        material: the secret of HS256, else a public key in PEM.

    Raises:
        ConfigError: the material does not suit the algorithm; never says what it is.
    """
    if algorithm == "HS256":
        if len(material) < MIN_SECRET_BYTES:
            raise _refused(kid, f"HS256 needs a secret of at least {MIN_SECRET_BYTES} bytes")
        return VerificationKey(kid=kid, algorithm=algorithm, key=material)
    try:
        key = load_pem_public_key(material)
    except (ValueError, UnsupportedAlgorithm):
        raise _refused(kid, f"{algorithm} needs a public key in PEM") from None
    if algorithm == "RS256" and isinstance(key, RSAPublicKey) and key.key_size >= _MIN_RSA_BITS:
        return VerificationKey(kid=kid, algorithm=algorithm, key=key)
    if algorithm == "EdDSA" and isinstance(key, Ed25519PublicKey):
        return VerificationKey(kid=kid, algorithm=algorithm, key=key)
    wanted = f"an RSA key of {_MIN_RSA_BITS} bits" if algorithm == "RS256" else "an Ed25519 key"
    raise _refused(kid, f"{algorithm} needs {wanted} or more")


@final
class TokenVerifier:
    """
    Args:
        keys: all that are valid now; to rotate, add the new one, move the issuer, drop the old one.
        leeway_s: at most 60.
    """

    def __init__(
        self,
        keys: Sequence[VerificationKey],
        *,
        issuer: str,
        audience: str,
        leeway_s: float = 30.0,
    ) -> None:
        if not 0 <= leeway_s <= MAX_LEEWAY_S:
            raise ValueError(f"leeway of {leeway_s} s: 0 to {MAX_LEEWAY_S:.0f}")
        self._keys = {key.kid: key for key in keys}
        self._issuer = issuer
        self._audience = audience
        self._leeway_s = leeway_s
        self._signed: OrderedDict[bytes, Claims] = OrderedDict()  # used last at the end

    def verify(self, token: str, now: float) -> Principal:
        """
        Args:
            now: seconds since 1970.

        Raises:
            Unauthenticated: for every reason alike.
        """
        if len(token) > MAX_TOKEN:
            raise Unauthenticated
        # By its hash, so that no comparison tells how much of a guess was right.
        known = sha256(token.encode("utf-8", "surrogatepass")).digest()
        claims = self._signed.get(known)
        if claims is None:
            claims = self._claims(token)
        self._keep(known, claims)
        check_times(claims, now, leeway_s=self._leeway_s)
        return _principal(claims)

    def _claims(self, token: str) -> Claims:
        key = self._chosen(header(token).get("kid"))
        return signed_claims(
            token,
            key=key.key,
            algorithm=key.algorithm,
            issuer=self._issuer,
            audience=self._audience,
            require=REQUIRED,
        )

    def _keep(self, known: bytes, claims: Claims) -> None:
        """A signature that was good stays so; the times are looked at in any case."""
        self._signed[known] = claims
        self._signed.move_to_end(known)
        if len(self._signed) > MOST_KEPT:
            self._signed.popitem(last=False)

    def _chosen(self, kid: object) -> VerificationKey:
        if kid is None and len(self._keys) == 1:
            return next(iter(self._keys.values()))
        if not isinstance(kid, str) or kid not in self._keys:
            raise Unauthenticated
        return self._keys[kid]


def _principal(claims: Claims) -> Principal:
    try:
        role = Role.named(text(claims, "role")) if "role" in claims else Role.VIEWER
    except KeyError:
        raise Unauthenticated from None
    subject = text(claims, "sub")
    tenant = text(claims, "tenant") if "tenant" in claims else subject
    return Principal(subject=subject, tenant=tenant, role=role)


def sign(
    principal: Principal,
    *,
    kid: str,
    algorithm: Algorithm,
    material: bytes,
    issuer: str,
    audience: str,
    now: float,
    lifetime_s: float,
) -> str:
    """A token for `principal`.

    Args:
        material: the secret of HS256, else a private key in PEM without a passphrase.

    Raises:
        ConfigError: the material does not suit the algorithm.
    """
    claims = {
        "sub": principal.subject,
        "tenant": principal.tenant,
        "role": principal.role.label,
        "iss": issuer,
        "aud": audience,
        "iat": int(now),
        "nbf": int(now),
        "exp": int(now + lifetime_s),
    }
    key = _signing_key(kid, algorithm, material)
    return jwt.encode(claims, key, algorithm=algorithm, headers={"kid": kid})


def _signing_key(
    kid: str, algorithm: Algorithm, material: bytes
) -> bytes | RSAPrivateKey | Ed25519PrivateKey:
    if algorithm == "HS256":
        verification_key(kid, algorithm, material)
        return material
    try:
        key = load_pem_private_key(material, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise _refused(kid, f"signing by {algorithm} needs a private key in PEM") from None
    if algorithm == "RS256" and isinstance(key, RSAPrivateKey):
        return key
    if algorithm == "EdDSA" and isinstance(key, Ed25519PrivateKey):
        return key
    raise _refused(kid, f"this is no private key for {algorithm}")


def _refused(kid: str, why: str) -> ConfigError:
    return ConfigError(f"key {kid!r}: {why}")
