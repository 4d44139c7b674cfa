"""Credentials: what gets in, and the many ways of not getting in."""

import base64
import hmac
import json
from collections.abc import Callable
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from auralink.engine.service.auth.api_keys import KeyRecord, KeyRing, digest, format_key
from auralink.engine.service.auth.credentials import ANYBODY, Authenticator
from auralink.engine.service.auth.matrix import (
    Owned,
    Rule,
    check_complete,
    check_owner,
    check_role,
)
from auralink.engine.service.auth.principal import Principal, Role
from auralink.engine.service.auth.tokens import MOST_KEPT, TokenVerifier, sign, verification_key
from auralink.engine.service.errors import ConfigError, Forbidden, NotFound, Unauthenticated

NOW = 1_800_000_000.0
ISSUER, AUDIENCE = "https://issuer.example", "auralink-aic"
SECRET = b"a-secret-of-32-bytes-or-some-more"
GOOD: dict[str, Any] = {
    "sub": "ann",
    "tenant": "blue",
    "role": "operator",
    "iss": ISSUER,
    "aud": AUDIENCE,
    "exp": int(NOW) + 600,
}
RSA = rsa.generate_private_key(65537, 2048)
EDDSA = ed25519.Ed25519PrivateKey.generate()


def public(key: Any) -> bytes:
    return key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )


def private(key: Any) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )


VERIFIER = TokenVerifier(
    [
        verification_key("hmac", "HS256", SECRET),
        verification_key("rsa", "RS256", public(RSA)),
        verification_key("ed", "EdDSA", public(EDDSA)),
    ],
    issuer=ISSUER,
    audience=AUDIENCE,
)


def b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def forged(header: Any, claims: Any = GOOD, secret: bytes = SECRET) -> str:
    """A token with any header at all, signed by HMAC as it says or not."""
    body = claims if isinstance(claims, str) else json.dumps(claims)
    head = header if isinstance(header, str) else json.dumps(header)
    signed = f"{b64(head.encode())}.{b64(body.encode())}"
    return f"{signed}.{b64(hmac.digest(secret, signed.encode(), 'sha256'))}"


def hmac_token(**changes: Any) -> str:
    claims = {**GOOD, **changes}
    return forged({"alg": "HS256", "kid": "hmac"}, {k: v for k, v in claims.items() if v != "-"})


@pytest.mark.parametrize(
    ("kid", "algorithm", "material"),
    [("hmac", "HS256", SECRET), ("rsa", "RS256", private(RSA)), ("ed", "EdDSA", private(EDDSA))],
)
def test_a_token_says_who_asks(kid: str, algorithm: Any, material: bytes) -> None:
    ann = Principal(subject="ann", tenant="blue", role=Role.OPERATOR)
    token = sign(
        ann,
        kid=kid,
        algorithm=algorithm,
        material=material,
        issuer=ISSUER,
        audience=AUDIENCE,
        now=NOW,
        lifetime_s=60,
    )

    assert VERIFIER.verify(token, NOW) == ann


def test_a_token_without_a_role_may_only_look() -> None:
    assert VERIFIER.verify(hmac_token(role="-"), NOW).role is Role.VIEWER


def test_a_token_without_a_tenant_is_its_subjects_own() -> None:
    assert VERIFIER.verify(hmac_token(tenant="-"), NOW).tenant == "ann"


def test_clocks_may_differ_by_the_leeway_and_no_more() -> None:
    token = hmac_token(exp=int(NOW) - 29, nbf=int(NOW) + 29)

    assert VERIFIER.verify(token, NOW).subject == "ann"
    with pytest.raises(Unauthenticated):
        VERIFIER.verify(token, NOW + 2)
    with pytest.raises(Unauthenticated):
        VERIFIER.verify(token, NOW - 2)
    with pytest.raises(ValueError, match="leeway"):
        TokenVerifier([], issuer=ISSUER, audience=AUDIENCE, leeway_s=61)


def test_a_token_that_was_good_ends_in_its_time_all_the_same() -> None:
    token = hmac_token(exp=int(NOW) + 60, nbf=int(NOW))
    verifier = TokenVerifier(
        [verification_key("hmac", "HS256", SECRET)], issuer=ISSUER, audience=AUDIENCE
    )

    assert [verifier.verify(token, NOW + later).subject for later in (0, 1, 89)] == ["ann"] * 3
    for later in (91, -31):
        with pytest.raises(Unauthenticated):
            verifier.verify(token, NOW + later)


def test_a_good_token_vouches_for_no_other() -> None:
    token = hmac_token()
    head, body, signature = token.split(".")
    others = [f"{head}.{b64(json.dumps(GOOD | {'role': 'admin'}).encode())}.{signature}"]
    others += [token + "x", token[:-1], f"{head}.{body}.", f" {token}"]
    assert VERIFIER.verify(token, NOW).subject == "ann"

    for other in others:
        with pytest.raises(Unauthenticated):
            VERIFIER.verify(other, NOW)


