"""Webhooks of a LiveKit server: a token that names the hash of the body.

livekit-api has a receiver for them; it decodes the body as text first, compares hashes with ``!=``
and asks the machine's clock.  Here the bytes as they came are hashed, and nothing of them is parsed
before the signature is found good.
"""

import base64
import binascii
import hashlib
import hmac
import json
from dataclasses import dataclass, field
from typing import Any, Final, final

from auralink.engine.service.auth.claims import check_times, signed_claims
from auralink.engine.service.auth.replay import ReplayWindow
from auralink.engine.service.errors import Unauthenticated

_LEEWAY_S: Final = 60.0
# LiveKit signs webhooks for five minutes; with the leeway on both sides.
_SPAN_S: Final = 300.0 + 2 * _LEEWAY_S


@dataclass(frozen=True, slots=True, kw_only=True)
class Webhook:
    """What a server told.

    Attributes:
        event: "room_started", "participant_joined" and so on.
        again: this very message was here before.
    """

    event: str
    id: str
    room: str
    identity: str
    again: bool


@final
@dataclass(slots=True)
class WebhookVerifier:
    """
    Attributes:
        key: the API key, which is the issuer.
    """

    key: str
    secret: bytes = field(repr=False)
    _seen: ReplayWindow = field(default_factory=lambda: ReplayWindow(span_s=_SPAN_S))

    def receive(self, body: bytes, authorization: str | None, now: float) -> Webhook:
        """
        Args:
            authorization: the header, with or without ``Bearer``.
            now: seconds since 1970.

        Raises:
            Unauthenticated: not signed by this server for this body and now, or no webhook.
        """
        token = (authorization or "").removeprefix("Bearer ").strip(" ")
        claims = signed_claims(
            token,
            key=self.secret,
            algorithm="HS256",
            issuer=self.key,
            audience=None,
            require=("iss", "exp", "sha256"),
        )
        check_times(claims, now, leeway_s=_LEEWAY_S)
        if not hmac.compare_digest(_claimed(claims["sha256"]), hashlib.sha256(body).digest()):
            raise Unauthenticated
        told = _parsed(body)
        identifier = _text(told, "id")
        return Webhook(
            event=_text(told, "event"),
            id=identifier,
            room=_text(told.get("room"), "name"),
            identity=_text(told.get("participant"), "identity"),
            again=not self._seen.first(identifier or hashlib.sha256(body).hexdigest(), now),
        )


def _claimed(value: object) -> bytes:
    if not isinstance(value, str):
        raise Unauthenticated
    try:
        return base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError):
        raise Unauthenticated from None


def _parsed(body: bytes) -> dict[str, Any]:
    try:
        told = json.loads(body)
    except (ValueError, RecursionError):
        raise Unauthenticated from None
    if not isinstance(told, dict):
        raise Unauthenticated
    return told


def _text(value: object, name: str) -> str:
    found = value.get(name) if isinstance(value, dict) else None
    return found[:256] if isinstance(found, str) else ""
