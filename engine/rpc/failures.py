"""Why a call ends: our exceptions as gRPC status codes.

The codes that a caller can meet, and no other: INVALID_ARGUMENT, UNAUTHENTICATED,
PERMISSION_DENIED, NOT_FOUND, ALREADY_EXISTS, OUT_OF_RANGE, RESOURCE_EXHAUSTED,
FAILED_PRECONDITION; from gRPC itself UNIMPLEMENTED, UNAVAILABLE, DEADLINE_EXCEEDED, CANCELLED.
INTERNAL is a bug of ours.
"""

from dataclasses import dataclass, field
from typing import Final

import grpc

from auralink.codecs.errors import AuraLinkError, UnsupportedError
from auralink.engine.rpc.stubs import aic_compression_pb2 as pb
from auralink.engine.service.errors import (
    Forbidden,
    Limited,
    NotFound,
    NotReady,
    Unauthenticated,
)

DETAILS_KEY: Final = "auralink-error-details-bin"
REQUEST_ID_KEY: Final = "x-request-id"


class FieldError(AuraLinkError):
    """A field of the request cannot be used.  The caller is at fault.

    Attributes:
        path: of the field: ``metadata.width``.
    """

    def __init__(self, path: str, why: str) -> None:
        super().__init__(f"{path}: {why}")
        self.path = path


class RepeatedFrame(AuraLinkError):
    """A frame number was taken already."""


class OldFrame(AuraLinkError):
    """A frame number so old that nobody knows whether it was taken."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """How a call ends."""

    code: grpc.StatusCode
    error: pb.ErrorCode
    message: str
    path: str = ""
    retry_after_s: float | None = None
    hints: tuple[str, ...] = field(default=())

    def metadata(self, request_id: str) -> tuple[tuple[str, str | bytes], ...]:
        """Trailing metadata that programs can read."""
        details = pb.ErrorDetails(code=self.error, message=self.message)
        details.detail = "\n".join(self.hints)
        if self.path:
            details.metadata["field"] = self.path
        details.metadata["request_id"] = request_id
        pairs: list[tuple[str, str | bytes]] = [
            (REQUEST_ID_KEY, request_id),
            (DETAILS_KEY, details.SerializeToString()),
        ]
        if self.retry_after_s is not None:
            pairs.append(("retry-after-ms", str(round(self.retry_after_s * 1000))))
        return tuple(pairs)


_CODES: Final[dict[type[Exception], tuple[grpc.StatusCode, pb.ErrorCode]]] = {
    FieldError: (grpc.StatusCode.INVALID_ARGUMENT, pb.ERROR_INVALID_INPUT),
    RepeatedFrame: (grpc.StatusCode.ALREADY_EXISTS, pb.ERROR_INVALID_INPUT),
    OldFrame: (grpc.StatusCode.OUT_OF_RANGE, pb.ERROR_INVALID_INPUT),
    Unauthenticated: (grpc.StatusCode.UNAUTHENTICATED, pb.ERROR_INVALID_INPUT),
    Forbidden: (grpc.StatusCode.PERMISSION_DENIED, pb.ERROR_INVALID_INPUT),
    NotFound: (grpc.StatusCode.NOT_FOUND, pb.ERROR_INVALID_INPUT),
    Limited: (grpc.StatusCode.RESOURCE_EXHAUSTED, pb.ERROR_RESOURCE_EXHAUSTED),
    NotReady: (grpc.StatusCode.FAILED_PRECONDITION, pb.ERROR_MODEL_NOT_LOADED),
    UnsupportedError: (grpc.StatusCode.FAILED_PRECONDITION, pb.ERROR_MODEL_NOT_LOADED),
}


def failure_of(error: AuraLinkError) -> Failure | None:
    """None if the error is nothing that a call may end with."""
    for kind in type(error).__mro__:
        if kind in _CODES:
            code, number = _CODES[kind]
            return Failure(
                code=code,
                error=number,
                message=str(error),
                path=getattr(error, "path", ""),
                retry_after_s=getattr(error, "retry_after_s", None),
                hints=tuple(getattr(error, "__notes__", ())),
            )
    return None
