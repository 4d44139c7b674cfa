"""The part of the Dockerfile language that ours is written in.  Pure."""

import json
import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass, field

KNOWN = frozenset(
    {
        "FROM", "RUN", "COPY", "WORKDIR", "ENV", "USER", "ENTRYPOINT", "CMD", "HEALTHCHECK",
        "EXPOSE", "VOLUME", "LABEL", "STOPSIGNAL",
    }
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One instruction.

    Attributes:
        words: of a JSON list, or split as a shell does; of RUN, ENV: the whole as one.
        options: ``--from=build`` and the like.
    """

    name: str
    words: tuple[str, ...]
    options: dict[str, str] = field(default_factory=dict)


@dataclass(slots=True, kw_only=True)
class Stage:
    base: str
    name: str
    steps: list[Step] = field(default_factory=list)

    def last(self, name: str) -> Step | None:
        return next((step for step in reversed(self.steps) if step.name == name), None)


def parse(text: str) -> list[Stage]:
    """
    Raises:
        ValueError: an instruction that is not known here.
    """
    stages: list[Stage] = []
    for name, rest in _instructions(text):
        if name not in KNOWN:
            raise ValueError(f"{name} is not executed by this reader")
        if name == "FROM":
            words = rest.split()
            label = words[2] if len(words) == 3 and words[1].upper() == "AS" else str(len(stages))
            stages.append(Stage(base=words[0], name=label))
        else:
            stages[-1].steps.append(_step(name, rest))
    return stages


def environment(text: str) -> dict[str, str]:
    """``A=1 B="two words"`` of ENV."""
    return dict(word.split("=", 1) for word in shlex.split(text))


def _instructions(text: str) -> Iterator[tuple[str, str]]:
    lines = [line for line in text.splitlines() if not line.lstrip().startswith("#")]
    for line in re.sub(r"\\\s*\n\s*", "", "\n".join(lines) + "\n").splitlines():
        if line.strip():
            name, _, rest = line.strip().partition(" ")
            yield name.upper(), rest.strip()


def _step(name: str, rest: str) -> Step:
    options: dict[str, str] = {}
    while match := re.match(r"--([a-z-]+)=(\S+)\s+", rest):
        options[match[1]] = match[2]
        rest = rest[match.end() :]
    if name == "HEALTHCHECK":
        rest = rest.removeprefix("CMD").strip()
    if name in ("RUN", "ENV", "LABEL"):
        words: tuple[str, ...] = (rest,)
    elif rest.startswith("["):
        words = tuple(json.loads(rest))
    else:
        words = tuple(shlex.split(rest))
    return Step(name=name, words=words, options=options)
