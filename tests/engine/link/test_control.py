"""Control messages: back as they were, and never believed unchecked."""

import contextlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from auralink.codecs.errors import BitstreamError
from auralink.codecs.video.protocol import ReceiverReport
from auralink.engine.link.control import (
    Estimate,
    Hello,
    KeyRequest,
    Message,
    StreamFeedback,
    StreamInfo,
    parse,
    write,
)
from auralink.engine.link.resending import MOST_GAPS, Feedback, Gap

INFO = StreamInfo(
    stream=7,
    kind="video",
    track="TR_x",
    identity="alice",
    name="cam",
    source="camera",
    width=640,
    height=360,
)
REPORT = ReceiverReport(newest=9, decoded=0b1011, highest=12, loss=51 / 255, stuck=True)

WRAPPED = ReceiverReport(newest=None, decoded=0, highest=1, loss=0.0, stuck=True)


@pytest.mark.parametrize(
    "message",
    [
        Hello(),
        INFO,
        KeyRequest(3),
        StreamFeedback(65_535, Feedback(report=REPORT, arrived=(1 << 64) - 2)),
        StreamFeedback(1, Feedback(report=REPORT, arrived=6, gaps=(Gap(10, 0), Gap(12, 255)))),
        StreamFeedback(1, Feedback(report=WRAPPED, arrived=6, gaps=(Gap(65_534, 3),))),
        Estimate(123_456, 51 / 255),
    ],
)
def test_messages_come_back_as_they_were(message: Message) -> None:
    assert parse(write(message)) == message


def test_a_kind_of_a_later_version_is_ignored() -> None:
    assert parse(b"\x63\x00\x01whatever") is None


@given(st.binary(max_size=100))
def test_garbage_is_a_message_nothing_or_a_named_error(data: bytes) -> None:
    with contextlib.suppress(BitstreamError):
        parse(data)


@pytest.mark.parametrize(
    "gaps",
    [
        b"\x01",  # half a pair
        b"\x40\x00",  # of a unit 64 before the newest
        b"\x00\x00" * (MOST_GAPS + 1),
    ],
)
def test_gaps_that_no_report_has_are_refused(gaps: bytes) -> None:
    whole = write(StreamFeedback(1, Feedback(report=REPORT, arrived=6)))

    with pytest.raises(BitstreamError, match="feedback"):
        parse(whole + gaps)


@pytest.mark.parametrize(
    "change",
    [
        {"kind": "smell"},
        {"name": 5},
        {"identity": "x" * 257},
        {"width": -1},
        {"width": 1.5},
        {"height": True},
        {"track": None},
    ],
)
def test_a_description_is_checked_field_by_field(change: dict[str, object]) -> None:
    good = json.loads(write(INFO)[3:])
    bad = write(INFO)[:3] + json.dumps(good | change).encode()

    with pytest.raises(BitstreamError, match=r"^a stream"):
        parse(bad)


@pytest.mark.parametrize("body", [b"[]", b"{", b"", b"nul", b"[" * 1900])
def test_what_is_no_description_is_refused(body: bytes) -> None:
    with pytest.raises(BitstreamError, match="JSON"):
        parse(b"\x02\x00\x01" + body)


def test_long_messages_are_refused_before_they_are_read() -> None:
    with pytest.raises(BitstreamError, match="2000"):
        parse(bytes(2001))
