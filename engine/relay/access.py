"""How a bot gets into a room: a server address, and a token or the means to make one."""

import datetime
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from livekit.api import AccessToken, VideoGrants

from auralink.codecs.errors import InputError
from auralink.engine.room.endpoints import check_server

# Long enough to join; the server sends fresh tokens to those who stay.
_LIFETIME: Final = datetime.timedelta(hours=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """
    Attributes:
        token: used as it is; otherwise one is made with key and secret.
    """

    url: str
    token: str = field(default="", repr=False)
    key: str = field(default="", repr=False)
    secret: str = field(default="", repr=False)

    @property
    def makes_tokens(self) -> bool:
        """Whether as many tokens as are wanted can be made here."""
        return bool(self.key and self.secret) and not self.token

    def token_for(self, room: str, identity: str, *, publishes: bool) -> str:
        """
        Raises:
            InputError: neither a token nor key and secret.
        """
        if self.token:
            return self.token
        if not (self.key and self.secret):
            error = InputError(f"no way into room {room!r}: neither a token nor key and secret")
            error.add_note("set LIVEKIT_API_KEY and LIVEKIT_API_SECRET, or LIVEKIT_TOKEN")
            raise error
        grants = VideoGrants(room_join=True, room=room, can_publish=publishes, can_subscribe=True)
        grants.can_publish_data = True
        signed = (
            AccessToken(self.key, self.secret)
            .with_identity(identity)
            .with_kind("agent")
            .with_grants(grants)
            .with_ttl(_LIFETIME)
        )
        return str(signed.to_jwt())

    def agent_token(self) -> str:
        """To register as a worker.

        Raises:
            InputError: no key and secret.
        """
        if not (self.key and self.secret):
            error = InputError("a worker needs key and secret: it makes tokens for its bots")
            error.add_note("set LIVEKIT_API_KEY and LIVEKIT_API_SECRET")
            raise error
        signed = (
            AccessToken(self.key, self.secret)
            .with_grants(VideoGrants(agent=True))
            .with_ttl(_LIFETIME)
        )
        return str(signed.to_jwt())


def from_environment(
    environment: Mapping[str, str], *, url: str | None = None, prefix: str = "LIVEKIT"
) -> Access:
    """
    Args:
        url: instead of ``<prefix>_URL``.

    Raises:
        InputError: no address, or none that can be one.
    """
    address = url or environment.get(f"{prefix}_URL", "")
    if not address:
        error = InputError("no LiveKit server named")
        error.add_note(f"give --url ws://HOST:7880 or wss://HOST, or set {prefix}_URL")
        raise error
    check_server(address)
    return Access(
        url=address,
        token=environment.get(f"{prefix}_TOKEN", ""),
        key=environment.get(f"{prefix}_API_KEY", ""),
        secret=environment.get(f"{prefix}_API_SECRET", ""),
    )
