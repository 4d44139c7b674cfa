"""What a job that LiveKit assigns becomes."""

import pytest
from livekit.protocol import agent, models

from auralink.codecs.errors import InputError
from auralink.engine.agent.plan import Plan
from auralink.engine.relay.access import Access
from auralink.engine.relay.job import Role
from auralink.engine.relay.request import RelayRequest

ACCESS = Access(url="ws://one", key="key", secret="secret")
PLAN = Plan(access=ACCESS, defaults=RelayRequest(rate_bps=90_000))


def job(metadata: str = "", **fields: object) -> agent.Job:
    return agent.Job(
        id="AJ_1",
        room=models.Room(name="hall"),
        metadata=metadata,
        **fields,  # type: ignore[arg-type]
    )


def test_an_ordinary_job_relays_its_room_into_itself() -> None:
    spec = PLAN.spec(agent.JobAssignment(job=job(), token="jwt"))

    settings = spec.settings
    assert (settings.near.room, settings.far.room, settings.role) == ("hall", "hall", Role.BOTH)
    assert settings.options.rate_bps == 90_000
    assert settings.token == "jwt"
    assert settings.first_identity == PLAN.identity(job()) == "aic-AJ_1-up"
    assert spec.label == "hall"


def test_metadata_says_otherwise() -> None:
    text = '{"role": "send", "to_room": "far", "rate_bps": 64000, "profile": "native-av1"}'
    settings = PLAN.spec(agent.JobAssignment(job=job(text))).settings

    assert (settings.role, settings.far.room) == (Role.SEND, "far")
    assert (settings.options.rate_bps, settings.options.profile) == (64_000, "native-av1")
    assert PLAN.identity(job(text)) == settings.first_identity == "aic-AJ_1-src"


def test_a_job_for_a_publisher_takes_that_ones_tracks() -> None:
    ann = models.ParticipantInfo(identity="ann")
    given = job('{"only": ["bob"]}', type=agent.JobType.JT_PUBLISHER, participant=ann)

    assert PLAN.spec(agent.JobAssignment(job=given)).settings.options.identities == {"ann"}


def test_the_server_may_name_where_the_room_is() -> None:
    given = agent.JobAssignment(job=job(), url="ws://two")
    plan = Plan(access=ACCESS, far=Access(url="ws://three"), defaults=RelayRequest())

    assert PLAN.spec(given).settings.near.access.url == "ws://two"
    assert PLAN.spec(given).settings.far.access.url == "ws://two"
    assert plan.spec(given).settings.far.access.url == "ws://three"


def test_wrong_metadata_has_an_identity_and_then_a_named_error() -> None:
    wrong = job('{"rate": 5}')

    assert PLAN.identity(wrong) == "aic-AJ_1"
    with pytest.raises(InputError, match="rate"):
        PLAN.spec(agent.JobAssignment(job=wrong))
