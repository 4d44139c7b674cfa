"""From what a caller sent to who it is; the same for HTTP headers and gRPC metadata."""

from dataclasses import dataclass, field
from typing import Final, final

from auralink.engine.service.auth.api_keys import PREFIX, KeyRing
from auralink.engine.service.auth.principal import Principal, Role
from auralink.engine.service.auth.tokens import TokenVerifier
from auralink.engine.service.errors import Unauthenticated

# What everybody is where the operator switched authentication off (loopback only).
ANYBODY: Final = Principal(subject="anybody", tenant="anybody", role=Role.ADMIN)


@final
@dataclass(frozen=True, slots=True)
class Authenticator:
    """
    Attributes:
        tokens: None: no bearer tokens are taken.
        required: False: whoever sends nothing is `ANYBODY`; bad credentials are refused even so.
    """

    tokens: TokenVerifier | None = None
    api_keys: KeyRing = field(default_factory=lambda: KeyRing(()))
    required: bool = True

    def authenticate(
        self, *, authorization: str | None, api_key: str | None, now: float
    ) -> Principal:
        """
        Args:
            authorization: the header: ``Bearer`` and a token or an API key.
            api_key: the header ``X-API-Key``.
            now: seconds since 1970.

        Raises:
            Unauthenticated: for every reason alike.
        """
        if authorization is not None:
            scheme, _, credentials = authorization.partition(" ")
            if scheme.lower() != "bearer" or not credentials or api_key is not None:
                raise Unauthenticated
            return self._bearer(credentials.strip(" "), now)
        if api_key is not None:
            return self.api_keys.verify(api_key)
        if self.required:
            raise Unauthenticated
        return ANYBODY

    def _bearer(self, credentials: str, now: float) -> Principal:
        if credentials.startswith(PREFIX):
            return self.api_keys.verify(credentials)
        if self.tokens is None:
            raise Unauthenticated
        return self.tokens.verify(credentials, now)
