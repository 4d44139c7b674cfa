"""docs/inference.md says what the tables in the code say."""

import re
from pathlib import Path

import pytest

from auralink.engine.inference.breaker import TRANSITIONS, State
from auralink.engine.inference.fallback_rungs import RUNGS
from auralink.engine.inference.outcome import FrameOutcome

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture(scope="module")
def text() -> str:
    return (ROOT / "docs" / "inference.md").read_text("utf-8")


def test_every_outcome_is_explained(text: str) -> None:
    assert [outcome.value for outcome in FrameOutcome if f"| `{outcome.value}` |" not in text] == []


def test_the_ladder_is_the_one_in_the_code(text: str) -> None:
    rows = re.findall(r"^\| `(\w+)` \|.*\| (.+) \| ([\d,]+) \|$", text, re.MULTILINE)
    told = [(name, needs, int(least.replace(",", ""))) for name, needs, least in rows]

    made = [
        (rung.name, ", ".join(sorted(n.value for n in rung.needs)) or "nothing", rung.least_bps)
        for rung in RUNGS
    ]
    assert told == made


def test_the_breakers_table_is_the_one_in_the_code(text: str) -> None:
    rows = re.findall(r"^\| (\w+) \| ([a-z_, ]+) \| (\w+) \|$", text, re.MULTILINE)
    told = set()
    for before, events, after in rows:
        if after not in {state.value for state in State}:
            continue
        for event in events.split(", "):
            befores = [s.value for s in State if s.value != after] if before == "any" else [before]
            told |= {(one, event, after) for one in befores}

    made = {(s.value, event.value, after.value) for (s, event), after in TRANSITIONS.items()}
    assert told == made
