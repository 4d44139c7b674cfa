"""Parts of the engine that are there, or say why not."""

from dataclasses import dataclass
from typing import Generic, TypeVar, final

from auralink.engine.service.errors import NotReady

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class PartState:
    """
    Attributes:
        expected: this engine shall have it; else its being away is no trouble.
        why: it is not ready; empty if it is.
        needed: the engine is not ready without it.
    """

    name: str
    ready: bool
    expected: bool
    why: str
    needed: bool


@final
class Part(Generic[T]):
    """A place for something that is opened later than asked for, or goes away before the end."""

    def __init__(self, name: str, *, needed: bool = True) -> None:
        self.name = name
        self.needed = needed
        self._value: T | None = None
        self._why = "is not started yet"
        self._expected = True

    @property
    def state(self) -> PartState:
        return PartState(
            name=self.name,
            ready=self._value is not None,
            expected=self._expected,
            why="" if self._value is not None else self._why,
            needed=self.needed,
        )

    def get(self) -> T:
        """
        Raises:
            NotReady: names the part.
        """
        if self._value is None:
            raise NotReady(self.name, self._why)
        return self._value

    def peek(self) -> T | None:
        return self._value

    def ready(self, value: T) -> None:
        self._value = value

    def never(self) -> None:
        """This engine has no such part."""
        self._expected = False
        self._why = "this engine has none"

    def gone(self, why: str) -> None:
        self._value = None
        self._why = why
