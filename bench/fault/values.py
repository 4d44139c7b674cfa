"""What a fault is, and what became of it: plain values."""

import contextlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Generic, TypeVar

Rig = TypeVar("Rig")


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """One injection.

    Attributes:
        wrong: what was not as it must be; empty if all was.
        recovered_s: until everything worked again; None where nothing ever stopped.
        figures: other measurements, of which the largest is kept.
    """

    wrong: str = ""
    recovered_s: float | None = None
    figures: Mapping[str, float] = field(default_factory=dict)

    @property
    def passed(self) -> bool:
        return not self.wrong


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault(Generic[Rig]):
    """
    Attributes:
        number: as in the table of faults: "F11".
        name: what is done.
        expected: what must happen then; each trial checks it.
        prepare: what the trials of one run share: a pool of workers, a server.
        inject: one trial; all chance comes from the seed.
        trials: at least.
    """

    number: str
    name: str
    expected: str
    prepare: Callable[[], AbstractContextManager[Rig]]
    inject: Callable[[Rig, int], Trial]
    trials: int = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class NotRun:
    """A fault of the table that is not injected here."""

    number: str
    name: str
    why: str


@contextlib.contextmanager
def nothing() -> Iterator[None]:
    """For trials that share nothing."""
    yield None


def expect(**wrong: bool) -> str:
    """The names of what is true: ``expect(frames_lost=lost > 1)``."""
    return ", ".join(name.replace("_", " ") for name, found in wrong.items() if found)
