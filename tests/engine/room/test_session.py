"""The signal protocol as a state machine, on a clock of our own."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from livekit.protocol import models, rtc

from auralink.engine.room.errors import AccessRefused, ConnectionFailed, Duplicate, RoomEnded
from auralink.engine.room.policy import Next, after_leave, pause_s
from auralink.engine.room.session import FIRST_MESSAGE_S, SignalSession, State
from auralink.engine.room.signal_actions import (
    Close,
    Ended,
    Joined,
    Lost,
    Message,
    Open,
    Resumed,
    Send,
)

Reason = models.DisconnectReason
Action = rtc.LeaveRequest.Action


def join(sid: str = "PA_1") -> rtc.SignalResponse:
    join = rtc.JoinResponse(ping_interval=5, ping_timeout=15)
    join.participant.sid = sid
    return rtc.SignalResponse(join=join)


def joined(now: float = 0.0) -> SignalSession:
    session = SignalSession("token")
    session.start(now)
    session.message(now, join(), 0)
    return session


def leave(reason: int, action: int = Action.DISCONNECT) -> rtc.SignalResponse:
    return rtc.SignalResponse(leave=rtc.LeaveRequest(reason=reason, action=action))


def test_opens_joins_and_tells() -> None:
    session = SignalSession("token")

    assert session.start(0) == [Close(), Open("token", None)]
    (told,) = session.message(0.1, join(), 0)

    assert isinstance(told, Joined)
    assert session.state is State.JOINED


def test_a_socket_that_ends_is_resumed_as_the_same_participant() -> None:
    session = joined()

    assert session.closed(1, 0) == [Close(), Open("token", "PA_1")]
    told = session.message(1.1, rtc.SignalResponse(reconnect=rtc.ReconnectResponse()), 0)

    assert isinstance(told[0], Resumed)
    assert session.counts.resumes == 1


def test_requests_made_meanwhile_follow_the_resume_in_order() -> None:
    session = joined()
    session.closed(1, 0)
    wants = [
        rtc.SignalRequest(mute=rtc.MuteTrackRequest(sid=sid, muted=True)) for sid in ("1", "2")
    ]
    assert [session.request(want) for want in wants] == [[], []]
    session.request(rtc.SignalRequest(offer=rtc.SessionDescription(sdp="stale")))

    told = session.message(1.1, rtc.SignalResponse(reconnect=rtc.ReconnectResponse()), 0)

    assert told[1:] == [Send(want) for want in wants]  # the stale offer is not among them


def test_a_refused_resume_becomes_a_new_join() -> None:
    session = joined()
    session.closed(1, 0)

    told = session.message(1.1, leave(Reason.STATE_MISMATCH, Action.RECONNECT), 0)
    assert any(isinstance(one, Lost) for one in told)
    assert session.state is State.WAITING
    assert session.tick(1.1, 0) == [Close(), Open("token", None)]


def test_silence_is_noticed_and_pings_keep_it_away() -> None:
    session = joined()
    sent = [one for at in (5.0, 10.0) for one in session.tick(at, 0)]
    kinds = [one.request.WhichOneof("message") for one in sent if isinstance(one, Send)]
    assert kinds == ["ping_req", "ping", "ping_req", "ping"]

    told = session.tick(15.0, 0)
    assert told == [Close(), Open("token", "PA_1")]


def test_a_server_that_accepts_and_says_nothing_is_given_up() -> None:
    session = SignalSession("token")
    session.start(0)

    assert session.tick(FIRST_MESSAGE_S - 0.1, 0) == []
    assert session.tick(FIRST_MESSAGE_S, 0) == [Close()]
    assert session.state is State.WAITING


def test_what_trying_again_cannot_mend_ends_it() -> None:
    session = SignalSession("token")
    session.start(0)
    error = AccessRefused("no")

    assert session.refused(0.1, error, 0) == [Close(), Ended(error)]
    assert session.next_at is None
    assert session.start is not None
    assert session.closed(1, 0) == []


def test_a_refreshed_token_is_used_from_then_on() -> None:
    session = joined()
    session.message(1, rtc.SignalResponse(refresh_token="newer"), 0)

    assert session.closed(2, 0)[1] == Open("newer", "PA_1")


def test_a_moved_participant_resumes_in_its_new_room() -> None:
    session = joined()
    moved = rtc.RoomMovedResponse(token="there")
    moved.participant.sid = "PA_2"

    (told,) = session.message(1, rtc.SignalResponse(room_moved=moved), 0)

    assert isinstance(told, Message)
    assert session.closed(2, 0)[1] == Open("there", "PA_2")


def test_leaving_says_so_once() -> None:
    session = joined()

    first, *_, last = session.stop()

    assert isinstance(first, Send)
    assert first.request.WhichOneof("message") == "leave"
    assert last == Ended(None)
    assert session.stop() == []


@pytest.mark.parametrize(
    ("reason", "action", "then", "error"),
    [
        (Reason.DUPLICATE_IDENTITY, Action.DISCONNECT, Next.END, Duplicate),
        (Reason.PARTICIPANT_REMOVED, Action.DISCONNECT, Next.END, RoomEnded),
        (Reason.ROOM_DELETED, Action.DISCONNECT, Next.END, RoomEnded),
        (Reason.SERVER_SHUTDOWN, Action.DISCONNECT, Next.REJOIN, type(None)),
        (Reason.CONNECTION_TIMEOUT, Action.RESUME, Next.RESUME, type(None)),
        (Reason.STATE_MISMATCH, Action.RECONNECT, Next.REJOIN, type(None)),
        (Reason.UNKNOWN_REASON, Action.DISCONNECT, Next.REJOIN, type(None)),
    ],
)
def test_what_a_leave_means(reason: int, action: int, then: Next, error: type) -> None:
    found, why = after_leave(rtc.LeaveRequest(reason=reason, action=action))

    assert found is then
    assert type(why) is error


def test_pauses_start_at_nothing_and_end_within_a_quarter_minute() -> None:
    assert pause_s(0, 1.0) == 0
    assert [pause_s(n, 1.0) for n in (1, 2, 3)] == [0.3, 0.6, 1.2]
    assert max(pause_s(n, 1.0) for n in range(50)) == 15
    assert pause_s(40, 0.0) == 7


def test_a_server_that_drops_every_connection_is_not_hammered() -> None:
    session, now, opened = SignalSession("token"), 0.0, 0
    actions = session.start(now)
    while now < 60:
        opens = [one for one in actions if isinstance(one, Open)]
        opened += len(opens)
        if opens and opens[0].resume_sid is not None:
            reconnect = rtc.SignalResponse(reconnect=rtc.ReconnectResponse())
            session.message(now, reconnect, 0.5)
        elif opens:
            session.message(now, join(), 0.5)
        else:
            assert session.next_at is not None
            now = session.next_at
            actions = session.tick(now, 0.5)
            continue
        now += 0.01
        actions = session.closed(now, 0.5)

    assert opened < 25


def test_a_connection_that_was_steady_is_resumed_however_often() -> None:
    session = joined()
    for now in range(10, 200, 10):
        session.tick(now - 1, 0)
        assert session.closed(now, 0)[1] == Open("token", "PA_1")
        session.message(now, rtc.SignalResponse(reconnect=rtc.ReconnectResponse()), 0)


def test_an_hour_later_the_newest_token_joins() -> None:
    session = joined()
    for at in range(300, 3601, 300):
        session.message(at, rtc.SignalResponse(refresh_token=f"token of {at}"), 0)

    session.media_failed(3600, ConnectionFailed("the path broke"), 0)
    assert session.tick(3600, 0) == [Close(), Open("token of 3600", None)]


EVENTS = st.lists(
    st.tuples(
        st.sampled_from(
            ["tick", "closed", "refused", "join", "reconnect", "leave", "odd", "media"]
        ),
        st.floats(0, 20),
    ),
    max_size=60,
)


@given(EVENTS)
def test_whatever_happens_it_either_tries_again_at_a_stated_time_or_has_ended(
    events: list[tuple[str, float]],
) -> None:
    session = SignalSession("token")
    actions = session.start(0)
    now, sockets, alive = 0.0, 0, False
    for kind, wait in [("", 0.0), *events]:
        now += wait
        match kind:
            case "tick":
                actions = session.tick(now, 0.5)
            case "closed":
                actions = session.closed(now, 0.5)
            case "refused":
                actions = session.refused(now, ConnectionFailed("no"), 0.5)
            case "join":
                actions = session.message(now, join(), 0.5)
            case "reconnect":
                message = rtc.SignalResponse(reconnect=rtc.ReconnectResponse())
                actions = session.message(now, message, 0.5)
            case "leave":
                message = leave(Reason.STATE_MISMATCH, Action.RECONNECT)
                actions = session.message(now, message, 0.5)
            case "odd":
                actions = session.message(now, rtc.SignalResponse(), 0.5)
            case "media":
                actions = session.media_failed(now, ConnectionFailed("no"), 0.5)
        for action in actions:
            sockets += isinstance(action, Open)
            if isinstance(action, Joined):
                assert not alive, "joined twice without a loss between"
                alive = True
            if isinstance(action, Lost):
                assert alive
                alive = False
        assert session.state is not State.ENDED
        assert session.next_at is not None
        assert session.next_at <= now + 30
    assert sockets <= len(events) + 1
