"""Slow, oversized and malformed requests: what a library never sends and an attacker does."""

import asyncio
import gzip
import io
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import pytest
import pytest_asyncio

from .services import API, Service, Wanted, service_in, token_of, until
from .wire import wire

pytestmark = pytest.mark.asyncio(loop_scope="module")

HURRIED = {
    "AURALINK_HTTP__RECEIVE_S": "0.5",
    "AURALINK_HTTP__IDLE_S": "1",
    "AURALINK_HTTP__CONNECTIONS": "20",
    "CORS_ORIGINS": "https://console.example,http://localhost:3000",
}
HEAD = b"GET /liveness HTTP/1.1\r\nHost: engine\r\n"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def hurried(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Service]:
    async with service_in(tmp_path_factory.mktemp("hurried"), Wanted(settings=HURRIED)) as found:
        yield found


async def alive(service: Service) -> bool:
    return (await service.ask("GET", "/liveness", token=None)).status == 200


async def trickle(service: Service, start: bytes, drop: bytes) -> tuple[int, bytes]:
    """Send a start, then a drop again and again until the other side has enough."""
    async with wire(service.port) as line:
        await line.send(start)
        answer = asyncio.ensure_future(line.answer())
        while not answer.done():
            await asyncio.wait([answer], timeout=0.05)
            try:
                await line.send(drop)
            except ConnectionError:
                break
        return await answer


@pytest.mark.parametrize(
    ("start", "drop"),
    [
        (b"", b""),
        (b"GET", b"E"),
        (HEAD, b"x-a: b\r\n"),
        (HEAD + b"x-a: ", b"b"),
        (
            b"POST "
            + API.encode()
            + b"/config HTTP/1.1\r\nHost: e\r\nContent-Length: 100\r\n\r\n{",
            b" ",
        ),
        (b"POST /api/v1/livekit/webhook HTTP/1.1\r\nHost: e\r\nContent-Length: 100\r\n\r\n{", b" "),
        (
            b"POST /api/v1/livekit/webhook HTTP/1.1\r\nHost: e\r\n"
            b"Transfer-Encoding: chunked\r\n\r\n",
            b"1\r\nx\r\n",
        ),
    ],
)
async def test_a_request_that_trickles_in_is_ended(
    hurried: Service, start: bytes, drop: bytes
) -> None:
    status, _ = await trickle(hurried, start, drop)

    # An unknown caller is refused before its body.  0: our last drop crossed the answer.
    assert status in (401, 408, 0)
    assert await alive(hurried)


async def test_a_second_request_on_a_connection_has_its_deadline_too(hurried: Service) -> None:
    async with wire(hurried.port) as line:
        await line.send(HEAD + b"\r\n")
        assert b"alive" in await line.reader.readuntil(b"}")
        await line.send(HEAD)
        status, _ = await line.answer()

    assert status == 408


async def test_a_connection_without_requests_is_closed(hurried: Service) -> None:
    async with wire(hurried.port) as line:
        await line.send(HEAD + b"\r\n")
        assert b"alive" in await line.reader.readuntil(b"}")

        assert await line.reader.read(-1) == b""


async def test_pipelined_requests_are_all_answered(hurried: Service) -> None:
    async with wire(hurried.port) as line:
        await line.send((HEAD + b"\r\n") * 3 + HEAD + b"Connection: close\r\n\r\n")
        _, data = await line.answer()

    assert data.count(b"HTTP/1.1 200") == 4


async def test_a_flood_of_idle_connections_leaves_room_for_probes(hurried: Service) -> None:
    async with AsyncExitStack() as stack:
        lines = [await stack.enter_async_context(wire(hurried.port)) for _ in range(60)]
        for line in lines[::2]:
            await line.send(HEAD)

        assert await alive(hurried)


@pytest.mark.parametrize(
    "head",
    [
        HEAD + b"x-long: " + b"a" * 20_000 + b"\r\n\r\n",
        HEAD + b"x-a: b\r\n" * 3000 + b"\r\n",
        b"GET /" + b"a" * 20_000 + b" HTTP/1.1\r\nHost: e\r\n\r\n",
    ],
)
async def test_a_head_that_is_too_large_is_refused(hurried: Service, head: bytes) -> None:
    async with wire(hurried.port) as line:
        await line.send(head)
        status, _ = await line.answer()

    assert status == 431
    assert await alive(hurried)