def test_what_is_kept_of_tokens_has_a_bound() -> None:
    verifier = TokenVerifier(
        [verification_key("hmac", "HS256", SECRET)], issuer=ISSUER, audience=AUDIENCE
    )

    for number in range(MOST_KEPT + 5):
        verifier.verify(hmac_token(sub=f"ann{number}"), NOW)

    assert len(verifier._signed) == MOST_KEPT
    assert verifier.verify(hmac_token(sub="ann0"), NOW).subject == "ann0"


def test_keys_rotate_by_name() -> None:
    old, new = b"o" * 32, b"n" * 32
    both = [verification_key("1", "HS256", old), verification_key("2", "HS256", new)]
    overlap = TokenVerifier(both, issuer=ISSUER, audience=AUDIENCE)
    after = TokenVerifier(both[1:], issuer=ISSUER, audience=AUDIENCE)
    by_old = forged({"alg": "HS256", "kid": "1"}, secret=old)
    by_new = forged({"alg": "HS256", "kid": "2"}, secret=new)

    assert overlap.verify(by_old, NOW) == overlap.verify(by_new, NOW) == after.verify(by_new, NOW)
    with pytest.raises(Unauthenticated):
        after.verify(by_old, NOW)
    with pytest.raises(Unauthenticated):  # which of two keys it was must be said
        overlap.verify(forged({"alg": "HS256"}, secret=new), NOW)


BAD_TOKENS: dict[str, str | Callable[[], str]] = {
    "empty": "",
    "one part": "abc",
    "two parts": "a.b",
    "four parts": f"{hmac_token()}.x",
    "no base64": "!!.??.##",
    "one megabyte": f"{b64(b'x' * 1_000_000)}.a.b",
    "characters beyond ascii": hmac_token() + "é",
    "algorithm none": forged({"alg": "none", "kid": "hmac"}).rpartition(".")[0] + ".",
    "algorithm None": forged({"alg": "None", "kid": "hmac"}).rpartition(".")[0] + ".",
    "none with a signature": forged({"alg": "none", "kid": "hmac"}),
    "hmac by the public rsa key": forged({"alg": "HS256", "kid": "rsa"}, secret=public(RSA)),
    "rsa by name, hmac by work": forged({"alg": "RS256", "kid": "hmac"}, secret=public(RSA)),
    "HS512": forged({"alg": "HS512", "kid": "hmac"}),
    "no algorithm": forged({"kid": "hmac"}),
    "header is a list": forged("[]"),
    "header is deep": forged("[" * 900 + "]" * 900),
    "claims are a list": forged({"alg": "HS256", "kid": "hmac"}, "[1]"),
    "claims are no json": forged({"alg": "HS256", "kid": "hmac"}, "{"),
    "claims are deep": forged({"alg": "HS256", "kid": "hmac"}, "[" * 900 + "]" * 900),
    "kid unknown": forged({"alg": "HS256", "kid": "other"}),
    "kid missing": forged({"alg": "HS256"}),
    "kid is a number": forged({"alg": "HS256", "kid": 1}),
    "kid is null": forged({"alg": "HS256", "kid": None}),
    "kid is not ascii": forged({"alg": "HS256", "kid": "hmac\u0000é"}),
    "kid is a path": forged({"alg": "HS256", "kid": "../../dev/null"}, secret=b""),
    "critical extension": forged({"alg": "HS256", "kid": "hmac", "crit": ["exp"], "exp": 1}),
    "own key in the header": forged(
        {"alg": "HS256", "kid": "hmac", "jwk": {"k": "AA"}}, secret=b"A"
    ),
    "signed by another secret": forged({"alg": "HS256", "kid": "hmac"}, secret=b"x" * 32),
    "signature cut": hmac_token()[:-4],
    "claims changed": hmac_token().replace(hmac_token().split(".")[1], b64(b'{"sub":"eve"}')),
    "no exp": hmac_token(exp="-"),
    "exp is text": hmac_token(exp=str(int(NOW) + 600)),
    "exp is true": hmac_token(exp=True),
    "exp is null": hmac_token(exp=None),
    "exp is huge": hmac_token(exp=10**30),
    "exp is infinite": forged(
        {"alg": "HS256", "kid": "hmac"}, json.dumps({**GOOD, "exp": float("inf")})
    ),
    "exp is not a number": forged(
        {"alg": "HS256", "kid": "hmac"}, json.dumps({**GOOD, "exp": float("nan")})
    ),
    "exp is in ten years": hmac_token(exp=int(NOW) + 10 * 366 * 86_400),
    "expired": hmac_token(exp=int(NOW) - 31),
    "not valid yet": hmac_token(nbf=int(NOW) + 31),
    "nbf is text": hmac_token(nbf="now"),
    "issued in the future": hmac_token(iat=int(NOW) + 3600),
    "other audience": hmac_token(aud="another-service"),
    "no audience": hmac_token(aud="-"),
    "audience is a number": hmac_token(aud=1),
    "other issuer": hmac_token(iss="https://evil.example"),
    "no issuer": hmac_token(iss="-"),
    "issuer is a list": hmac_token(iss=[ISSUER]),
    "no subject": hmac_token(sub="-"),
    "subject is null": hmac_token(sub=None),
    "subject is empty": hmac_token(sub=""),
    "subject is a number": hmac_token(sub=7),
    "subject breaks the line": hmac_token(sub="ann\r\nrole: admin"),
    "subject is long": hmac_token(sub="a" * 129),
    "role unknown": hmac_token(role="root"),
    "role is a list": hmac_token(role=["admin"]),
    "tenant is null": hmac_token(tenant=None),
    "a curve nobody asked for": jwt.encode(
        GOOD, ec.generate_private_key(ec.SECP256R1()), "ES256", headers={"kid": "rsa"}
    ),
}


