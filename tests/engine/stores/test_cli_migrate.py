"""``auralink migrate`` as a person runs it."""

import json

import pytest

from auralink.engine.cli.main import run


def test_brings_a_database_up_to_date_once(
    database_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ["migrate", "--database", database_url]

    assert run([*options, "--check"]) == 1
    assert "at nothing" in capsys.readouterr().out
    assert run([*options, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["before"] is None
    assert run(options) == 0
    assert "nothing to do" in capsys.readouterr().out
    assert run([*options, "--check"]) == 0
    assert run([*options, "--to", "base"]) == 0
    assert run([*options, "--check", "--json"]) == 1


def test_a_database_that_is_away_is_an_error_without_its_password(
    capsys: pytest.CaptureFixture[str],
) -> None:
    address = "postgresql://user:canary@127.0.0.1:9/name"

    assert run(["migrate", "--database", address]) == 2

    told = capsys.readouterr()
    assert "is away" in told.err
    assert "canary" not in told.err + told.out
