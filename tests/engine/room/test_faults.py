"""What a server can do wrong, a mode of the fake server each (docs/rooms.md, scenarios 1 to 6)."""

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncIterator

import pytest
from aiortc import RTCPeerConnection
from livekit.protocol import models, rtc

from auralink.engine.relay.bots import Bot, Crew, Duty
from auralink.engine.relay.options import RelayOptions
from auralink.engine.relay.uplink import Uplink
from auralink.engine.room.errors import (
    AccessRefused,
    Duplicate,
    GrantMissing,
    RoomEnded,
    RoomError,
    RoomMissing,
    ServerTooOld,
    TokenExpired,
)
from auralink.engine.room.livekit_room import LiveKitRoom
from auralink.engine.room.roster import ParticipantLeft, TrackAdded, TrackRemoved
from auralink.engine.room.session import State
from auralink.engine.room.signal import classify

from .fake_server import FakeServer, Mode, mock_token
from .people import Witness, until
from .server import SECRET

Leave = rtc.LeaveRequest.Action
Reason = models.DisconnectReason


@pytest.fixture
async def server() -> AsyncIterator[FakeServer]:
    async with FakeServer().running() as server:
        yield server


@contextlib.asynccontextmanager
async def bot(server: FakeServer, token: str) -> AsyncIterator[tuple[LiveKitRoom, Witness]]:
    witness = Witness()
    one = LiveKitRoom(server.url, token, witness, version="0")
    task = asyncio.create_task(one.run())
    try:
        yield one, witness
    finally:
        one.leave()
        async with asyncio.timeout(20):
            await task


async def connected(one: LiveKitRoom) -> RTCPeerConnection:
    await until(lambda: one.peer is not None and one.peer.path.usable.is_set(), "media connects")
    assert one.peer is not None
    return one.peer.path.connection


# -- 1, 2: what refuses to let us in --------------------------------------------------------------


@pytest.mark.parametrize(
    ("mode", "error", "tries"),
    [
        (Mode.VALIDATE_SERVICE_NOT_FOUND, ServerTooOld, 2),  # the older protocol is tried, once
        (Mode.ROOM_NOT_FOUND, RoomMissing, 1),
    ],
)
async def test_a_refusal_that_stays_one_is_named_and_not_tried_again(
    server: FakeServer, mode: Mode, error: type[RoomError], tries: int
) -> None:
    async with bot(server, mock_token(mode)) as (one, saw):
        await until(lambda: saw.ends, "the end")

    assert type(saw.ends[0]) is error
    assert (one.signal.session.counts.connects, server.validations) == (tries, 1)


async def test_a_server_error_is_tried_again_with_growing_pauses(server: FakeServer) -> None:
    async with bot(server, mock_token(Mode.VALIDATE_500)) as (one, saw):
        counts = one.signal.session.counts
        await until(lambda: counts.connects >= 4, "several tries")
        assert not saw.ends
        assert one.signal.session._tries >= 3

    assert saw.ends == [None]


