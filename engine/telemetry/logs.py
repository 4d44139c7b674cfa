"""Log lines: text for people, JSON for machines, the same facts in both, and never a secret.

Modules log with the standard library; structlog formats.  `context` adds facts to every line of a
task and of those that it starts: ``request``, ``job``, ``stream``, ``frame``, ``reason``.
"""

import logging
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final, Literal, TextIO, TypeAlias

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

from auralink.engine.telemetry.redaction import Redactor

Format: TypeAlias = Literal["auto", "text", "json"]
Level: TypeAlias = Literal["debug", "info", "warning", "error"]
# Libraries that speak at INFO about each request or connection.
_QUIET: Final = ("aioice", "aiortc", "httpcore", "asyncio", "alembic.runtime.migration")


@dataclass(frozen=True, slots=True, kw_only=True)
class LogSettings:
    """
    Attributes:
        format: auto: text on a terminal, else JSON.
    """

    format: Format = "auto"
    level: Level = "info"


def set_up_logging(
    settings: LogSettings, *, secrets: Iterable[str] = (), stream: TextIO | None = None
) -> None:
    """Make the root logger write so.  For programs: once, at their start.

    Args:
        secrets: values that never appear, whatever is logged.
        stream: default: standard error.
    """
    target = stream or sys.stderr
    as_json = settings.format == "json" or (settings.format == "auto" and not target.isatty())
    handler = logging.StreamHandler(target)
    handler.setFormatter(_formatter(as_json, Redactor(secrets), colours=target.isatty()))
    root = logging.getLogger()
    for old in list(root.handlers):
        root.removeHandler(old)
    root.addHandler(handler)
    root.setLevel(settings.level.upper())
    for name in _QUIET:
        logging.getLogger(name).setLevel(max(root.level, logging.WARNING))


@contextmanager
def context(**facts: Any) -> Iterator[None]:
    """Facts on every line of the block, and of the tasks started in it."""
    with structlog.contextvars.bound_contextvars(**facts):
        yield


def _formatter(as_json: bool, redactor: Redactor, *, colours: bool) -> logging.Formatter:
    renderer: Processor = (
        structlog.processors.JSONRenderer(sort_keys=False, default=str)
        if as_json
        else structlog.dev.ConsoleRenderer(
            colors=colours, exception_formatter=structlog.dev.plain_traceback
        )
    )
    return structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=[
            structlog.contextvars.merge_contextvars,
            structlog.stdlib.add_log_level,
            structlog.stdlib.add_logger_name,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
        ],
        processors=[
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            structlog.processors.format_exc_info,
            _one_line,
            redactor,
            renderer,
        ],
    )


def _one_line(logger: WrappedLogger, method: str, event: EventDict) -> EventDict:
    """No message can forge a second line: control characters are escaped."""
    message = event.get("event")
    if isinstance(message, str) and not message.isprintable():
        event["event"] = "".join(
            one if one.isprintable() else one.encode("unicode_escape").decode() for one in message
        )
    return event
