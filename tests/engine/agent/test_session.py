"""The worker protocol as a state machine, on a clock of our own."""

import dataclasses

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from livekit.protocol import agent

from auralink.engine.agent.actions import (
    Action,
    Assigned,
    Capacity,
    Close,
    Ended,
    Lost,
    Open,
    Registered,
    Send,
    Terminated,
)
from auralink.engine.agent.session import (
    FIRST_MESSAGE_S,
    FREE_AT,
    FULL_AT,
    STATUS_S,
    State,
    WorkerSession,
)
from auralink.engine.room.errors import AccessRefused, ConnectionFailed

IDLE = Capacity(slots=2, taken=0, load=0.0, cpu=0.1, draining=False)
REGISTER = agent.RegisterWorkerRequest(agent_name="aic")


def session_of(capacity: Capacity = IDLE, now: float = 0.0) -> WorkerSession:
    """A registered one."""
    session = WorkerSession(REGISTER, lambda job: f"aic-{job.id}")
    session.start(now)
    session.opened(now)
    session.message(now, registered(), capacity, 0)
    return session


def registered() -> agent.ServerMessage:
    return agent.ServerMessage(register=agent.RegisterWorkerResponse(worker_id="AW_1"))


def asked(job_id: str = "AJ_1") -> agent.ServerMessage:
    return agent.ServerMessage(availability=agent.AvailabilityRequest(job=agent.Job(id=job_id)))


def assigned(job_id: str = "AJ_1") -> agent.ServerMessage:
    return agent.ServerMessage(assignment=agent.JobAssignment(job=agent.Job(id=job_id)))


def sent(actions: list[Action], kind: str) -> list[agent.WorkerMessage]:
    messages = [one.message for one in actions if isinstance(one, Send)]
    return [one for one in messages if one.WhichOneof("message") == kind]


def says_yes(actions: list[Action]) -> bool:
    (answer,) = sent(actions, "availability")
    return answer.availability.available


def test_registers_first_and_reports_at_once() -> None:
    session = WorkerSession(REGISTER, lambda job: "")
    assert session.start(0) == [Close(), Open()]
    assert session.opened(0.1) == [Send(agent.WorkerMessage(register=REGISTER))]

    first, report = session.message(0.2, registered(), IDLE, 0)

    assert first == Registered("AW_1", "")
    assert isinstance(report, Send)
    status = report.message.update_worker
    assert (status.status, status.job_count, status.draining) == (agent.WS_AVAILABLE, 0, False)


def test_load_is_told_every_few_seconds_and_a_change_of_jobs_at_once() -> None:
    session = session_of()
    assert sent(session.tick(1, IDLE, 0), "update_worker") == []

    one = dataclasses.replace(IDLE, taken=1, load=0.5)
    (update,) = sent(session.tick(1.1, one, 0), "update_worker")
    assert (update.update_worker.job_count, update.update_worker.load) == (1, 0.5)
    assert sent(session.tick(1.2, one, 0), "update_worker") == []
    assert len(sent(session.tick(1.1 + STATUS_S, one, 0), "update_worker")) == 1


def test_pings_keep_silence_away_and_silence_is_noticed() -> None:
    session = session_of()
    assert len(sent(session.tick(5, IDLE, 0), "ping")) == 1
    pong = agent.ServerMessage(pong=agent.WorkerPong())
    session.message(5.1, pong, IDLE, 0)
    session.tick(10, IDLE, 0)
    session.tick(15, IDLE, 0)
    told = session.tick(20.2, IDLE, 0)

    assert told == [Close(), Lost("the server was silent for 15 s")]
    assert session.tick(20.2, IDLE, 0) == [Close(), Open()]


def test_an_offer_is_taken_with_a_name_of_its_own() -> None:
    (answer,) = sent(session_of().message(1, asked("AJ_7"), IDLE, 0), "availability")

    assert answer.availability.available
    assert answer.availability.job_id == "AJ_7"
    assert answer.availability.participant_identity == "aic-AJ_7"


def test_accepted_jobs_count_until_they_are_assigned_or_time_out() -> None:
    session = session_of()
    assert says_yes(session.message(1, asked("A"), IDLE, 0))
    told = session.message(1, asked("B"), IDLE, 0)
    assert says_yes(told)
    assert sent(told, "update_worker")[-1].update_worker.status == agent.WS_FULL
    assert not says_yes(session.message(1, asked("C"), IDLE, 0))

    assert session.message(2, assigned("A"), IDLE, 0) == [Assigned(assigned("A").assignment)]
    one = dataclasses.replace(IDLE, taken=1, jobs=("A",))
    assert not says_yes(session.message(2, asked("D"), one, 0))
    session.tick(11, one, 0)
    assert session.counts.unclaimed == 1
    assert says_yes(session.message(11, asked("E"), one, 0))


@pytest.mark.parametrize(
    "capacity",
    [
        dataclasses.replace(IDLE, taken=2),
        dataclasses.replace(IDLE, cpu=FULL_AT),
        dataclasses.replace(IDLE, draining=True),
        dataclasses.replace(IDLE, jobs=("AJ_1",)),
    ],
    ids=["no slot", "busy", "draining", "runs already"],
)
def test_an_offer_that_cannot_be_served_is_refused_at_once(capacity: Capacity) -> None:
    session = session_of(capacity)

    assert not says_yes(session.message(1, asked(), capacity, 0))
    assert session.counts.refused == 1