@pytest.mark.parametrize(
    "request_bytes",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"GET / HTTP/1.1\r\n\r\n",
        b"GET / HTTP/9.9\r\nHost: e\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: e\r\nContent-Length: -1\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: e\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: e\r\nContent-Length: 5\r\nTransfer-Encoding: x\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: e\r\nx y: z\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: e\r\nx: \x00\r\n\r\n",
        b"GET /\x80 HTTP/1.1\r\nHost: e\r\n\r\n",
    ],
)
async def test_what_is_no_http_is_refused(hurried: Service, request_bytes: bytes) -> None:
    async with wire(hurried.port) as line:
        await line.send(request_bytes)
        status, _ = await line.answer()

    assert status in (400, 408, 501, 505)
    assert await alive(hurried)


async def test_a_large_body_is_refused_before_it_is_read(service: Service) -> None:
    head = (
        f"POST {API}/config HTTP/1.1\r\nHost: e\r\nAuthorization: Bearer {token_of()}\r\n"
        f"Content-Length: {64 << 20}\r\n\r\n"
    )
    async with wire(service.port) as line:
        await line.send(head.encode())
        status, data = await line.answer()

    assert status == 413
    assert b"application/problem+json" in data
    assert b"connection: close" in data.lower()


async def test_a_large_body_without_a_length_is_refused_when_it_is_too_long(
    service: Service,
) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(64):
            yield b" " * (1 << 20)

    try:
        answer = await service.ask(
            "POST",
            f"{API}/config",
            data=chunks(),
            headers={"Content-Type": "application/json"},
        )
    except OSError:
        return  # refused while we still sent: the answer is lost with the connection
    assert answer.status == 413


async def test_a_body_of_the_largest_size_is_read(service: Service) -> None:
    largest = b'{"mode": "adaptive"}'.ljust(1 << 20)
    answer = await service.ask(
        "POST",
        f"{API}/config",
        data=io.BytesIO(largest),
        headers={"Content-Type": "application/json"},
    )
    larger = await service.ask(
        "POST",
        f"{API}/config",
        data=io.BytesIO(largest + b" "),
        headers={"Content-Type": "application/json"},
    )

    assert (answer.status, larger.status) == (200, 413)
    assert larger.problem["hint"] == "send less"


async def test_compressed_bodies_are_not_taken(service: Service) -> None:
    bomb = gzip.compress(b" " * (8 << 20))
    answer = await service.ask(
        "POST",
        f"{API}/config",
        data=bomb,
        headers={"Content-Type": "application/json", "Content-Encoding": "gzip"},
    )

    assert answer.status == 415


@pytest.mark.parametrize("depth", [500, 100_000])
async def test_deep_json_is_refused_and_nobody_falls(service: Service, depth: int) -> None:
    for opening, closing in ((b"[", b"]"), (b'{"a":', b"}")):
        body = opening * depth + b"1" + closing * depth
        answer = await service.ask(
            "POST", f"{API}/config", data=body, headers={"Content-Type": "application/json"}
        )
        assert answer.status in (400, 413, 422)


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        ("abc-DEF_1.2", True),
        ("a" * 64, True),
        ("a" * 65, False),
        ("", False),
        ("a b", False),
        ("a;b", False),
        ("<script>", False),
        ("../../etc", False),
        ("ä", False),
        ("x" * 10_000, False),
    ],
)
async def test_a_request_id_is_kept_if_it_is_one(service: Service, sent: str, kept: bool) -> None:
    answer = await service.ask("GET", "/liveness", token=None, headers={"X-Request-ID": sent})

    found = answer.response.headers["X-Request-ID"]
    assert (found == sent) is kept
    assert found.isascii()
    assert 0 < len(found) <= 64


