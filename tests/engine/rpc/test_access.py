"""Who may call what: every method that is served, by every role."""

import time
from collections.abc import Awaitable, Callable
from typing import Any

import grpc
import pytest
from grpc import aio
from grpc_health.v1 import health_pb2, health_pb2_grpc

from auralink.engine.rpc.access import MATRIX, SERVICE, methods
from auralink.engine.rpc.stubs import aic_compression_pb2 as pb
from auralink.engine.rpc.stubs import aic_compression_pb2_grpc as rpc
from auralink.engine.service.auth.credentials import Authenticator
from auralink.engine.service.auth.matrix import check_complete
from auralink.engine.service.auth.principal import Principal, Role
from auralink.engine.service.auth.tokens import TokenVerifier, sign, verification_key
from auralink.engine.service.errors import ConfigError

from .conftest import Served
from .frames import Instant, each, tiny

Serve = Callable[..., Awaitable[Served]]

SECRET = bytes(range(32))
ISSUER, AUDIENCE = "tests", "aic"
PEOPLE = Authenticator(
    tokens=TokenVerifier(
        [verification_key("main", "HS256", SECRET)], issuer=ISSUER, audience=AUDIENCE
    )
)
# Of every method a request that is good.
REQUESTS: dict[str, Any] = {
    "CompressFrame": tiny(1),
    "CompressStream": tiny(1),
    "DecompressStream": pb.DecompressRequest(session_id="a", frame_type=pb.FRAME_TYPE_VIDEO),
    "GetCompressionHints": pb.CompressionHintRequest(
        session_id="a", metadata=pb.FrameMetadata(sample_rate=48_000)
    ),
    "AnalyzeNetworkConditions": pb.NetworkAnalysisRequest(session_id="a"),
    "HealthCheck": pb.HealthCheckRequest(),
}


def authenticate(*, authorization: str | None, api_key: str | None) -> Principal:
    return PEOPLE.authenticate(authorization=authorization, api_key=api_key, now=time.time())


def token(role: Role, tenant: str = "acme", lifetime_s: float = 60) -> tuple[str, str]:
    principal = Principal(subject="ann", tenant=tenant, role=role)
    text = sign(
        principal,
        kid="main",
        algorithm="HS256",
        material=SECRET,
        issuer=ISSUER,
        audience=AUDIENCE,
        now=time.time(),
        lifetime_s=lifetime_s,
    )
    return "authorization", f"Bearer {text}"


async def outcome(served: Served, name: str, metadata: list[tuple[str, str]]) -> grpc.StatusCode:
    call = getattr(served.stub, name)
    try:
        if name.endswith("Stream"):
            [one async for one in call(each([REQUESTS[name]]), metadata=metadata)]
        else:
            await call(REQUESTS[name], metadata=metadata)
    except aio.AioRpcError as error:
        return error.code()
    return grpc.StatusCode.OK


def test_every_method_has_a_row_and_every_row_a_method() -> None:
    check_complete(MATRIX, methods())
    assert {f"/{SERVICE}/{name}" for name in REQUESTS} == {
        name for name in methods() if name.startswith(f"/{SERVICE}/")
    }


def test_a_method_without_a_row_stops_the_start() -> None:
    with pytest.raises(ConfigError, match="Teleport"):
        check_complete(MATRIX, methods() | {f"/{SERVICE}/Teleport"})


@pytest.mark.parametrize("name", REQUESTS)
async def test_each_role_may_do_what_its_row_says(serve: Serve, name: str) -> None:
    served = await serve(open_stream=Instant, authenticate=authenticate)
    least = MATRIX[f"/{SERVICE}/{name}"].role
    assert least is not None

    assert await outcome(served, name, []) is grpc.StatusCode.UNAUTHENTICATED
    for role in Role:
        allowed = role >= least
        expected = grpc.StatusCode.OK if allowed else grpc.StatusCode.PERMISSION_DENIED
        assert await outcome(served, name, [token(role, tenant=role.label)]) is expected


@pytest.mark.parametrize(
    "metadata",
    [
        [("authorization", "Bearer x.y.z")],
        [("authorization", "Basic dXNlcjpwYXNz")],
        [("authorization", "Bearer " + "a" * 5_000)],
        [("x-api-key", "aic_nobody_" + "A" * 43)],
        [token(Role.ADMIN, lifetime_s=-120)],
        [token(Role.ADMIN), token(Role.VIEWER)],
        [("x-user-id", "admin")],
    ],
)
async def test_bad_credentials_are_all_answered_alike(
    serve: Serve, metadata: list[tuple[str, str]]
) -> None:
    served = await serve(open_stream=Instant, authenticate=authenticate)

    with pytest.raises(aio.AioRpcError) as caught:
        await served.stub.CompressFrame(tiny(1), metadata=metadata)

    assert caught.value.code() is grpc.StatusCode.UNAUTHENTICATED
    assert caught.value.details() == "valid credentials are required"
    assert served.server.streams.count == 0


async def test_probes_need_no_credentials_and_descriptors_do(serve: Serve) -> None:
    served = await serve(authenticate=authenticate)
    health: Any = health_pb2_grpc.HealthStub(served.channel)

    assert (await health.Check(health_pb2.HealthCheckRequest())).status == 1
    reflect = served.channel.stream_stream(
        "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo"
    )
    with pytest.raises(aio.AioRpcError) as caught:
        [one async for one in reflect(each([b""]))]
    assert caught.value.code() is grpc.StatusCode.UNAUTHENTICATED


async def test_tenants_with_the_same_names_have_streams_of_their_own(serve: Serve) -> None:
    served = await serve(open_stream=Instant, authenticate=authenticate)

    for tenant in ("acme", "other"):
        metadata = [token(Role.OPERATOR, tenant=tenant)]
        # The same frame number in the same session: a repeat, were the session the same.
        answer = await served.stub.CompressFrame(tiny(1), metadata=metadata)
        assert answer.status == pb.STATUS_SUCCESS

    assert served.server.streams.count == 2


async def test_a_method_that_nobody_serves_is_unimplemented(serve: Serve) -> None:
    served = await serve(authenticate=authenticate)
    call = served.channel.unary_unary(f"/{SERVICE}/Teleport")

    with pytest.raises(aio.AioRpcError) as caught:
        await call(b"")

    assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED


def test_stubs_of_other_makers_find_the_same_methods() -> None:
    assert {f"/{SERVICE}/{name}" for name in vars(rpc.AICCompressionServiceServicer)} >= {
        name for name in MATRIX if SERVICE in name
    }
