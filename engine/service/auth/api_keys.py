"""API keys: ``aic_ID_SECRET``; of the secret only a hash is kept.

The secret has 256 random bits, so a plain SHA-256 is as good as any slow hash: there is nothing to
guess.  The id finds the entry; the comparison of hashes takes the same time for every answer.
"""

import hashlib
import hmac
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, final

from auralink.engine.service.auth.principal import Principal
from auralink.engine.service.errors import Unauthenticated

PREFIX: Final = "aic_"
SECRET_BYTES: Final = 32
_FORM: Final = re.compile(r"aic_([a-z0-9]{4,32})_([0-9a-f]{64})", re.ASCII)
_NOBODY: Final = bytes(32)  # compared with when the id is unknown


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyRecord:
    """
    Attributes:
        digest: SHA-256 of the whole key as it is sent.
    """

    name: str
    digest: bytes
    principal: Principal


def format_key(name: str, secret: bytes) -> str:
    """
    Args:
        name: of the key: 4 to 32 of a-z, 0-9.
        secret: `SECRET_BYTES` random ones.

    Raises:
        ValueError: either is not so.
    """
    key = f"{PREFIX}{name}_{secret.hex()}"
    if len(secret) != SECRET_BYTES or not _FORM.fullmatch(key):
        raise ValueError("a key has a name of 4 to 32 of a-z, 0-9 and 32 secret bytes")
    return key


def digest(key: str) -> bytes:
    return hashlib.sha256(key.encode()).digest()


@final
class KeyRing:
    """The keys that are valid."""

    def __init__(self, records: Sequence[KeyRecord]) -> None:
        self._records = {record.name: record for record in records}

    def verify(self, key: str) -> Principal:
        """
        Raises:
            Unauthenticated: for every reason alike.
        """
        form = _FORM.fullmatch(key)
        if form is None:
            raise Unauthenticated
        record = self._records.get(form[1])
        same = hmac.compare_digest(digest(key), _NOBODY if record is None else record.digest)
        if record is None or not same:
            raise Unauthenticated
        return record.principal