async def test_no_token_gets_into_a_log_or_an_error(
    server: FakeServer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    bad = mock_token(Mode.HAPPY, secret="another secret that is long enough")
    good = mock_token(Mode.DROP_WHEN_CONNECTED)
    async with bot(server, bad) as (_, saw):
        await until(lambda: saw.ends, "the end")
    async with bot(server, good) as (one, _):
        await until(lambda: one.signal.session.counts.resumes, "a resume")

    assert type(saw.ends[0]) is AccessRefused
    told = caplog.text + str(saw.ends[0]) + repr(one.signal.session)
    for token in (bad, good):
        assert token.split(".")[2] not in told
    assert SECRET not in told


@pytest.mark.parametrize(
    ("body", "error"),
    [  # as livekit-server 1.13.5 says it
        ("invalid token: eyJ.eyJ.x, error: token signature is invalid", AccessRefused),
        (
            "invalid token: eyJ.eyJ.x, error: token has invalid claims: token is expired",
            TokenExpired,
        ),
        ("permissions denied", GrantMissing),
        ("invalid API key: other", AccessRefused),
        ("invalid authorization token", AccessRefused),
    ],
)
def test_refused_tokens_are_told_apart_and_not_quoted(body: str, error: type[RoomError]) -> None:
    found = classify(401, body)

    assert type(found) is error
    assert not found.retry
    assert "eyJ" not in str(found)


# -- 3: what says nothing, or the wrong thing, first ----------------------------------------------


@pytest.mark.parametrize(
    "mode", [Mode.NO_FIRST_MESSAGE, Mode.CLOSE_BEFORE_JOIN, Mode.LEAVE_FIRST_MESSAGE]
)
async def test_a_failed_start_leaves_nothing_behind_and_the_next_one_works(
    mode: Mode, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("auralink.engine.room.session.FIRST_MESSAGE_S", 0.3)
    before = asyncio.all_tasks()
    async with FakeServer(faults=2).running() as server:
        async with bot(server, mock_token(mode)) as (one, saw):
            await until(lambda: saw.joins, "a server that works at last")
            await connected(one)
            assert server.open_sockets == 1
            assert not saw.losses  # it was never in
        await until(lambda: not server.open_sockets, "the sockets are closed")

    assert len(server.visits) == 3
    await until(lambda: asyncio.all_tasks() == before, "no task is left")


async def test_nonsense_is_counted_and_changes_nothing(server: FakeServer) -> None:
    async with bot(server, mock_token(Mode.NONSENSE)) as (one, saw):
        await until(lambda: saw.joins, "the join")
        await until(lambda: sum(one.signal.session.counts.unknown.values()) == 2, "both counted")
        await until(lambda: "ping_req" in server.visits[0].kinds, "it goes on")

    assert (saw.joins, saw.losses) == (1, [])


# -- 4, 5, 6: what goes wrong later ---------------------------------------------------------------


async def test_silence_is_answered_by_a_resume_within_a_second_of_the_limit(
    server: FakeServer,
) -> None:
    server.faults = 1
    async with bot(server, mock_token(Mode.NO_PONG)) as (one, saw):
        media = await connected(one)
        await until(lambda: one.signal.session.counts.resumes, "the resume")
        first, second = server.visits
        heard = first.at  # the join was the last word, but for the answers to offers
        assert second.resume_sid == first.sid
        assert server.silence_s - 0.1 <= second.at - heard
        assert one.peer is not None
        assert one.peer.path.connection is media  # media went on meanwhile
        assert media.connectionState == "connected"

    assert (saw.joins, saw.losses) == (1, [])


@pytest.mark.parametrize("mode", [Mode.DROP_WHEN_CONNECTED, Mode.CLOSE_WHEN_CONNECTED])
async def test_a_lost_connection_is_resumed_at_once_and_syncs_before_anything_else(
    server: FakeServer, mode: Mode
) -> None:
    server.faults = 1
    async with bot(server, mock_token(mode)) as (one, saw):
        await until(lambda: saw.joins)
        media = one.peer
        await until(lambda: one.signal.session.counts.resumes == 1, "the resume")
        first, second = server.visits
        await until(lambda: second.requests, "what it says first")
        assert second.kinds[0] == "sync_state"
        assert second.resume_sid == first.sid
        assert second.at - first.at < server.connected_s + 2
        assert one.peer is media

    assert (saw.joins, saw.losses) == (1, [])


async def test_a_server_that_drops_every_connection_is_left_for_a_new_join(
    server: FakeServer,
) -> None:
    server.connected_s = 0.01
    async with bot(server, mock_token(Mode.DROP_WHEN_CONNECTED)) as (_, saw):
        await until(lambda: len(server.visits) >= 5, "a new join after some resumes")

    assert [bool(v.resume_sid) for v in server.visits[:5]] == [False, True, True, True, False]
    assert saw.losses[0] == "the server closes every connection soon"


async def test_a_refused_resume_becomes_a_new_participant(server: FakeServer) -> None:
    async with bot(server, mock_token(Mode.LEAVE_DURING_RECONNECT)) as (_, saw):
        await until(lambda: saw.joins)
        socket = server.visits[0].socket
        assert socket is not None
        await socket.close(code=1011)
        await until(lambda: saw.joins == 2, "a new join")

    assert [bool(visit.resume_sid) for visit in server.visits] == [False, True, False]
    assert len(saw.losses) == 1


@pytest.mark.parametrize(
    ("action", "resumes", "joins"),
    [(Leave.RESUME, 1, 1), (Leave.RECONNECT, 0, 2), (Leave.DISCONNECT, 0, 2)],
)
async def test_a_leave_is_followed_as_it_says(
    server: FakeServer, action: int, resumes: int, joins: int
) -> None:
    server.faults = 1
    async with bot(server, mock_token(Mode.LEAVE_WHEN_CONNECTED, action=action)) as (one, saw):
        await until(lambda: len(server.visits) == 2, "the next connection")
        await until(lambda: saw.joins == joins and one.signal.session.state is State.JOINED)
        assert one.signal.session.counts.resumes == resumes

    assert bool(server.visits[1].resume_sid) is bool(resumes)
    assert len(saw.losses) == joins - 1


@pytest.mark.parametrize(
    ("reason", "error"),
    [
        (Reason.DUPLICATE_IDENTITY, Duplicate),
        (Reason.PARTICIPANT_REMOVED, RoomEnded),
        (Reason.ROOM_DELETED, RoomEnded),
        (Reason.ROOM_CLOSED, RoomEnded),
        (Reason.USER_REJECTED, RoomEnded),
    ],
)
async def test_what_was_meant_is_not_undone(
    server: FakeServer, reason: int, error: type[RoomError]
) -> None:
    token = mock_token(Mode.LEAVE_WHEN_CONNECTED, reason=reason)
    server.connected_s = 0.05
    async with bot(server, token) as (_, saw):
        await until(lambda: saw.ends, "the end")

    assert type(saw.ends[0]) is error
    assert len(server.visits) == 1


# -- 9, 27, 29 ------------------------------------------------------------------------------------


async def test_the_newest_token_is_used_for_everything_that_follows(server: FakeServer) -> None:
    first = mock_token(Mode.LEAVE_WHEN_CONNECTED, action=Leave.RECONNECT)
    server.fresh_token = mock_token(Mode.HAPPY)
    async with bot(server, first) as (_, saw):
        await until(lambda: saw.joins == 2, "the new join")

    assert [visit.token for visit in server.visits] == [first, server.fresh_token]


async def test_a_server_without_udp_is_named_with_the_remedy(
    server: FakeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("auralink.engine.room.media_path._CANDIDATE_S", 0.3)
    started = time.monotonic()
    async with bot(server, mock_token(Mode.TCP_ONLY)) as (_, saw):
        await until(lambda: saw.losses, "the reason")

    assert "no UDP address" in saw.losses[0]
    assert "allow_tcp_fallback" in saw.losses[0]
    assert time.monotonic() - started < 15


def person(sid: str, identity: str, *tracks: str) -> models.ParticipantInfo:
    return models.ParticipantInfo(
        sid=sid,
        identity=identity,
        tracks=[models.TrackInfo(sid=track, name=track, type=models.VIDEO) for track in tracks],
    )


async def test_who_left_during_an_outage_is_gone_after_it(server: FakeServer) -> None:
    server.others = [person("PA_a", "ann", "TR_a"), person("PA_b", "bob", "TR_b")]
    async with bot(server, mock_token(Mode.HAPPY)) as (one, saw):
        await until(lambda: saw.joins and saw.track("TR_b"), "both are seen")
        server.others = [person("PA_b", "bob", "TR_b")]
        socket = server.visits[0].socket
        assert socket is not None
        await socket.close(code=1011)
        await until(lambda: one.signal.session.counts.resumes, "the resume")
        await until(lambda: ParticipantLeft("ann") in saw.changes, "ann is gone")

    removed = [change.track.sid for change in saw.changes if isinstance(change, TrackRemoved)]
    assert removed[0] == "TR_a"
    assert ParticipantLeft("bob") not in saw.changes[: saw.changes.index(ParticipantLeft("ann"))]


async def test_a_moved_participant_has_the_new_room_token_and_people(server: FakeServer) -> None:
    server.others = [person("PA_a", "ann", "TR_a")]
    there = mock_token(Mode.HAPPY, identity="moved")
    async with bot(server, mock_token(Mode.HAPPY)) as (one, saw):
        await until(lambda: saw.track("TR_a"), "ann's track")
        moved = rtc.RoomMovedResponse(
            room=models.Room(sid="RM_2", name="other"),
            token=there,
            participant=models.ParticipantInfo(sid="PA_9", identity="bot"),
            other_participants=[person("PA_c", "cid", "TR_c")],
        )
        await server.visits[0].say(rtc.SignalResponse(room_moved=moved))
        await until(lambda: saw.track("TR_c"), "the people of the other room")
        kinds = [
            (type(change), change.track.sid)
            for change in saw.changes
            if isinstance(change, TrackAdded | TrackRemoved)
        ]
        assert kinds == [(TrackAdded, "TR_a"), (TrackRemoved, "TR_a"), (TrackAdded, "TR_c")]
        socket = server.visits[0].socket
        assert socket is not None
        await socket.close(code=1011)
        await until(lambda: one.signal.session.counts.resumes, "the resume")

    assert (server.visits[1].token, server.visits[1].resume_sid) == (there, "PA_9")


# -- 13 -------------------------------------------------------------------------------------------


async def test_a_flood_of_people_costs_no_more_than_was_agreed(server: FakeServer) -> None:
    one = Bot(
        lambda listener: LiveKitRoom(server.url, mock_token(Mode.HAPPY), listener, version="0")
    )
    uplink = Uplink(one.room, one.room, RelayOptions(max_streams=5), clock=time.monotonic)
    one.add(Duty(changed=uplink.changed))
    crew = Crew([one], [uplink.run])
    running = asyncio.create_task(crew.run())
    await until(lambda: one.state.connected, "the join")
    people = [person(f"PA_guest{n}", f"guest{n}", f"TR_{n}") for n in range(200)]
    for start in range(0, 200, 20):
        update = rtc.ParticipantUpdate(participants=people[start : start + 20])
        await server.visits[0].say(rtc.SignalResponse(update=update))
    await until(lambda: uplink.counts.left_alone == 195, "all were seen")
    await until(lambda: server.visits[0].kinds.count("subscription") == 5, "five are taken")
    first_to_leave = models.ParticipantInfo(
        sid="PA_guest0", state=models.ParticipantInfo.DISCONNECTED
    )
    update = rtc.ParticipantUpdate(participants=[first_to_leave])
    await server.visits[0].say(rtc.SignalResponse(update=update))
    await until(lambda: list(uplink.streams)[-1] == "TR_5", "who waited longest is next")
    gone = [
        models.ParticipantInfo(sid=one.sid, state=models.ParticipantInfo.DISCONNECTED)
        for one in people
    ]
    update = rtc.ParticipantUpdate(participants=gone)
    await server.visits[0].say(rtc.SignalResponse(update=update))
    await until(lambda: not uplink.streams, "all have left")
    crew.leave()
    async with asyncio.timeout(20):
        await running

    assert server.visits[0].kinds.count("offer") <= 3
