"""The shell of every method: bytes that are no message, our errors as codes, other errors logged.

A handler is a coroutine function of plain arguments that raises our exceptions; what it is wrapped
in here knows gRPC.
"""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Final, Generic, TypeAlias, TypeVar

import grpc
from google.protobuf.message import DecodeError, Message
from grpc import aio

from auralink.codecs.errors import AuraLinkError
from auralink.engine.rpc.access import SERVICE, Ended, Handler, caller, request_id_of
from auralink.engine.rpc.failures import Failure, FieldError, failure_of
from auralink.engine.rpc.stubs import aic_compression_pb2 as pb
from auralink.engine.service.auth.principal import Principal
from auralink.engine.telemetry.logs import context as log_context
from auralink.engine.telemetry.tracing import NoTracer, Tracer

log = logging.getLogger(__name__)

Context: TypeAlias = "aio.ServicerContext[Any, Any]"  # generic in the type stubs alone
Q = TypeVar("Q", bound=Message)
R = TypeVar("R", bound=Message)

_ABORT_S: Final = 1.0
_FRAMES: Final = frozenset({"CompressFrame"})  # a span of each would be more than the frame
_BUG: Final = Failure(
    code=grpc.StatusCode.INTERNAL, error=pb.ERROR_UNKNOWN, message="internal error"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Malformed:
    """Bytes that are no message of the method.

    A deserializer that raises would end the call with UNKNOWN, which blames the server.
    """

    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """What a handler may know of its call.

    Attributes:
        remaining_s: of the client's deadline, None if it set none.
    """

    principal: Principal
    remaining_s: Callable[[], float | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Unary(Generic[Q, R]):
    name: str
    request: type[Q]
    handler: Callable[[Q, Call], Awaitable[R]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Bidirectional(Generic[Q, R]):
    """The handler returns when all responses are written."""

    name: str
    request: type[Q]
    handler: Callable[[AsyncIterator[Q], Callable[[R], Awaitable[None]], Call], Awaitable[None]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Watch:
    """Who hears of a call: when it ended, and as a span."""

    ended: Ended
    tracer: Tracer


def handlers(
    methods: list[Unary[Any, Any] | Bidirectional[Any, Any]], ended: Ended, tracer: Tracer
) -> grpc.GenericRpcHandler:
    """The service, as a server takes it."""
    made: dict[str, Handler] = {}
    for method in methods:
        watch = Watch(ended=ended, tracer=NoTracer() if method.name in _FRAMES else tracer)
        parse = _parser(method.request)
        if isinstance(method, Unary):
            made[method.name] = grpc.unary_unary_rpc_method_handler(
                _unary(method, watch), parse, _serialize
            )
        else:
            made[method.name] = grpc.stream_stream_rpc_method_handler(
                _bidirectional(method, watch), parse, _serialize
            )
    return grpc.method_handlers_generic_handler(SERVICE, made)


def _unary(method: Unary[Any, Any], watch: Watch) -> Any:
    async def behaviour(request: Any, context: Context) -> Any:
        async def handle() -> Any:
            _check(request)
            return await method.handler(request, _call(context))

        return await _guarded(method.name, handle, context, watch)

    return behaviour


def _bidirectional(method: Bidirectional[Any, Any], watch: Watch) -> Any:
    async def behaviour(requests: Any, context: Context) -> None:
        async def checked() -> AsyncIterator[Any]:
            async for request in requests:
                _check(request)
                yield request

        async def handle() -> None:
            await method.handler(checked(), context.write, _call(context))

        await _guarded(method.name, handle, context, watch)

    return behaviour


async def _guarded(
    name: str,
    handle: Callable[[], Awaitable[Any]],
    context: Context,
    watch: Watch,
) -> Any:
    started_s = time.monotonic()
    code = grpc.StatusCode.CANCELLED
    with watch.tracer.span(f"{SERVICE}/{name}", parent=_parent(context)) as span:
        try:
            response = await handle()
            code = grpc.StatusCode.OK
            return response
        except Exception as error:
            request_id = request_id_of(context)
            with log_context(request=request_id):
                failure = _failure(name, error)
            code = failure.code
        finally:
            span.tell(**{"rpc.grpc.status_code": code.name})
            watch.ended(name, code, time.monotonic() - started_s)
    return await _abort(context, failure, request_id)


def _parent(context: Context) -> str | None:
    """The caller's own trace, if it says one."""
    sent = [value for key, value in context.invocation_metadata() or () if key == "traceparent"]
    return sent[0] if len(sent) == 1 and isinstance(sent[0], str) else None


async def _abort(context: Context, failure: Failure, request_id: str) -> None:
    """End the call.  The status waits behind what the client has not read: do not wait for it."""
    try:
        async with asyncio.timeout(_ABORT_S):
            await context.abort(failure.code, failure.message, failure.metadata(request_id))
    except TimeoutError:
        log.info("a client does not read its status")


def _failure(name: str, error: Exception) -> Failure:
    """Of several the first that a call may end with."""
    errors = error.exceptions if isinstance(error, ExceptionGroup) else (error,)
    for one in errors:
        failure = failure_of(one) if isinstance(one, AuraLinkError) else None
        if failure is not None:
            return failure
    log.error("%s failed", name, exc_info=error)
    return _BUG


def _call(context: Context) -> Call:
    return Call(principal=caller(), remaining_s=context.time_remaining)


def _check(request: Message | Malformed) -> None:
    if isinstance(request, Malformed):
        raise FieldError("request", f"these bytes are no {request.name}")


def _parser(kind: type[Message]) -> Callable[[bytes], Message | Malformed]:
    malformed = Malformed(name=kind.DESCRIPTOR.name)

    def parse(data: bytes) -> Message | Malformed:
        try:
            return kind.FromString(data)
        except DecodeError:
            return malformed

    return parse


def _serialize(message: Message) -> bytes:
    return message.SerializeToString()
