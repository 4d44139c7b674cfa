"""One line of an examination."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact:
    name: str
    ok: bool
    value: str
    needed: bool = True  # False: something else takes its place
