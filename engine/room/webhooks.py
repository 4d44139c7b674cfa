"""Is this webhook LiveKit's, new, and of now?  Pure: bytes, a header and the time in, an event out.

A webhook is a hint, delivered as well as it goes: whoever acts on it looks at the room as well.
Source: docs.livekit.io "Webhooks & events"; server ``pkg/telemetry``, protocol ``webhook``.
"""

import base64
import binascii
import hashlib
import hmac
from collections import OrderedDict
from collections.abc import Mapping
from typing import Final, final

import jwt
from google.protobuf.json_format import Parse, ParseError
from livekit.protocol import webhook

from auralink.codecs.errors import AuraLinkError

MAX_BYTES: Final = 1 << 20
_SKEW_S: Final = 10  # that clocks may differ by
_REMEMBERED: Final = 10_000  # ids; the server repeats one for 30 s


class WebhookRefused(AuraLinkError):
    """Base class.  ``status``: what HTTP should answer; the sender repeats what is not 2xx."""

    status = 401


class WebhookForged(WebhookRefused):
    """Not signed with a key of ours, or not for this body, or its time is over."""


class WebhookTooLarge(WebhookRefused):
    status = 413


class WebhookMalformed(WebhookRefused):
    """Signed, but no event.  The server is newer than anything known, or broken."""

    status = 400


class WebhookRepeated(WebhookRefused):
    """Taken before: nothing is to be done, and the sender need not repeat it."""

    status = 200


@final
class Webhooks:
    """
    Args:
        keys: secret by API key.
    """

    def __init__(self, keys: Mapping[str, str]) -> None:
        self._keys = dict(keys)
        self._seen: OrderedDict[str, None] = OrderedDict()

    def receive(self, body: bytes, authorization: str, now: float) -> webhook.WebhookEvent:
        """
        Args:
            body: as it came, byte for byte.
            authorization: the header.
            now: seconds of the Unix clock.

        Raises:
            WebhookRefused: do nothing; answer with its status.
        """
        if len(body) > MAX_BYTES:
            raise WebhookTooLarge(f"a webhook of {len(body)} bytes: at most {MAX_BYTES}")
        self._check(body, authorization.removeprefix("Bearer ").strip(), now)
        event = _parse(body)
        if not event.id:
            raise WebhookMalformed("the event has no id")
        if event.id in self._seen:
            raise WebhookRepeated(f"event {event.id} was here before")
        self._seen[event.id] = None
        if len(self._seen) > _REMEMBERED:
            self._seen.popitem(last=False)
        return event

    def _check(self, body: bytes, token: str, now: float) -> None:
        try:
            issuer = jwt.decode(token, options={"verify_signature": False}).get("iss")
            secret = self._keys.get(str(issuer))
            if secret is None:
                raise WebhookForged("signed with a key that is not ours")
            claims = jwt.decode(
                token,
                secret,
                algorithms=["HS256"],
                # Time is an argument here, so the library must not look at its own clock.
                options={"verify_exp": False, "verify_nbf": False, "verify_iat": False},
            )
        except jwt.InvalidTokenError:
            raise WebhookForged("its signature is wrong") from None
        expires, starts = claims.get("exp"), claims.get("nbf", 0)
        if not isinstance(expires, int | float) or not isinstance(starts, int | float):
            raise WebhookForged("its signature names no time")
        if not starts - _SKEW_S <= now <= expires + _SKEW_S:
            raise WebhookForged("its time is over")
        try:
            told = base64.b64decode(str(claims.get("sha256", "")), validate=True)
        except binascii.Error:
            told = b""
        if not hmac.compare_digest(told, hashlib.sha256(body).digest()):
            raise WebhookForged("its signature is for another body")


def _parse(body: bytes) -> webhook.WebhookEvent:
    try:
        event: webhook.WebhookEvent = Parse(
            body.decode(), webhook.WebhookEvent(), ignore_unknown_fields=True
        )
    except (ParseError, UnicodeDecodeError):
        raise WebhookMalformed("the body is no event") from None
    return event
