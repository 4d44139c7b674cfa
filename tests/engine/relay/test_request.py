"""A relay asked for in JSON."""

import contextlib
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from auralink.codecs.errors import InputError
from auralink.engine.relay.access import Access
from auralink.engine.relay.job import Place, Role
from auralink.engine.relay.request import MAX_BYTES, RelayRequest

ACCESS = Access(url="ws://host", key="key", secret="secret")
HERE = Place(access=ACCESS, room="here")


def test_nothing_asked_for_is_everything_by_default() -> None:
    assert RelayRequest.parse("") == RelayRequest.parse(b" {}") == RelayRequest()

    settings = RelayRequest().settings(HERE, HERE, name="aic")
    assert (settings.role, settings.far.room) == (Role.BOTH, "here")
    assert (settings.options.rate_bps, settings.options.start_bps) == (300_000, 150_000)


def test_what_is_named_wins_over_defaults_and_the_rest_stays() -> None:
    defaults = RelayRequest(rate_bps=90_000, codec="h264")

    found = RelayRequest.parse('{"rate_bps": 64000, "only": ["ann"], "to_room": "b"}', defaults)

    settings = found.settings(HERE, HERE, name="x", token="given")
    assert (settings.options.rate_bps, settings.codec, settings.far.room) == (64_000, "h264", "b")
    assert settings.options.start_bps == 64_000
    assert settings.options.identities == {"ann"}
    assert settings.first_identity == "x-src"
    assert settings.token == "given"
    assert settings.renewed().token == ""


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("{", "Invalid JSON"),
        ("[]", "object"),
        ('{"rate_bps": 5}', "rate_bps: "),
        ('{"rate_bps": "90k"}', "rate_bps: "),
        ('{"rate": 90000}', "rate: Extra"),
        ('{"only": "ann"}', "only: "),
        ('{"profile": "neural-9"}', "profile 'neural-9'"),
        ('{"role": "listen"}', "role: "),
        ('{"sources": ["spy"]}', "sources.0: "),
        ('{"preset": 0}', "preset: "),
        ('{"a": ' + '"x"' * MAX_BYTES + "}", "at most"),
    ],
)
def test_what_is_wrong_is_named(text: str, named: str) -> None:
    with pytest.raises(InputError) as caught:
        RelayRequest.parse(text)

    assert named in str(caught.value)
    assert len(str(caught.value)) < 500


@settings(max_examples=60, deadline=None)
@given(st.text() | st.recursive(st.none() | st.integers() | st.text(), st.lists).map(json.dumps))
def test_whatever_is_given_is_a_request_or_an_error_of_input(text: str) -> None:
    with contextlib.suppress(InputError):
        assert RelayRequest.parse(text).options()


def test_a_single_bot_uses_the_token_that_was_made_for_it() -> None:
    same = RelayRequest(role="receive").settings(HERE, HERE, name="x")
    assert same.first_identity == "x-down"
    assert RelayRequest(role="send").settings(HERE, HERE, name="x").first_identity == "x-up"


def test_a_token_of_the_place_cannot_be_renewed() -> None:
    fixed = Place(access=Access(url="ws://host", token="t"), room="here")
    settings = RelayRequest().settings(fixed, fixed, name="x", token="given")

    assert settings.renewed().token == "given"
