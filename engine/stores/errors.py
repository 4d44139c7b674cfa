"""What can go wrong with a store, by who must act."""

from auralink.codecs.errors import AuraLinkError


class StoreError(AuraLinkError):
    """Base class.  ``retry``: the same request may work later."""

    retry = False


class StoreAway(StoreError):
    """The store cannot be reached, or gave no answer in time.  Calls go on; ask again later.

    ``retry_after_s`` is what a client may be told.
    """

    retry = True

    def __init__(self, message: str, *, retry_after_s: float = 1.0) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class StoreRefused(StoreError):
    """The store answered no: wrong credentials, no rights, a full disk.  The operator must act."""


class SchemaOutdated(StoreError):
    """The database has another schema than this version needs.  Run ``auralink migrate``."""
