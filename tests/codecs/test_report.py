"""Receiver reports over the wire."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from auralink.codecs.errors import BitstreamError
from auralink.codecs.video.protocol import ReceiverReport
from auralink.codecs.video.syntax_report import REPORT_BYTES, parse_report, write_report

numbers = st.integers(0, 0xFFFF)


@given(
    newest=st.none() | numbers,
    older=st.integers(0, (1 << 63) - 1),
    highest=st.none() | numbers,
    loss=st.integers(0, 255),
    stuck=st.booleans(),
)
def test_comes_back_as_it_was(
    newest: int | None, older: int, highest: int | None, loss: int, stuck: bool
) -> None:
    decoded = 0 if newest is None else older << 1 | 1
    report = ReceiverReport(
        newest=newest, decoded=decoded, highest=highest, loss=loss / 255, stuck=stuck
    )

    assert parse_report(write_report(report)) == report
    assert len(write_report(report)) == REPORT_BYTES == 14


@given(st.binary(max_size=20))
def test_any_bytes_are_a_report_or_a_named_error(data: bytes) -> None:
    try:
        report = parse_report(data)
    except BitstreamError:
        return
    assert write_report(report) == data


@pytest.mark.parametrize("data", [b"", bytes(13), bytes(15), b"\x20" + bytes(13)])
def test_says_what_is_wrong(data: bytes) -> None:
    with pytest.raises(BitstreamError, match="receiver report"):
        parse_report(data)
