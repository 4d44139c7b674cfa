"""Webhooks: which are believed (docs/rooms.md, scenario 28)."""

import base64
import hashlib
import json
import time
from typing import Any

import jwt
import pytest
from aiohttp import web
from hypothesis import given, settings
from hypothesis import strategies as st

from auralink.engine.room.webhooks import (
    MAX_BYTES,
    WebhookForged,
    WebhookMalformed,
    WebhookRefused,
    WebhookRepeated,
    Webhooks,
    WebhookTooLarge,
)

from .people import member, until
from .server import KEY, SECRET, Server

NOW = 1_800_000_000.0


def body(event_id: str = "EV_1", event: str = "room_started", **fields: Any) -> bytes:
    told = {"id": event_id, "event": event, "createdAt": "1800000000", **fields}
    return json.dumps(told).encode()


def signed(data: bytes, *, key: str = KEY, secret: str = SECRET, ttl_s: float = 300) -> str:
    claims = {
        "iss": key,
        "nbf": NOW,
        "exp": NOW + ttl_s,
        "sha256": base64.b64encode(hashlib.sha256(data).digest()).decode(),
    }
    return jwt.encode(claims, secret, algorithm="HS256")


@pytest.fixture
def hooks() -> Webhooks:
    return Webhooks({KEY: SECRET})


def test_a_good_one_is_taken_once(hooks: Webhooks) -> None:
    data = body(room={"name": "hall"})

    event = hooks.receive(data, signed(data), NOW)

    assert (event.event, event.room.name) == ("room_started", "hall")
    with pytest.raises(WebhookRepeated) as caught:
        hooks.receive(data, f"Bearer {signed(data)}", NOW + 1)
    assert caught.value.status == 200


def test_events_and_fields_of_newer_servers_are_taken(hooks: Webhooks) -> None:
    data = body(event="room_painted", colour="green")

    assert hooks.receive(data, signed(data), NOW).event == "room_painted"


@pytest.mark.parametrize(
    ("authorization", "why"),
    [
        (signed(body("EV_2")), "another body"),
        (signed(body(), secret="another secret that is long enough"), "signature is wrong"),
        (signed(body(), key="other"), "not ours"),
        (signed(body(), ttl_s=-60), "time is over"),
        ("", "signature is wrong"),
        ("nonsense", "signature is wrong"),
        (jwt.encode({"iss": KEY}, SECRET, algorithm="HS256"), "names no time"),
        (jwt.encode({"iss": KEY}, None, algorithm="none"), "signature is wrong"),
    ],
    ids=["body", "secret", "key", "expired", "none", "nonsense", "no time", "unsigned"],
)
def test_a_forged_one_is_refused(hooks: Webhooks, authorization: str, why: str) -> None:
    with pytest.raises(WebhookForged, match=why) as caught:
        hooks.receive(body(), authorization, NOW)

    assert caught.value.status == 401
    hooks.receive(body(), signed(body()), NOW)  # and the true one still comes through


def test_a_huge_one_is_not_looked_at(hooks: Webhooks) -> None:
    with pytest.raises(WebhookTooLarge) as caught:
        hooks.receive(bytes(2 * MAX_BYTES), "", NOW)

    assert caught.value.status == 413


def test_a_signed_body_that_is_no_event_is_named(hooks: Webhooks) -> None:
    for data in (b"{", b"\xff", b'{"event": "room_started"}', b'{"id": []}'):
        with pytest.raises(WebhookMalformed):
            hooks.receive(data, signed(data), NOW)


def test_what_is_remembered_has_a_bound(hooks: Webhooks, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("auralink.engine.room.webhooks._REMEMBERED", 3)
    for number in range(10):
        data = body(f"EV_{number}")
        hooks.receive(data, signed(data), NOW)

    assert len(hooks._seen) == 3


async def test_a_real_server_is_believed(own_server: Server, room: str) -> None:
    hooks = Webhooks({KEY: SECRET})
    told: list[str] = []

    async def receive(request: web.Request) -> web.Response:
        event = hooks.receive(await request.read(), request.headers["Authorization"], time.time())
        told.append(event.event)
        return web.Response()

    app = web.Application()
    app.router.add_post("/hook", receive)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    own_server.stop()
    own_server.webhooks = f"http://127.0.0.1:{runner.addresses[0][1]}/hook"
    own_server.start()
    try:
        async with member(own_server, room, "alice"):
            await until(lambda: "participant_joined" in told, "the event")
    finally:
        await runner.cleanup()

    assert told[0] == "room_started"


@settings(max_examples=40, deadline=None)
@given(st.binary(max_size=200), st.text(max_size=200))
def test_anything_is_an_event_or_refused(data: bytes, authorization: str) -> None:
    hooks = Webhooks({KEY: SECRET})
    with pytest.raises(WebhookRefused):
        hooks.receive(data, authorization, NOW)
    with pytest.raises(WebhookRefused):
        hooks.receive(data, signed(data), NOW)
