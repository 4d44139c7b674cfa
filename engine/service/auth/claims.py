"""The claims of a signed token (RFC 7519), checked against a time that is given.

Signature, algorithm, issuer and audience are PyJWT's work.  Times are ours, because PyJWT asks the
machine's clock and takes ``"exp": "1700000000"`` for a number.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any, Final, TypeAlias

import jwt
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from auralink.engine.service.errors import Unauthenticated

Claims: TypeAlias = Mapping[str, Any]
PublicKey: TypeAlias = bytes | RSAPublicKey | Ed25519PublicKey

# A token of ours has some 400 characters, one signed by RSA-4096 some 1,100.  The bound comes
# before any parsing, so that a long one costs nothing.
MAX_TOKEN: Final = 4096
MAX_LEEWAY_S: Final = 60.0
# Nobody means a token for longer than this; a far ``exp`` is a token for ever.
MAX_LIFETIME_S: Final = 366 * 86_400.0


def header(token: str) -> Mapping[str, Any]:
    """The token's header, which nobody has vouched for.

    Raises:
        Unauthenticated: this is no token.
    """
    if len(token) > MAX_TOKEN or not token.isascii():
        raise Unauthenticated
    try:
        return jwt.get_unverified_header(token)
    except (jwt.PyJWTError, ValueError, TypeError, RecursionError):
        raise Unauthenticated from None


def signed_claims(
    token: str,
    *,
    key: PublicKey,
    algorithm: str,
    issuer: str,
    audience: str | None,
    require: Sequence[str],
) -> Claims:
    """The claims, if ``key`` signed them by ``algorithm``; their times are not looked at.

    Raises:
        Unauthenticated: anything is not as it must be.
    """
    if len(token) > MAX_TOKEN or not token.isascii():
        raise Unauthenticated
    checks: dict[str, Any] = {
        "require": list(require),
        "verify_exp": False,
        "verify_nbf": False,
        "verify_iat": False,
        "verify_aud": audience is not None,
    }
    try:
        claims: dict[str, Any] = jwt.decode(
            token,
            key=key,
            algorithms=[algorithm],
            issuer=issuer,
            audience=audience,
            options=checks,  # type: ignore[arg-type]  # a TypedDict with all keys optional
        )
    except (jwt.PyJWTError, ValueError, TypeError, RecursionError):
        raise Unauthenticated from None
    return claims


def check_times(claims: Claims, now: float, *, leeway_s: float) -> None:
    """
    Args:
        now: seconds since 1970.
        leeway_s: how far the issuer's clock may be from ours, at most `MAX_LEEWAY_S`.

    Raises:
        Unauthenticated: expired, not valid yet, for ever, or no numbers.
    """
    expires = _instant(claims, "exp")
    if expires is None or not now - leeway_s < expires <= now + MAX_LIFETIME_S:
        raise Unauthenticated
    for name in ("nbf", "iat"):
        begins = _instant(claims, name)
        if begins is not None and begins > now + leeway_s:
            raise Unauthenticated


def text(claims: Claims, name: str, *, longest: int = 128) -> str:
    """
    Raises:
        Unauthenticated: no text, empty, too long, or with characters that are not printable.
    """
    value = claims.get(name)
    if not isinstance(value, str) or not 0 < len(value) <= longest or not value.isprintable():
        raise Unauthenticated
    return value


def _instant(claims: Claims, name: str) -> float | None:
    if name not in claims:
        return None
    value = claims[name]
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise Unauthenticated
    # An integer of a thousand digits is valid JSON and no float.
    if isinstance(value, int) and value.bit_length() > 62:
        raise Unauthenticated
    if not math.isfinite(value):
        raise Unauthenticated
    return float(value)
