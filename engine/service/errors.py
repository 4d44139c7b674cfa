"""Why the service refuses, by who must act.  HTTP and gRPC each translate these once."""

from auralink.codecs.errors import AuraLinkError


class ConfigError(AuraLinkError):
    """The settings are unusable.  The operator is at fault.

    Messages name keys and where they came from, never values: a value may be a secret that slipped
    into the wrong place.
    """


class StartError(AuraLinkError):
    """The service cannot start on this machine: a port in use, a file that is missing."""


class Unreachable(AuraLinkError):
    """A client's: nobody answers there, or not as an engine does."""


class Refused(AuraLinkError):
    """A client's: the engine said no, and why."""


class ServiceError(AuraLinkError):
    """Base of what a single request may meet."""


class Unauthenticated(ServiceError):
    """No credentials, or none that are valid.  The message is the same for all reasons."""

    def __init__(self) -> None:
        super().__init__("valid credentials are required")


class Forbidden(ServiceError):
    """The caller is known, and may not do this."""


class NotFound(ServiceError):
    """There is no such thing, or it is not the caller's: the two answers are the same."""


class Conflict(ServiceError):
    """The thing is not in a state in which this can be done."""


class Unusable(ServiceError):
    """The request is well formed and makes no sense: a room without a server, an unknown model."""


class NotReady(ServiceError):
    """A part of the engine is not there (yet, or any more).  The same request may work later.

    Attributes:
        part: its name: "records", "jobs", "models".
    """

    def __init__(self, part: str, why: str, *, retry_after_s: float = 1.0) -> None:
        super().__init__(f"{part}: {why}")
        self.part = part
        self.retry_after_s = retry_after_s


class Limited(ServiceError):
    """Too much was asked for.  ``retry_after_s``: when there is room again."""

    def __init__(self, why: str, *, retry_after_s: float = 1.0) -> None:
        super().__init__(why)
        self.retry_after_s = retry_after_s
