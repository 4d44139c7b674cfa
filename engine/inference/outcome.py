"""What became of a frame: one answer each, with its reason, counted."""

import enum
from collections.abc import Mapping
from types import MappingProxyType
from typing import final


class Fate(enum.Enum):
    """The three ways a frame can end."""

    CODED = "coded"  # the model's result was used
    FELL_BACK = "fell_back"  # shown or sent all the same, made without the model
    DROPPED = "dropped"  # nobody sees it: a newer one, or nobody listens


class FrameOutcome(enum.Enum):
    """The one answer that every frame gets.  `value` is the label in metrics and logs."""

    CODED = "coded"
    LATE = "fell_back_late"  # it was run, or waited, and the deadline came first
    BREAKER = "fell_back_breaker"  # the model's breaker is open
    INVALID = "fell_back_invalid"  # the model failed, or the guard refused what it made
    REFUSED = "fell_back_refused"  # it could not have met its deadline, and was told so at once
    NO_MODEL = "fell_back_no_model"
    STALE = "dropped_stale"  # a newer frame of the same stream took its place
    PAUSED = "dropped_paused"  # the stream is muted, or sends sound only
    CLOSING = "dropped_closing"  # the engine or the stream is shutting down

    # Members are singletons; the default hashes the name, in Python, several times for each frame.
    __hash__ = object.__hash__

    @property
    def fate(self) -> Fate:
        if self is FrameOutcome.CODED:
            return Fate.CODED
        return Fate.FELL_BACK if self.value.startswith("fell_back") else Fate.DROPPED

    @property
    def reason(self) -> str:
        """Why it was not coded; empty if it was."""
        return self.value.removeprefix(f"{self.fate.value}_") if self.fate is not Fate.CODED else ""


class LedgerError(AssertionError):
    """A frame got two answers, or none: a fault of ours, never of a caller."""


@final
class Ledger:
    """Keeps the books: frames without an answer yet, and how the others ended.

    It holds the numbers of open frames only, and those are bounded by what may wait and run.
    """

    def __init__(self) -> None:
        self._open: set[int] = set()
        self._next = 0
        self._counts = dict.fromkeys(FrameOutcome, 0)

    @property
    def open(self) -> int:
        """Frames that wait for their answer."""
        return len(self._open)

    @property
    def counts(self) -> Mapping[FrameOutcome, int]:
        return MappingProxyType(self._counts)

    @property
    def total(self) -> int:
        """Frames that were ever entered."""
        return self._next

    def enter(self) -> int:
        """A new frame; returns its number."""
        number, self._next = self._next, self._next + 1
        self._open.add(number)
        return number

    def settle(self, number: int, outcome: FrameOutcome) -> None:
        """
        Raises:
            LedgerError: that frame has its answer already, or never existed.
        """
        if number not in self._open:
            raise LedgerError(f"frame {number} would get a second answer: {outcome.value}")
        self._open.remove(number)
        self._counts[outcome] += 1

    def close(self) -> None:
        """Check the books at the end.

        Raises:
            LedgerError: frames are left without an answer.
        """
        if self._open:
            raise LedgerError(
                f"{len(self._open)} frames got no answer, the first is {min(self._open)}"
            )
        if sum(self._counts.values()) != self._next:
            raise LedgerError(f"{self._next} frames, but {sum(self._counts.values())} answers")