@pytest.mark.parametrize("name", BAD_TOKENS)
def test_a_bad_token_is_refused_like_every_other(name: str) -> None:
    with pytest.raises(Unauthenticated) as refused:
        VERIFIER.verify(str(BAD_TOKENS[name]), NOW)

    assert str(refused.value) == "valid credentials are required"
    assert refused.value.__cause__ is None


def test_the_refusals_start_from_a_token_that_is_good() -> None:
    assert VERIFIER.verify(hmac_token(), NOW).subject == "ann"


@pytest.mark.parametrize(
    ("algorithm", "material"),
    [
        ("HS256", b"short"),
        ("RS256", b"no pem"),
        ("RS256", public(EDDSA)),
        ("EdDSA", public(RSA)),
        ("RS256", public(rsa.generate_private_key(65537, 1024))),
    ],
)
def test_an_unsuitable_key_is_refused_without_a_word_of_it(algorithm: Any, material: bytes) -> None:
    with pytest.raises(ConfigError, match="'main'") as refused:
        verification_key("main", algorithm, material)

    assert material.decode() not in str(refused.value)


def key_ring() -> tuple[KeyRing, str, Principal]:
    bob = Principal(subject="bob", tenant="blue", role=Role.VIEWER)
    key = format_key("grafana", b"k" * 32)
    return KeyRing([KeyRecord(name="grafana", digest=digest(key), principal=bob)]), key, bob


def test_an_api_key_is_known_by_its_hash() -> None:
    ring, key, bob = key_ring()

    assert ring.verify(key) == bob
    for other in (format_key("grafana", b"x" * 32), format_key("other", b"k" * 32), "", key + "0"):
        with pytest.raises(Unauthenticated):
            ring.verify(other)


def test_credentials_come_as_a_bearer_or_in_a_header_of_their_own() -> None:
    ring, key, bob = key_ring()
    door = Authenticator(tokens=VERIFIER, api_keys=ring)

    def ask(authorization: str | None = None, api_key: str | None = None) -> Principal:
        return door.authenticate(authorization=authorization, api_key=api_key, now=NOW)

    assert ask(f"Bearer {hmac_token()}").subject == "ann"
    assert ask(f"bearer {key}") == ask(api_key=key) == bob
    for authorization, api_key in [
        (None, None),
        ("", None),
        ("Bearer", None),
        ("Basic YTpi", None),
        (hmac_token(), None),
        (f"Bearer {hmac_token()}", key),  # two answers to one question
    ]:
        with pytest.raises(Unauthenticated):
            ask(authorization, api_key)


def test_open_doors_still_refuse_bad_credentials() -> None:
    door = Authenticator(required=False)

    assert door.authenticate(authorization=None, api_key=None, now=NOW) == ANYBODY
    with pytest.raises(Unauthenticated):
        door.authenticate(authorization="Bearer x", api_key=None, now=NOW)


RULE = Rule(Role.OPERATOR, Owned.BY_TENANT)


@pytest.mark.parametrize("role", list(Role))
def test_a_role_may_what_lower_ones_may(role: Role) -> None:
    who = Principal(subject="ann", tenant="blue", role=role)

    if role >= Role.OPERATOR:
        check_role(RULE, who)
    else:
        with pytest.raises(Forbidden, match="needs the role operator"):
            check_role(RULE, who)


@pytest.mark.parametrize("owned", list(Owned))
@pytest.mark.parametrize("tenant", ["blue", "red"])
@pytest.mark.parametrize("role", list(Role))
def test_things_of_others_do_not_exist(owned: Owned, tenant: str, role: Role) -> None:
    who = Principal(subject="ann", tenant=tenant, role=role)
    rule = Rule(Role.VIEWER, owned)

    if owned is Owned.BY_NOBODY or tenant == "blue" or role is Role.ADMIN:
        check_owner(rule, who, "blue", "job 'x'")
    else:
        with pytest.raises(NotFound, match="no such job 'x'"):
            check_owner(rule, who, "blue", "job 'x'")


def test_an_operation_without_a_row_is_a_fault() -> None:
    check_complete({"a": RULE}, ["a"])
    with pytest.raises(ConfigError, match=r"no row for \['b'\]"):
        check_complete({"a": RULE}, ["a", "b"])
    with pytest.raises(ConfigError, match=r"no operation for \['a'\]"):
        check_complete({"a": RULE}, [])
