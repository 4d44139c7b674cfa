import pytest

from auralink.engine.inference.outcome import Fate, FrameOutcome, Ledger, LedgerError


def test_every_outcome_names_its_fate_and_reason() -> None:
    told = {outcome: (outcome.fate, outcome.reason) for outcome in FrameOutcome}

    assert told[FrameOutcome.CODED] == (Fate.CODED, "")
    assert told[FrameOutcome.NO_MODEL] == (Fate.FELL_BACK, "no_model")
    assert told[FrameOutcome.STALE] == (Fate.DROPPED, "stale")
    fell_back = {reason for fate, reason in told.values() if fate is Fate.FELL_BACK}
    dropped = {reason for fate, reason in told.values() if fate is Fate.DROPPED}
    assert fell_back == {"late", "breaker", "invalid", "refused", "no_model"}
    assert dropped == {"stale", "paused", "closing"}


def test_a_second_answer_is_an_error_and_counts_nothing() -> None:
    ledger = Ledger()
    number = ledger.enter()
    ledger.settle(number, FrameOutcome.CODED)

    with pytest.raises(LedgerError, match="second answer"):
        ledger.settle(number, FrameOutcome.LATE)
    assert ledger.counts[FrameOutcome.LATE] == 0
    assert ledger.open == 0


def test_a_frame_without_an_answer_is_found_at_the_end() -> None:
    ledger = Ledger()
    ledger.settle(ledger.enter(), FrameOutcome.CODED)
    ledger.enter()

    with pytest.raises(LedgerError, match="1 frames got no answer, the first is 1"):
        ledger.close()


def test_an_answer_for_a_frame_that_never_was_is_an_error() -> None:
    with pytest.raises(LedgerError):
        Ledger().settle(0, FrameOutcome.CODED)


def test_balanced_books_close() -> None:
    ledger = Ledger()
    for outcome in FrameOutcome:
        ledger.settle(ledger.enter(), outcome)

    ledger.close()

    assert ledger.total == len(FrameOutcome)
    assert set(ledger.counts.values()) == {1}