def test_a_busy_node_is_free_again_only_with_some_room() -> None:
    session = session_of()
    between = dataclasses.replace(IDLE, cpu=(FULL_AT + FREE_AT) / 2)
    assert says_yes(session.message(1, asked("A"), between, 0))
    session.tick(2, dataclasses.replace(IDLE, cpu=FULL_AT), 0)
    assert not says_yes(session.message(3, asked("B"), between, 0))
    session.tick(4, dataclasses.replace(IDLE, cpu=FREE_AT - 0.01), 0)
    assert says_yes(session.message(5, asked("C"), between, 0))


def test_draining_is_told() -> None:
    session = session_of()
    (update,) = sent(session.tick(1, dataclasses.replace(IDLE, draining=True), 0), "update_worker")

    assert update.update_worker.draining
    assert update.update_worker.status == agent.WS_FULL
    assert update.update_worker.load == 1.0


def test_after_a_loss_it_registers_again_with_the_right_jobs() -> None:
    session = session_of()
    two = dataclasses.replace(IDLE, taken=2, jobs=("A", "B"))
    assert session.closed(1, 0) == [Close(), Lost("the server closed the connection")]
    done = agent.UpdateJobStatus(job_id="A", status=agent.JS_SUCCESS)
    assert session.job(done) == []
    assert session.tick(1, two, 0) == [Close(), Open()]
    session.opened(1.1)

    told = session.message(1.2, registered(), two, 0)

    assert list(sent(told, "migrate_job")[0].migrate_job.job_ids) == ["A", "B"]
    assert [one.update_job for one in sent(told, "update_job")] == [done]
    assert sent(told, "update_worker")[0].update_worker.job_count == 2


def test_told_to_go_away_it_registers_anew() -> None:
    session = session_of()
    message = agent.ServerMessage()
    message.go_away.SetInParent()

    assert session.message(1, message, IDLE, 0)[0] == Close()
    assert session.state is State.WAITING


def test_a_termination_names_the_job() -> None:
    message = agent.ServerMessage(termination=agent.JobTermination(job_id="A"))

    assert session_of().message(1, message, IDLE, 0) == [Terminated("A")]


def test_a_key_that_is_no_good_ends_it_but_not_once_it_worked() -> None:
    error = AccessRefused("no")
    fresh = WorkerSession(REGISTER, lambda job: "")
    fresh.start(0)
    assert fresh.refused(0.1, error, 0) == [Close(), Ended(error)]

    session = session_of()
    session.closed(1, 0)
    session.tick(1, IDLE, 0)
    assert session.refused(1.1, error, 0.5)[0] == Close()
    assert session.state is State.WAITING


def test_a_server_that_throws_workers_out_at_once_is_not_hammered() -> None:
    session = session_of()
    opens, now = 0, 0.0
    while now < 60:
        session.closed(now, 0.5)
        assert session.next_at is not None
        now = max(now, session.next_at)
        opens += Open() in session.tick(now, IDLE, 0.5)
        session.opened(now)
        session.message(now, registered(), IDLE, 0.5)

    assert opens < 20


def test_a_server_that_says_nothing_is_left() -> None:
    session = WorkerSession(REGISTER, lambda job: "")
    session.start(0)
    session.opened(0)

    assert session.tick(FIRST_MESSAGE_S - 1, IDLE, 0) == []
    assert session.tick(FIRST_MESSAGE_S, IDLE, 0)[0] == Close()


def test_stopping_ends_it_once() -> None:
    session = session_of()
    assert session.stop() == [Close(), Ended(None)]
    assert session.stop() == []


CAPACITIES = st.builds(
    Capacity,
    slots=st.integers(0, 4),
    taken=st.integers(0, 4),
    load=st.floats(0, 1),
    cpu=st.floats(0, 1),
    draining=st.booleans(),
)
KINDS = st.sampled_from(
    ["tick", "closed", "refused", "opened", "registered", "asked", "assigned", "away", "odd"]
)


@settings(deadline=None)
@given(st.lists(st.tuples(KINDS, st.floats(0, 20), CAPACITIES), max_size=60))
def test_whatever_happens_it_has_a_next_time_and_never_takes_more_than_fits(
    events: list[tuple[str, float, Capacity]],
) -> None:
    session = WorkerSession(REGISTER, lambda job: "x")
    session.start(0)
    now = 0.0
    away = agent.ServerMessage()
    away.go_away.SetInParent()
    for number, (kind, wait, capacity) in enumerate(events):
        now += wait
        actions: list[Action] = []
        match kind:
            case "tick":
                actions = session.tick(now, capacity, 0.5)
            case "closed":
                actions = session.closed(now, 0.5)
            case "refused":
                actions = session.refused(now, ConnectionFailed("no"), 0.5)
            case "opened":
                actions = session.opened(now)
            case "registered":
                actions = session.message(now, registered(), capacity, 0.5)
            case "asked":
                actions = session.message(now, asked(str(number)), capacity, 0.5)
                if sent(actions, "availability") and says_yes(actions):
                    assert not capacity.draining
                    assert capacity.taken < capacity.slots
            case "assigned":
                actions = session.message(now, assigned(str(number)), capacity, 0.5)
            case "away":
                actions = session.message(now, away, capacity, 0.5)
            case "odd":
                actions = session.message(now, agent.ServerMessage(), capacity, 0.5)
        assert session.next_at is not None
        assert session.next_at <= now + 30
        assert not any(isinstance(action, Ended) for action in actions)