async def test_a_request_id_cannot_break_out_of_its_line(service: Service) -> None:
    for sneaky in (b"a\r\n b: c", b"a\x00b", b"a\x0bSet-Cookie: b", b"a%0d%0aSet-Cookie:%20b"):
        async with wire(service.port) as line:
            await line.send(HEAD + b"X-Request-ID: " + sneaky + b"\r\nConnection: close\r\n\r\n")
            status, data = await line.answer()

        assert status in (200, 400)
        assert b"Set-Cookie" not in data
        assert sneaky not in data


async def test_two_request_ids_are_none(service: Service) -> None:
    headers = [("X-Request-ID", "one"), ("X-Request-ID", "two")]
    async with service.client.get(service.url + "/liveness", headers=headers) as response:
        assert response.headers.getall("X-Request-ID") not in (["one"], ["two"])
        assert len(response.headers.getall("X-Request-ID")) == 1


GOOD_ORIGIN = "https://console.example"


@pytest.mark.parametrize(
    "origin",
    [
        "null",
        "",
        "*",
        "https://console.example.evil.example",
        "https://evilconsole.example",
        "https://evil.example/https://console.example",
        "https://console.example:444",
        "https://console.example/",
        "http://console.example",
        "https://CONSOLE.EXAMPLE",
        "https://console.example ",
        "https://console.example%00.evil.example",
        "https://console.example@evil.example",
        "https://sub.console.example",
        "https://console-example",
        "https://consolexexample",
        "console.example",
        "file://",
        "http://localhost:3001",
        "http://localhost",
        "http://127.0.0.1:3000",
    ],
)
async def test_an_origin_that_is_not_on_the_list_gets_no_word(
    hurried: Service, origin: str
) -> None:
    simple = await hurried.ask("GET", "/health", token=None, headers={"Origin": origin})
    asked = await hurried.ask(
        "OPTIONS",
        f"{API}/config",
        token=None,
        headers={"Origin": origin, "Access-Control-Request-Method": "POST"},
    )

    trimmed = origin.strip() == GOOD_ORIGIN  # what HTTP itself does to a header
    for answer in (simple, asked):
        found = answer.response.headers.get("Access-Control-Allow-Origin")
        assert found == (GOOD_ORIGIN if trimmed else None)


async def test_an_origin_on_the_list_may_ask_with_credentials(hurried: Service) -> None:
    headers = {
        "Origin": GOOD_ORIGIN,
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "authorization,content-type",
    }
    asked = await hurried.ask("OPTIONS", f"{API}/config", token=None, headers=headers)
    refused = await hurried.ask("GET", f"{API}/config", token=None, headers=headers)

    found = asked.response.headers
    assert asked.status == 200
    assert found["Access-Control-Allow-Origin"] == GOOD_ORIGIN
    assert found["Access-Control-Allow-Credentials"] == "true"
    assert found["Access-Control-Max-Age"] == "86400"
    assert "Origin" in found["Vary"]
    assert refused.status == 401
    assert refused.response.headers["Access-Control-Allow-Origin"] == GOOD_ORIGIN


async def test_every_answer_says_that_it_is_nobodys_to_keep_or_to_guess_at(
    service: Service,
) -> None:
    for path in ("/", "/liveness", f"{API}/config", "/no/such"):
        headers = (await service.ask("GET", path)).response.headers
        assert headers["Cache-Control"] == "no-store"
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert "Server" not in headers


async def test_a_client_that_leaves_in_the_middle_leaves_nothing_behind(service: Service) -> None:
    listeners = service.context.jobs.get().here.events
    for _ in range(5):
        async with wire(service.port) as line:
            head = f"GET {API}/events HTTP/1.1\r\nHost: e\r\nAuthorization: Bearer {token_of()}"
            await line.send(head.encode() + b"\r\n\r\n")
            await line.reader.readuntil(b"retry")

    await until(lambda: listeners.listeners == 0)


async def test_unknown_paths_and_methods_are_problems(service: Service) -> None:
    path = await service.ask("GET", "/api/v1/aic/nothing")
    method = await service.ask("PUT", f"{API}/config")
    slash = await service.ask("GET", f"{API}/config/")

    assert (path.status, path.problem["title"]) == (404, "Not Found")
    assert (method.status, method.problem["title"]) == (405, "Method Not Allowed")
    assert set(method.response.headers["Allow"].split(", ")) <= {"GET", "POST"}
    assert slash.status == 404
