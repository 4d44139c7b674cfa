"""Which pages may ask from a browser: an exact list, nothing that looks like it."""

from collections.abc import Callable, Collection
from typing import Final, final

from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp

METHODS: Final = ("GET", "POST", "PUT", "PATCH", "DELETE")
HEADERS: Final = ("Authorization", "Content-Type", "X-API-Key", "X-Request-ID", "Last-Event-ID")
_DAY_S: Final = 86_400


@final
class ExactOrigins(CORSMiddleware):
    """
    Args:
        origins: in force now; a reload may change them.
    """

    def __init__(self, app: ASGIApp, origins: Callable[[], Collection[str]]) -> None:
        super().__init__(
            app,
            allow_methods=METHODS,
            allow_headers=HEADERS,
            allow_credentials=True,
            expose_headers=("X-Request-ID", "Retry-After"),
            max_age=_DAY_S,
        )
        self._origins = origins

    def is_allowed_origin(self, origin: str) -> bool:
        return origin in self._origins()
