"""Where words go: results to stdout, chatter and errors to stderr, colours only on a terminal."""

import dataclasses
import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Annotated, TypeAlias

import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TextColumn,
    TimeRemainingColumn,
)

Json = Annotated[bool, typer.Option("--json", help="Print the result as one JSON object.")]
Facts: TypeAlias = Sequence[tuple[str, str]]


def out() -> Console:
    """Results: pipe me."""
    return Console(highlight=False, soft_wrap=True)


def err() -> Console:
    """Status, advice, errors: never piped."""
    return Console(stderr=True, highlight=False, soft_wrap=True)


def print_json(value: object) -> None:
    """One JSON object; dataclasses and paths are understood."""
    sys.stdout.write(json.dumps(value, default=_plain, indent=2, allow_nan=False) + "\n")


def print_facts(facts: Facts) -> None:
    """Names and values in two columns."""
    width = max(len(name) for name, _ in facts)
    for name, value in facts:
        out().print(f"[dim]{name:<{width}}[/]  {escape(value)}")


def print_error(message: str, hints: Sequence[str] = ()) -> None:
    console = err()
    console.print(f"[bold red]error:[/] {escape(message)}")
    for hint in hints:
        console.print(f"[bold]hint:[/]  {escape(hint)}")


def note(message: str) -> None:
    """A line of status on stderr."""
    err().print(escape(message))


@contextmanager
def progress(title: str, total: int | None, *, quiet: bool) -> Iterator["Bar"]:
    """A progress bar on stderr; nothing at all unless that is a terminal."""
    console = err()
    bar = Progress(
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[detail]}"),
        TimeRemainingColumn(),
        console=console,
        transient=True,
        disable=quiet or not console.is_terminal,
    )
    with bar:
        yield Bar(bar, title, total)


class Bar:
    """One progress bar."""

    def __init__(self, bar: Progress, title: str, total: int | None) -> None:
        self._bar = bar
        self._task = bar.add_task(title, total=total, detail="")

    def advance(self, detail: str = "") -> None:
        self._bar.update(self._task, advance=1, detail=detail)


def kilobits(bits_per_second: float) -> str:
    return f"{bits_per_second / 1000:,.1f} kbit/s"


def counted_bytes(count: int) -> str:
    return f"{count / 1000:,.0f} kB" if count >= 10_000 else f"{count:,} B"


def _plain(value: object) -> object:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return dataclasses.asdict(value)
    return str(value)
