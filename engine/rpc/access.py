"""Who may call what: a row for every method, and the interceptor that holds it.

A server with a method that has no row does not start.
"""

import inspect
from collections.abc import AsyncIterator, Awaitable, Callable
from contextvars import ContextVar
from types import MappingProxyType
from typing import Any, Final, Protocol, TypeAlias, final

import grpc
from grpc import aio
from grpc_health.v1 import health_pb2
from grpc_reflection.v1alpha import reflection_pb2

from auralink.engine.rpc.failures import Failure, failure_of
from auralink.engine.rpc.stubs import aic_compression_pb2 as pb
from auralink.engine.service.auth.matrix import (
    PUBLIC,
    Matrix,
    Owned,
    Rule,
    check_complete,
    check_role,
)
from auralink.engine.service.auth.principal import Principal, Role
from auralink.engine.service.errors import ServiceError, Unauthenticated

SERVICE: Final = pb.DESCRIPTOR.services_by_name["AICCompressionService"].full_name
HEALTH: Final = "grpc.health.v1.Health"
REFLECTION: Final = "grpc.reflection.v1alpha.ServerReflection"

_CODE_OURS: Final = Rule(Role.OPERATOR, Owned.BY_TENANT)
_LOOK: Final = Rule(Role.VIEWER)
MATRIX: Final[Matrix] = MappingProxyType(
    {
        f"/{SERVICE}/CompressFrame": _CODE_OURS,
        f"/{SERVICE}/CompressStream": _CODE_OURS,
        f"/{SERVICE}/DecompressStream": _CODE_OURS,
        f"/{SERVICE}/GetCompressionHints": _LOOK,
        f"/{SERVICE}/AnalyzeNetworkConditions": _LOOK,
        f"/{SERVICE}/HealthCheck": _LOOK,
        # Probes come without credentials.
        f"/{HEALTH}/Check": PUBLIC,
        f"/{HEALTH}/Watch": PUBLIC,
        f"/{HEALTH}/List": PUBLIC,
        f"/{REFLECTION}/ServerReflectionInfo": _LOOK,
    }
)

# Everybody is this where no authentication is set up, which is possible on loopback only.
NOBODY: Final = Principal(subject="anonymous", tenant="default", role=Role.ADMIN)

_CREDENTIALS: Final = frozenset({"authorization", "x-api-key"})
# Set for the task that serves a call, read by the same.
_CALLER: Final[ContextVar[Principal]] = ContextVar("caller", default=NOBODY)

# Generic in the type stubs alone.
Handler: TypeAlias = "grpc.RpcMethodHandler[Any, Any]"
MaybeHandler: TypeAlias = "grpc.RpcMethodHandler[Any, Any] | None"


class Authenticate(Protocol):
    def __call__(self, *, authorization: str | None, api_key: str | None) -> Principal:
        """
        Args:
            authorization, api_key: metadata ``authorization`` and ``x-api-key``.

        Raises:
            Unauthenticated: no credentials, or bad ones.
        """
        ...


def methods() -> frozenset[str]:
    """All that this server may serve, from the descriptors."""
    return frozenset(
        f"/{service.full_name}/{method.name}"
        for file in (pb.DESCRIPTOR, health_pb2.DESCRIPTOR, reflection_pb2.DESCRIPTOR)
        for service in file.services_by_name.values()
        for method in service.methods
    )


def caller() -> Principal:
    """Who asked for what this task does."""
    return _CALLER.get()


@final
class Gate(aio.ServerInterceptor):
    """
    Args:
        authenticate: None lets everybody in as `NOBODY`.

    Raises:
        ConfigError: a method has no row in the matrix, or a row has no method.
    """

    def __init__(self, authenticate: Authenticate | None) -> None:
        check_complete(MATRIX, methods())
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
            principal = self._admit(method, handler_call_details, self._authenticate)
        except ServiceError as refused:
            failure = failure_of(refused)
            assert failure is not None
            return _with(handler, _refuse(handler, failure))
        return handler if principal is None else _with(handler, _as(principal, handler))

    def _admit(
        self, method: str, details: grpc.HandlerCallDetails, authenticate: Authenticate
    ) -> Principal | None:
        """None: open to everybody."""
        rule = MATRIX[method]
        if rule.role is None:
            return None
        # Of several entries with a name the last would win: so there may be one.
        sent: dict[str, str] = {}
        for key, value in details.invocation_metadata or ():
            if key in _CREDENTIALS and (key in sent or not isinstance(value, str)):
                raise Unauthenticated
            if isinstance(value, str):
                sent[key] = value
        principal = authenticate(
            authorization=sent.get("authorization"), api_key=sent.get("x-api-key")
        )
        check_role(rule, principal)
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
