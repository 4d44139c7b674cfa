"""Who may call what: every method that is served, by every role."""

import time
from collections.abc import Awaitable, Callable
from typing import Any

import grpc
import pytest
from grpc import aio
from grpc_health.v1 import health_pb2, health_pb2_grpc

from auralink.engine.rpc.access import MATRIX, SERVICE, Visitor, address_of, methods
from auralink.engine.rpc.observing import RpcObserver
from auralink.engine.rpc.stubs import aic_compression_pb2 as pb
from auralink.engine.rpc.stubs import aic_compression_pb2_grpc as rpc
from auralink.engine.service.auth.credentials import Authenticator
from auralink.engine.service.auth.matrix import check_complete
from auralink.engine.service.auth.principal import Principal, Role
from auralink.engine.service.auth.tokens import TokenVerifier, sign, verification_key
from auralink.engine.service.errors import ConfigError, Limited, Unauthenticated
from auralink.engine.telemetry.frame_sums import FrameSums
from auralink.engine.telemetry.metrics import Metrics

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


class TokenDoor:
    """Knows `PEOPLE`; three bad credentials of an address, and five requests, are the most."""

    def __init__(self, *, bad: int = 1000, requests: int = 1000) -> None:
        self._bad, self._requests = bad, requests
        self.addresses: list[str] = []

    async def enter(self, visitor: Visitor) -> Principal:
        try:
            return PEOPLE.authenticate(
                authorization=visitor.authorization, api_key=visitor.api_key, now=time.time()
            )
        except Unauthenticated:
            self.addresses.append(visitor.address)
            if len(self.addresses) > self._bad:
                raise Limited("too many", retry_after_s=60) from None
            raise

    async def count(self, caller: Principal) -> None:
        self._requests -= 1
        if self._requests < 0:
            raise Limited("too many", retry_after_s=60)


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
    served = await serve(open_stream=Instant, door=TokenDoor())
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
    served = await serve(open_stream=Instant, door=TokenDoor())

    with pytest.raises(aio.AioRpcError) as caught:
        await served.stub.CompressFrame(tiny(1), metadata=metadata)

    assert caught.value.code() is grpc.StatusCode.UNAUTHENTICATED
    assert caught.value.details() == "valid credentials are required"
    assert served.server.streams.count == 0


@pytest.mark.parametrize("sent", [[], [token(Role.ADMIN), token(Role.VIEWER)]])
async def test_guessing_is_bounded_by_address(serve: Serve, sent: list[tuple[str, str]]) -> None:
    door = TokenDoor(bad=3)
    served = await serve(open_stream=Instant, door=door)

    codes = [await outcome(served, "HealthCheck", sent) for _ in range(5)]

    assert codes == [grpc.StatusCode.UNAUTHENTICATED] * 3 + [grpc.StatusCode.RESOURCE_EXHAUSTED] * 2
    assert set(door.addresses) == {"127.0.0.1"}


async def test_refused_calls_are_in_the_metrics(serve: Serve) -> None:
    metrics = Metrics(version="1", started=0.0)
    observer = RpcObserver(metrics, FrameSums("engine-1"))
    served = await serve(open_stream=Instant, door=TokenDoor(bad=1), observer=observer)

    await outcome(served, "HealthCheck", [])
    await outcome(served, "CompressStream", [])
    page = metrics.page().body.decode()

    for name, code in (
        ("HealthCheck", "UNAUTHENTICATED"),
        ("CompressStream", "RESOURCE_EXHAUSTED"),
    ):
        series = f'aic_requests_total{{api="grpc",code="{code}",method="{name}"}} 1.0'
        assert series in page
    assert 'aic_errors_total{api="grpc"} 0.0' in page


async def test_requests_are_counted_and_frames_are_not(serve: Serve) -> None:
    served = await serve(open_stream=Instant, door=TokenDoor(requests=2))
    metadata = [token(Role.OPERATOR)]

    hints = [await outcome(served, "GetCompressionHints", metadata) for _ in range(3)]
    for number in range(1, 20):
        await served.stub.CompressFrame(tiny(number), metadata=metadata)

    assert hints == [grpc.StatusCode.OK] * 2 + [grpc.StatusCode.RESOURCE_EXHAUSTED]


@pytest.mark.parametrize(
    ("peer", "address"),
    [
        ("ipv4:10.0.0.1:4711", "10.0.0.1"),
        ("ipv6:%5B::1%5D:4711", "::1"),
        ("ipv6:[fe80::1]:4711", "fe80::1"),
        ("unix:/tmp/socket", "unix:/tmp/socket"),
    ],
)
def test_addresses_have_no_port(peer: str, address: str) -> None:
    assert address_of(peer) == address


async def test_probes_need_no_credentials_and_descriptors_do(serve: Serve) -> None:
    served = await serve(door=TokenDoor())
    health: Any = health_pb2_grpc.HealthStub(served.channel)

    assert (await health.Check(health_pb2.HealthCheckRequest())).status == 1
    reflect = served.channel.stream_stream(
        "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo"
    )
    # Nothing is written: a message on its way when the answer comes is an error of its own.
    assert await reflect().code() is grpc.StatusCode.UNAUTHENTICATED


async def test_tenants_with_the_same_names_have_streams_of_their_own(serve: Serve) -> None:
    served = await serve(open_stream=Instant, door=TokenDoor())

    for tenant in ("acme", "other"):
        metadata = [token(Role.OPERATOR, tenant=tenant)]
        # The same frame number in the same session: a repeat, were the session the same.
        answer = await served.stub.CompressFrame(tiny(1), metadata=metadata)
        assert answer.status == pb.STATUS_SUCCESS

    assert served.server.streams.count == 2


async def test_a_method_that_nobody_serves_is_unimplemented(serve: Serve) -> None:
    served = await serve(door=TokenDoor())
    call = served.channel.unary_unary(f"/{SERVICE}/Teleport")

    with pytest.raises(aio.AioRpcError) as caught:
        await call(b"")

    assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED


def test_stubs_of_other_makers_find_the_same_methods() -> None:
    assert {f"/{SERVICE}/{name}" for name in vars(rpc.AICCompressionServiceServicer)} >= {
        name for name in MATRIX if SERVICE in name
    }
