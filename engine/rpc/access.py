"""Who may call what: a row for every method, and the interceptor that holds it.

A method that is served and has no row is refused, to everybody.
"""

import inspect
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextvars import ContextVar
from types import MappingProxyType
from typing import Any, Final, Protocol, TypeAlias, final

import grpc
from grpc import aio

from auralink.engine.rpc.failures import Failure, failure_of
from auralink.engine.rpc.stubs import aic_compression_pb2 as pb
from auralink.engine.service.auth.principal import Principal, Role
from auralink.engine.service.errors import Forbidden, ServiceError

SERVICE: Final = pb.DESCRIPTOR.services_by_name["AICCompressionService"].full_name
HEALTH: Final = "grpc.health.v1.Health"
REFLECTION: Final = "grpc.reflection.v1alpha.ServerReflection"

PUBLIC: Final = None  # probes come without credentials
ROWS: Final[Mapping[str, Role | None]] = MappingProxyType(
    {
        f"/{SERVICE}/CompressFrame": Role.OPERATOR,
        f"/{SERVICE}/CompressStream": Role.OPERATOR,
        f"/{SERVICE}/DecompressStream": Role.OPERATOR,
        f"/{SERVICE}/GetCompressionHints": Role.VIEWER,
        f"/{SERVICE}/AnalyzeNetworkConditions": Role.VIEWER,
        f"/{SERVICE}/HealthCheck": Role.VIEWER,
        f"/{HEALTH}/Check": PUBLIC,
        f"/{HEALTH}/Watch": PUBLIC,
        f"/{HEALTH}/List": PUBLIC,
        f"/{REFLECTION}/ServerReflectionInfo": Role.VIEWER,
    }
)

# Everybody is this where no authentication is set up, which is possible on loopback only.
NOBODY: Final = Principal(subject="anonymous", tenant="default", role=Role.ADMIN)

# Set for the task that serves a call, read by the same.
_CALLER: Final[ContextVar[Principal]] = ContextVar("caller", default=NOBODY)

# Generic in the type stubs alone.
Handler: TypeAlias = "grpc.RpcMethodHandler[Any, Any]"
MaybeHandler: TypeAlias = "grpc.RpcMethodHandler[Any, Any] | None"


class Authenticate(Protocol):
    def __call__(self, metadata: Mapping[str, str], /) -> Awaitable[Principal]:
        """
        Args:
            metadata: textual entries by lower-case name; of several with a name, the last.

        Raises:
            Unauthenticated: no credentials, or bad ones.
            NotReady: who knows them cannot be asked now.
        """
        ...


def caller() -> Principal:
    """Who asked for what this task does."""
    return _CALLER.get()


@final
class Gate(aio.ServerInterceptor):
    """
    Args:
        authenticate: None lets everybody in as `NOBODY`.
    """

    def __init__(self, authenticate: Authenticate | None) -> None:
        self._authenticate = authenticate

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[MaybeHandler]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> MaybeHandler:
        handler = await continuation(handler_call_details)
        if handler is None or self._authenticate is None:
            return handler
        method = handler_call_details.method
        try:
            principal = await self._admit(method, handler_call_details)
        except ServiceError as refused:
            failure = failure_of(refused)
            assert failure is not None
            return _with(handler, _refuse(handler, failure))
        return _with(handler, _as(principal, handler))

    async def _admit(self, method: str, details: grpc.HandlerCallDetails) -> Principal:
        if method not in ROWS:
            raise Forbidden(f"{method} may not be called: nobody said by whom")
        least = ROWS[method]
        if least is PUBLIC or self._authenticate is None:
            return NOBODY
        pairs = details.invocation_metadata or ()
        metadata = {key: value for key, value in pairs if isinstance(value, str)}
        principal = await self._authenticate(metadata)
        if principal.role < least:
            raise Forbidden(f"{method} is for the role {least.label} and above")
        return principal


def _behaviour(handler: Handler) -> Callable[..., Any]:
    inner = (
        handler.unary_unary or handler.unary_stream or handler.stream_unary or handler.stream_stream
    )
    assert inner is not None
    return inner


def _as(principal: Principal, handler: Handler) -> Callable[..., Any]:
    """The same behaviour, knowing who asks."""
    inner = _behaviour(handler)
    if inspect.isasyncgenfunction(inner):

        async def stream(request: Any, context: Any) -> AsyncIterator[Any]:
            _CALLER.set(principal)
            async for response in inner(request, context):
                yield response

        return stream

    async def call(request: Any, context: Any) -> Any:
        _CALLER.set(principal)
        return await inner(request, context)

    return call


def _refuse(handler: Handler, failure: Failure) -> Callable[..., Any]:
    async def refuse(request: Any, context: Any) -> None:
        await context.abort(failure.code, failure.message, failure.metadata())

    return refuse


def _with(handler: Handler, behaviour: Callable[..., Any]) -> Handler:
    makers: dict[tuple[bool, bool], Callable[..., Handler]] = {
        (False, False): grpc.unary_unary_rpc_method_handler,
        (False, True): grpc.unary_stream_rpc_method_handler,
        (True, False): grpc.stream_unary_rpc_method_handler,
        (True, True): grpc.stream_stream_rpc_method_handler,
    }
    make = makers[handler.request_streaming, handler.response_streaming]
    return make(behaviour, handler.request_deserializer, handler.response_serializer)
