"""Who may call what: a row for every method, and the interceptor that holds it.

A server with a method that has no row does not start.
"""

import inspect
import secrets
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextvars import ContextVar
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final, Protocol, TypeAlias, final
from urllib.parse import unquote

import grpc
from grpc import aio
from grpc_health.v1 import health_pb2
from grpc_reflection.v1alpha import reflection_pb2

from auralink.engine.rpc.failures import REQUEST_ID_KEY, failure_of
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
from auralink.engine.service.errors import ServiceError
from auralink.engine.service.http.request_ids import accepted

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

# What is no frame is counted by the caller's requests a minute, as HTTP's are.
COUNTED: Final = frozenset(
    f"/{SERVICE}/{name}"
    for name in ("GetCompressionHints", "AnalyzeNetworkConditions", "HealthCheck")
)

# Everybody is this where no authentication is set up, which is possible on loopback only.
NOBODY: Final = Principal(subject="anonymous", tenant="default", role=Role.ADMIN)

_CREDENTIALS: Final = frozenset({"authorization", "x-api-key"})
_NONE: Final = "-"  # a credential that nobody has
# Set for the task that serves a call, read by the same.
_CALLER: Final[ContextVar[Principal]] = ContextVar("caller", default=NOBODY)

# Generic in the type stubs alone.
Handler: TypeAlias = "grpc.RpcMethodHandler[Any, Any]"
MaybeHandler: TypeAlias = "grpc.RpcMethodHandler[Any, Any] | None"


@dataclass(frozen=True, slots=True, kw_only=True)
class Visitor:
    """
    Attributes:
        authorization, api_key: metadata ``authorization`` and ``x-api-key``.
        address: where the connection comes from.
    """

    authorization: str | None
    api_key: str | None
    address: str


class Ended(Protocol):
    """Hears of the end of a call."""

    def __call__(self, method: str, code: grpc.StatusCode, elapsed_s: float, /) -> None: ...


class Door(Protocol):
    async def enter(self, visitor: Visitor) -> Principal:
        """
        Raises:
            Unauthenticated: no credentials, or bad ones.
            Limited: too many bad ones came from there.
        """
        ...

    async def count(self, caller: Principal) -> None:
        """One request that is no frame: frames have bounds of their own.

        Raises:
            Limited: the caller asks too often.
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
        door: None lets everybody in as `NOBODY`.
        ended: hears of calls that were not let in; of others, whoever serves them says it.

    Raises:
        ConfigError: a method has no row in the matrix, or a row has no method.
    """

    def __init__(self, door: Door | None, ended: Ended) -> None:
        check_complete(MATRIX, methods())
        self._door = door
        self._ended = ended
        self._handlers: dict[str, Handler] = {}  # made once per method

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[MaybeHandler]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> MaybeHandler:
        handler = await continuation(handler_call_details)
        if handler is None or self._door is None:
            return handler
        method = handler_call_details.method
        if MATRIX[method].role is None:
            return handler
        guarded = self._handlers.get(method)
        if guarded is None:
            guarded = _with(handler, self._guarded(method, handler, self._door))
            self._handlers[method] = guarded
        return guarded

    def _guarded(self, method: str, handler: Handler, door: Door) -> Callable[..., Any]:
        """The same behaviour, knowing who asks."""
        inner = _behaviour(handler)
        if inspect.isasyncgenfunction(inner):

            async def stream(request: Any, context: Any) -> AsyncIterator[Any]:
                await self._admit(method, door, context)
                async for response in inner(request, context):
                    yield response

            return stream

        async def call(request: Any, context: Any) -> Any:
            await self._admit(method, door, context)
            return await inner(request, context)

        return call

    async def _admit(self, method: str, door: Door, context: Any) -> None:
        """Let the call go on as its caller's, or end it."""
        rule = MATRIX[method]
        began_s = time.monotonic()
        try:
            principal = await door.enter(_visitor(context))
            check_role(rule, principal)
            if method in COUNTED:
                await door.count(principal)
        except ServiceError as refused:
            failure = failure_of(refused)
            assert failure is not None
            name = method.rpartition("/")[2]
            self._ended(name, failure.code, time.monotonic() - began_s)
            told = failure.metadata(request_id_of(context))
            await context.abort(failure.code, failure.message, told)
        else:
            _CALLER.set(principal)


def _visitor(context: Any) -> Visitor:
    """Two credentials of one kind are none: which of them would count is anybody's guess."""
    sent: dict[str, str] = {}
    for key, value in context.invocation_metadata() or ():
        if key in _CREDENTIALS:
            good = key not in sent and isinstance(value, str)
            sent[key] = value if good else _NONE
    return Visitor(
        authorization=sent.get("authorization"),
        api_key=sent.get("x-api-key"),
        address=address_of(context.peer()),
    )


def request_id_of(context: Any) -> str:
    """The caller's, if it is one and there is only one; else ours."""
    sent = [
        value.encode() if isinstance(value, str) else value
        for key, value in context.invocation_metadata() or ()
        if key == REQUEST_ID_KEY
    ]
    return accepted(sent) or secrets.token_hex(8)


def address_of(peer: str) -> str:
    """``ipv4:10.0.0.1:4711`` and ``ipv6:%5B::1%5D:4711`` without kind and port."""
    kind, _, rest = unquote(peer).partition(":")
    if kind not in ("ipv4", "ipv6"):
        return peer
    return rest.rpartition(":")[0].strip("[]")


def _behaviour(handler: Handler) -> Callable[..., Any]:
    inner = (
        handler.unary_unary or handler.unary_stream or handler.stream_unary or handler.stream_stream
    )
    assert inner is not None
    return inner


def _with(handler: Handler, behaviour: Callable[..., Any]) -> Handler:
    makers: dict[tuple[bool, bool], Callable[..., Handler]] = {
        (False, False): grpc.unary_unary_rpc_method_handler,
        (False, True): grpc.unary_stream_rpc_method_handler,
        (True, False): grpc.stream_unary_rpc_method_handler,
        (True, True): grpc.stream_stream_rpc_method_handler,
    }
    make = makers[handler.request_streaming, handler.response_streaming]
    return make(behaviour, handler.request_deserializer, handler.response_serializer)
