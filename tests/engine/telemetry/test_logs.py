"""Log lines: readable, parseable, one each, and without secrets whatever is logged."""

import asyncio
import io
import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest

from auralink.engine.telemetry.logs import Format, LogSettings, context, set_up_logging
from auralink.engine.telemetry.redaction import HIDDEN, Redactor

CANARY = "canary-4f1c9d"
JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhbm4ifQ.c2lnbmF0dXJl"
log = logging.getLogger("auralink.test")


@pytest.fixture(autouse=True)
def root_as_before() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    yield
    root.handlers[:], root.level = handlers, level


def written(log_format: Format = "json") -> io.StringIO:
    stream = io.StringIO()
    set_up_logging(LogSettings(format=log_format), secrets=[CANARY], stream=stream)
    return stream


def lines(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_a_line_has_the_facts_of_its_context() -> None:
    stream = written()

    with context(request="r-1", stream="TR_1", frame=7):
        log.warning("frame fell back", extra={"reason": "late"})
    log.info("later")

    first, second = lines(stream)
    assert (first["event"], first["level"], first["logger"]) == (
        "frame fell back", "warning", "auralink.test",
    )  # fmt: skip
    assert (first["request"], first["stream"], first["frame"]) == ("r-1", "TR_1", 7)
    assert "timestamp" in first
    assert "request" not in second


async def test_tasks_keep_the_context_they_were_started_in() -> None:
    stream = written()

    async def work(name: str) -> None:
        with context(job=name):
            await asyncio.sleep(0)
            log.info("at work")

    with context(request="r-1"):
        await asyncio.gather(work("a"), work("b"))

    assert [(one["request"], one["job"]) for one in lines(stream)] == [("r-1", "a"), ("r-1", "b")]


def test_auto_is_json_where_no_person_reads() -> None:
    assert isinstance(lines_of_auto(), list)


def lines_of_auto() -> list[dict[str, Any]]:
    stream = written("auto")
    log.info("hello")
    return lines(stream)


def test_text_is_for_people() -> None:
    stream = written("text")

    log.info("hello")

    assert "hello" in stream.getvalue()
    assert not stream.getvalue().startswith("{")


@pytest.mark.parametrize("log_format", ["json", "text"])
def test_no_secret_is_written_whatever_is_logged(log_format: Format) -> None:
    stream = written(log_format)

    log.info("token is %s", CANARY)
    log.info("using %s", {"nested": [CANARY, {"deep": CANARY}]})
    log.warning("Authorization: Bearer %s", JWT)
    log.error("postgresql://user:%s@host/name refused", "pa55word")
    log.info("called with access_token=%s&x=1", "abcdef123456")
    with context(api_key="k-123456", request="r-1"):
        log.info("in context")
    try:
        raise ValueError(f"bad value {CANARY} and {JWT}")
    except ValueError:
        log.exception("failed")
    log.info("-----BEGIN PRIVATE KEY-----\nMIIEvQ\n-----END PRIVATE KEY-----")

    text = stream.getvalue()
    for secret in (CANARY, JWT, "pa55word", "abcdef123456", "k-123456", "MIIEvQ"):
        assert secret not in text
    assert "r-1" in text
    assert text.count(HIDDEN) >= 8
    assert "ValueError" in text


@pytest.mark.parametrize("log_format", ["json", "text"])
def test_a_message_cannot_forge_another_line(log_format: Format) -> None:
    stream = written(log_format)

    log.info('evil\n{"event": "forged"}\r\x1b[2J')

    assert len(stream.getvalue().splitlines()) == 1
    assert "\x1b" not in stream.getvalue()


def test_levels_are_kept() -> None:
    stream = io.StringIO()
    set_up_logging(LogSettings(format="json", level="warning"), stream=stream)

    log.info("no")
    log.warning("yes")

    assert [one["event"] for one in lines(stream)] == ["yes"]


def test_packets_and_pixels_are_sizes() -> None:
    redact = Redactor()

    assert redact.value({"payload": b"\x00" * 1000, "list": [bytearray(3)]}) == {
        "payload": "[1000 bytes]",
        "list": ["[3 bytes]"],
    }


@pytest.mark.parametrize(
    "harmless",
    [
        "the token expired",
        "12 tokens a minute",
        "a secret room",
        "https://host/path",
        "basic rules",
    ],
)
def test_ordinary_words_stay(harmless: str) -> None:
    assert Redactor([CANARY, "abc"]).text(harmless) == harmless
